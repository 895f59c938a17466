from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_campaign import Made, begin, tick
from PIL import Image

from uniultra.serve.dashboard import static_files
from uniultra.serve.dashboard.page import CampaignPage
from uniultra.serve.dashboard.schema import Page
from uniultra.store.store import LabelStore


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tasks_folder: Path) -> Iterator[Made]:
    """Six images, each for two readers; two trainings; reviews, a draft, a skip, leases, a damaged label."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIULTRA_WEIGHTS", str(tasks_folder))
        made = begin(tmp_path_factory.mktemp("made") / "studies", 6, days=2, size=64)
        a, b, c, d, e, f = sorted(made.truth)
        for name in (a, b, c):
            made.label(name, "Amina")
        made.train(0.7, 0.8, publish=True, why="It is better on labels that it never saw.")
        tick(made, days=1)
        for name in (a, b):
            made.label(name, "Mei")
        made.train(0.81, 0.8, publish=False, why="It is not better on labels that it never saw.")
        made.store.review(a, 1, "approved", "Dr Okafor")
        made.store.review(c, 1, "returned", "Dr Okafor", "again")
        made.label(d, "Jonas", tag="draft")
        made.store.skip(made.store.units()[4], "Jonas", "poor picture")
        made.store.claim([u for u in made.store.units() if u.image == f], "Mei")
        lost = made.label(e, "Amina")
        made.store.path(lost).write_bytes(b"half")
        (made.studies / "labels" / lost.tag / f"{lost.image}{lost.ext}").unlink()
        with pytest.raises(Exception, match="label"):
            made.store.verified(lost)
        yield made


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Path:
    """The campaign's folder, for a test that changes it."""
    return Path(shutil.copytree(made.studies, tmp_path / "studies"))


def page_of(made: Made, after: int = 10) -> CampaignPage:
    return CampaignPage(LabelStore(made.studies, now=lambda: made.now), lambda: after)


def test_progress_adds_up_and_counts_what_stands_beside(made: Made) -> None:
    found = page_of(made).make().progress
    assert (found.images, found.units) == (6, 6)
    # a is approved, b has both readers; Mei holds f; c was returned, d is a draft; e was damaged
    assert (found.labelled, found.approved, found.leased, found.started, found.left) == (2, 1, 1, 2, 1)
    assert found.labelled + found.leased + found.started + found.left == found.units
    assert (found.drafts, found.returned, found.flagged, found.skipped) == (1, 1, 0, 1)


def test_annotators_days_and_effort(made: Made) -> None:
    page = page_of(made).make()
    people = {one.name: one for one in page.annotators}
    assert list(people) == ["Amina", "Jonas", "Mei"]
    assert (people["Amina"].labelled, people["Amina"].returned, people["Amina"].today) == (2, 1, 0)
    assert (people["Jonas"].labelled, people["Jonas"].drafts, people["Jonas"].clicks) == (0, 1, None)
    assert (people["Mei"].labelled, people["Mei"].today, people["Mei"].week) == (2, 2, 2)
    assert people["Mei"].leased == (sorted(made.truth)[5],)
    assert [one.labels for one in page.days] == [{"Amina": 3}, {"Mei": 2}]
    assert page.days[1].day == page.today
    costs = [one for one in page.efforts if one.annotator == "Mei"]
    assert people["Mei"].clicks == sum(one.clicks or 0 for one in costs) / 2
    assert {one.adapter for one in costs} == {made.adapter}
    assert {one.adapter for one in page.efforts if one.annotator == "Amina"} == {None}


def test_each_training_is_there_with_the_words_of_the_gate(made: Made) -> None:
    first, second = page_of(made).make().adapters
    assert (first.id, first.what, first.serving) == (made.adapter, "published", True)
    assert (first.before, first.dice, first.box, first.known) == (0.7, 0.8, 0.831, -0.003)
    assert (second.id, second.what, second.serving) == (None, "refused", False)
    assert second.why == "It is not better on labels that it never saw."


def test_a_rollback_is_shown_and_nothing_serves(copied: Path) -> None:
    from uniultra.weights.deployed import Published

    Published(copied).rollback("uniultra_mini")
    page = CampaignPage(LabelStore(copied)).make()
    assert [one.what for one in page.adapters] == ["published", "refused", "rolled back"]
    assert not any(one.serving for one in page.adapters)


def test_agreement_is_the_stores_own_compared_in_the_background(made: Made) -> None:
    page = page_of(made)
    assert page.make().agreement.waiting == 2
    page.comparisons.wait(60)
    (pair,) = page.make().agreement.pairs
    own = [made.store.agreement(image)[0] for image in sorted(made.truth)[:2]]
    assert (pair.first, pair.second, pair.structure, pair.images) == ("Amina", "Mei", "nodule", 2)
    assert pair.dice == pytest.approx(sum(one.dice for one in own) / 2, abs=1e-3)
    assert pair.lowest == pytest.approx(min(one.dice for one in own), abs=1e-3)
    assert pair.worst == min(zip(own, sorted(made.truth), strict=False), key=lambda one: one[0].dice)[1]


def test_training_that_runs_tells_its_curve(made: Made, copied: Path) -> None:
    copy = Made(copied, made.rng, made.now)
    folder = copy.running(epoch=35)
    page = page_of(copy)
    assert page.make().training.state == "waiting"
    with folder.lock():
        found = page.make().training
    assert (found.state, found.epoch, found.epochs, found.labels) == ("running", 35, 90, 2)
    assert [one.epoch for one in found.curve] == list(range(36))
    assert [one.epoch for one in found.curve if one.dice is not None] == [30]
    assert found.left_s == pytest.approx(4.1 * 55)
    folder.stop(True)
    assert page.make().training.state == "stopped"


def test_labels_that_are_missing_until_the_next_training(made: Made) -> None:
    # images a and b are trainable, with the versions that the last training had
    assert page_of(made, after=10).make().training.missing == 10
    assert page_of(made, after=0).make().training.missing is None


def test_a_damaged_label_is_a_problem_without_a_path(made: Made) -> None:
    page = page_of(made).make()
    (notice,) = page.notices
    assert notice.level == "problem" and "1 damaged file" in notice.text
    assert "mask has another checksum" in notice.text
    assert str(made.studies) not in page.model_dump_json()


def test_a_damaged_list_of_adapters_is_told_and_the_rest_is_shown(copied: Path) -> None:
    (copied / ".uniultra" / "adapters" / "current.json").write_text("{")
    page = CampaignPage(LabelStore(copied)).make()
    assert any("current.json" in one.text for one in page.notices if one.level == "problem")
    assert len(page.adapters) == 2 and not any(one.serving for one in page.adapters)
    assert page.progress.units == 6


def test_the_queue_holds_what_waits_in_the_order_of_the_strategy(made: Made) -> None:
    from uniultra.active.scoring import UnitScore
    from uniultra.active.summary import Summary

    class Backwards:
        def order(self, strategy: str, units: Any) -> list[Any]:
            assert strategy == "default"
            return list(units)[::-1]

        def score(self, unit: Any) -> UnitScore | None:
            if unit.image.endswith("5"):
                return None
            return UnitScore(None, Summary(entropy=0.1, boundary=0.4, iou=0.6, foreground=0.2))  # type: ignore[arg-type]

    store = LabelStore(made.studies, now=lambda: made.now)
    found = CampaignPage(store, rankings=Backwards).make().queue
    assert [one.image for one in found.units] == [one.image for one in store.unlabelled()[::-1]]
    assert [one.score for one in found.units] == [
        None if one.image[-1] == "5" else 0.4 for one in found.units
    ]
    assert (found.scored, found.total) == (len(found.units) - 1, len(found.units))
    assert "entropy" in found.meaning


def test_the_same_answer_keeps_its_tag_and_a_label_changes_it(made: Made, tmp_path: Path) -> None:
    copy = begin(tmp_path / "studies", 2, days=1, readers=1, size=64)
    page = CampaignPage(copy.store)
    tag, body = page.answer()
    page._until = 0
    assert page.answer() == (tag, body)
    copy.label(sorted(copy.truth)[0], "Mei")
    assert page.answer() == (tag, body)  # fresh enough
    page._until = 0
    after, body = page.answer()
    assert after != tag
    assert json.loads(body)["progress"]["labelled"] == 1


def test_an_empty_folder_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    page = CampaignPage(LabelStore(tmp_path / "studies")).make()
    assert page.progress.units == 0 and page.training.state == "none" and not page.adapters
    assert [one.level for one in page.notices] == ["warning"]
    assert Page.model_validate_json(page.model_dump_json()) == page


# over HTTP


def test_the_page_and_its_files_come_from_here_under_a_strict_policy(client: Any) -> None:
    answer = client.get("/campaign")
    assert answer.status_code == 200 and "<h1" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy
    assert "http://" not in answer.text and "https://" not in answer.text
    assert "<style" not in answer.text and "style=" not in answer.text
    for name in static_files.TYPES:
        file = client.get(f"/campaign/static/{name}")
        assert file.status_code == 200, name
        assert file.headers["content-type"] == static_files.TYPES[name]
        again = client.get(f"/campaign/static/{name}", headers={"If-None-Match": file.headers["etag"]})
        assert again.status_code == 304 and not again.content
    assert "plotly.js v" in client.get("/campaign/static/plotly.min.js").text[:200]
    assert client.get("/campaign/static/..%2Fschema.py").status_code == 404
    assert client.get("/campaign/static/schema.py").status_code == 404


def test_data_is_not_sent_twice(client: Any) -> None:
    answer = client.get("/campaign/data")
    page = Page.model_validate(answer.json())
    assert page.progress.images == 4 and page.training.missing == 10
    headers = {"If-None-Match": answer.headers["etag"]}
    assert client.get("/campaign/data", headers=headers).status_code == 304


def test_thumbnails_are_small_pictures_of_every_format(client: Any) -> None:
    ids = client.get("/datastore/?output=all").json()["objects"]
    assert len(ids) == 4
    for image in ids:
        frame = 3 if image == "cine" else 0
        answer = client.get(f"/campaign/thumbnail/{image}/{frame}")
        assert answer.headers["content-type"] == "image/jpeg", answer.text
        assert Image.open(io.BytesIO(answer.content)).size == (80, 60)
        headers = {"If-None-Match": answer.headers["etag"]}
        assert client.get(f"/campaign/thumbnail/{image}/{frame}", headers=headers).status_code == 304
    assert client.get("/campaign/thumbnail/nobody/0").status_code == 404
    assert client.get("/campaign/thumbnail/cine/4").status_code == 422
    assert client.get("/campaign/thumbnail/cine/-1").status_code == 422
    assert client.get("/campaign/thumbnail/..%2Fgrey/0").status_code == 404


def test_a_thumbnail_leaves_the_margin_out_where_names_stand(shared_dir: Path) -> None:
    from uniultra.errors import ImageError
    from uniultra.images import read_image
    from uniultra.serve.dashboard.thumbnails import cropped

    seen = 0
    for file in sorted((shared_dir / "dicom").glob("*.dcm")):
        try:
            image = read_image(file)
            picture = cropped(image, 0)
        except ImageError:  # what nobody here decodes is another test's matter
            continue
        if image.regions:
            seen += 1
            assert picture.shape[0] <= image.shape[1] and picture.shape[1] <= image.shape[2]
            whole = image.read_frame(0)
            top = min(one.y0 for one in image.regions)
            left = min(one.x0 for one in image.regions)
            assert (picture[0, 0] == whole[max(0, top), max(0, left)]).all()
    assert seen

"""One annotator and two at the real server: units, drafts, labels, conflicts, what goes along with them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from campaign_rig import Make, disk, versions
from PIL import Image

from uniultra.images import read_image
from uniultra.store.labels.labelmap import read_labelmap

equal = np.testing.assert_array_equal


def on_server(
    address: str, studies: Path, image: str, file: str, revision: int, tmp_path: Path
) -> np.ndarray:
    """The values of a version, read strictly in the image's geometry, as a training does."""
    got = requests.get(f"{address}/labels/{image}/{revision}", timeout=30)
    assert got.status_code == 200
    (tmp_path / "label.nrrd").write_bytes(got.content)
    return read_labelmap(tmp_path / "label.nrrd", read_image(studies / file))


def test_what_the_campaign_says_is_there(reader: Make, campaign: Any) -> None:
    campaign(instructions="The outer border.", strategy="random", skip_reasons=["blurred"])
    anna = reader("Anna")
    now = anna.now
    assert now.offered and now.can_next and not now.can_submit and not now.name_problem
    assert now.campaign.instructions == "The outer border." and now.campaign.skip_reasons == ("blurred",)
    assert [(one.name, one.index) for one in now.campaign.labels] == [("head", 1), ("femur", 5)]
    assert now.campaign.labels[0].colour == (1.0, 0.0, 0.0)
    assert now.strategies[0] == now.strategy == "random" and "entropy" in now.strategies
    anna.work.choose_strategy("entropy")
    assert anna.now.strategy == "entropy"


def test_nobody_works_without_a_name_and_a_shared_one_is_warned_of(reader: Make) -> None:
    nobody = reader("  ")
    assert "name" in nobody.now.name_problem and not nobody.now.can_next
    nobody.work.units.next()
    assert "name" in nobody.state.problem.cause and not nobody.now.opening
    assert "several people" in reader("admin").now.name_warning
    assert reader("Anna Admin").now.name_warning == ""


def test_a_unit_of_the_same_image_is_not_fetched_again(reader: Make, campaign: Any) -> None:
    campaign(readers=20, frames="all")
    carl = reader("Carl")
    carl.take("cine", 1)
    carl.draw("head", disk(20, 20), 1)
    loads = len(carl.loaded)
    carl.take("cine", 3)
    assert len(carl.loaded) == loads and carl.now.position == "frame 4 of 4"
    equal(carl.drawn("head", 1), disk(20, 20))


def test_a_label_lies_on_its_image_with_how_it_was_made(
    reader: Make, campaign_server: Any, tmp_path: Path
) -> None:
    address, studies = campaign_server
    clock = [0.0]
    dora = reader("Dora", clock=lambda: clock[0]).begin("volume")
    for step in (5.0, 300.0, 4.0):  # of the long pause, twenty seconds count
        clock[0] += step
        dora.work.effort.touch()
    for k in (1, 4):
        dora.draw("head", disk(20, 20), k)
        dora.draw("femur", disk(26, 20), k)
    saved = dora.send()
    assert saved.submitted and saved.saved and "two structures" in "".join(s.notice for s in dora.seen)
    values = on_server(address, studies, "volume", "volume.nrrd", saved.saved, tmp_path)
    expected = np.where(disk(26, 20), 5, np.where(disk(20, 20), 1, 0))
    for k in range(6):
        equal(values[k], expected if k in (1, 4) else 0)
    kept = versions(address, "volume")[-1]
    assert kept["labels"] == {"head": 1, "femur": 5} and kept["frames"] is None
    assert kept["origin"]["seconds"] == pytest.approx(29, abs=0.2) and kept["origin"]["clicks"] == 0
    assert kept["origin"]["model"] is None


def test_only_frames_that_are_done_are_labelled(reader: Make, campaign_server: Any, tmp_path: Path) -> None:
    address, studies = campaign_server
    emil = reader("Emil").begin("cine")
    for frame in (1, 2):
        emil.draw("femur", disk(30, 30), frame)
    assert not emil.work.submit("final") and "done" in emil.state.problem.cause
    for frame in (2, 3):
        emil.scene.set_done(frame)
    saved = emil.send()
    values = on_server(address, studies, "cine", "cine.seq.nrrd", saved.saved, tmp_path)
    assert versions(address, "cine")[-1]["frames"] == [2, 3]
    equal(values[2], 5 * disk(30, 30))
    assert not values[[0, 1, 3]].any(), "frame 1 is unknown, frame 3 empty"


def test_prompts_and_masks_of_a_draft_come_back(reader: Make, mine: Any, slice_view: Any) -> None:
    slice_view()
    fay = reader("Fay").begin("still0")
    fay.controller.select_segment(fay.segment("femur"))
    fay.click("a", 30, 20)
    fay.click("b", 12, 7, positive=False)
    fay.draw("head", disk(40, 30))
    before = {name: fay.drawn(name) for name in ("head", "femur")}
    prompts = fay.state.prompts
    assert fay.now.clicks == 2 and len(prompts.of("point")) == 2
    fay.send("draft")
    kept = mine("still0")[-1]
    assert (kept["tag"], kept["origin"]["clicks"], kept["origin"]["model"]) == ("draft", 2, "uniultra_mini")
    assert "still0" not in json.dumps(kept["origin"]), "the image's name is not in the prompts"
    fay.take("still1")
    assert fay.now.resumed is None and not fay.drawn("head").any() and fay.now.clicks == 0
    fay.close()

    again = reader("Fay")
    now = again.take("still0")
    assert now.resumed.tag == "draft" and "draft" in again.state.notice and now.clicks == 2
    for name, mask in before.items():
        equal(again.drawn(name), mask)
    again.controller.select_segment(again.segment("femur"))
    assert again.state.prompts == prompts
    assert again.send().saved == kept["revision"] + 1, "the final label follows its draft"
    final = mine("still0")[-1]
    assert final["origin"]["model"] == "uniultra_mini" and final["base"] == 0


def test_what_is_drawn_is_kept_as_a_draft_when_something_else_is_opened(reader: Make, mine: Any) -> None:
    gus = reader("Gus").begin("still2", disk(20, 20)).begin("still3")
    gus.sent()

    def tags(image: str) -> list[str]:
        return [version["tag"] for version in mine(image, "Gus")]

    assert tags("still2") == ["draft"]
    gus.take("still2")
    equal(gus.drawn("head"), disk(20, 20))
    gus.take("still3")
    assert tags("still2") == ["draft"], "nothing new, no new draft"
    gus.draw("femur", disk(9, 9, 3))
    gus.close()
    assert tags("still3") == ["draft"], "also at the end"


def test_the_second_of_two_sees_the_newer_label_and_decides(reader: Make, mine: Any) -> None:
    hal, ida = reader("Hal"), reader("Ida")
    for one in (hal, ida):
        one.take("still4")
    hal.draw("head", disk(20, 20))
    first = hal.send().saved
    ida.draw("head", disk(40, 20))
    now = ida.send()
    assert (now.conflict.revision, now.conflict.annotator, now.conflict.here) == (first, "Hal", True)
    assert "newer" in ida.state.problem.cause and now.saved is None and now.unsent == 1
    equal(ida.drawn("head"), disk(40, 20))
    ida.work.conflicts.show_newer()
    ida.until(lambda: ida.now.compared)
    assert ida.names() == ["head", "femur", f"head (Hal, r{first})"]
    equal(ida.drawn(f"head (Hal, r{first})"), disk(20, 20))
    ida.work.conflicts.save_on_top()
    ida.sent()
    assert ida.now.conflict is None and ida.now.saved == first + 1
    assert mine("still4")[-1]["base"] == first
    ida.work.hide_beside()
    assert ida.names() == ["head", "femur"] and not ida.now.compared
    hal.draw("head", disk(22, 20))
    assert hal.send().conflict.annotator == "Ida"
    hal.work.conflicts.discard()
    assert hal.now.conflict is None and hal.now.unsent == 0
    assert len(mine("still4")) == 2
    hal.draw("head", disk(24, 20))
    assert hal.send().conflict is None, "the newer one is known now"


def test_other_frames_of_the_same_cine_are_no_conflict(reader: Make, mine: Any) -> None:
    jim, kim = reader("Jim"), reader("Kim")
    for one, frame in ((jim, 0), (kim, 2)):
        one.take("cine", frame)
        for other in range(4):
            one.scene.set_done(other, other == frame)
        one.draw("femur", disk(30, 30, 5 + frame), frame)
    assert jim.send().conflict is None and kim.send().conflict is None
    assert [one["frames"] for one in mine("cine")][-2:] == [[0], [2]]


def test_two_readers_do_not_see_each_other(reader: Make, campaign: Any) -> None:
    campaign(readers=2)
    lea, max_ = reader("Lea"), reader("Max")
    lea.begin("still6", disk(20, 20))
    assert lea.send().saved
    now = max_.take("still6")
    assert now.resumed is None and not max_.drawn("head").any()
    max_.draw("head", disk(24, 20))
    assert max_.send().conflict is None


def test_a_models_proposal_can_be_corrected(reader: Make, address: str, mine: Any) -> None:
    file = io.BytesIO()
    Image.fromarray(disk(33, 22).astype(np.uint8)).save(file, "png")
    requests.put(
        f"{address}/datastore/label",
        params={"image": "still7", "tag": "original"},
        files={"label": ("label.png", file.getvalue())},
        data={"params": json.dumps({"model": "autosamus_mini.head", "client_id": ""})},
        timeout=30,
    ).raise_for_status()
    nia = reader("Nia")
    now = nia.take("still7")
    assert [one.model for one in now.proposals] == ["autosamus_mini.head"] and not nia.drawn("head").any()
    nia.draw("femur", disk(5, 5, 2))
    nia.work.load_proposal()
    nia.until(lambda: nia.drawn("head").any())
    equal(nia.drawn("head"), disk(33, 22))
    assert not nia.drawn("femur").any()
    nia.send()
    assert mine("still7")[-1]["origin"]["model"] == "autosamus_mini.head"


def test_a_segment_that_is_no_structure_is_named(reader: Make) -> None:
    odo = reader("Odo").begin("still1")
    odo.scene.add_segment("tumour", (1, 1, 0))
    odo.draw("tumour", disk(20, 20))
    assert not odo.work.submit("final")
    assert "tumour" in odo.state.problem.cause and "head, femur" in odo.state.problem.cause
    odo.work.units.next()
    assert not odo.now.opening, "nothing is left behind"
    odo.scene.remove_segment(odo.segment("tumour"))
    assert odo.work.submit("final"), "an empty label says that there is nothing"
    odo.sent()


def test_skipping_needs_a_reason(reader: Make, many: None) -> None:
    pia = reader("Pia")
    first = pia.next().unit
    assert pia.now.can_skip
    pia.work.units.skip("  ")
    assert "reason" in pia.state.problem.cause and pia.now.unit == first
    pia.draw("head", disk(20, 20))
    pia.work.units.skip("poor picture")
    pia.until(lambda: pia.now.unit not in (None, first) and not pia.now.opening)
    assert pia.now.unit.image != first.image and pia.now.unsent == 0, "of what is skipped, no draft is kept"


def test_a_lease_is_renewed_while_somebody_works_and_given_back_at_the_end(
    reader: Make, campaign: Any, store: Any, leases: Any
) -> None:
    campaign(readers=20, lease_minutes=3)
    clock = [0.0]
    quin = reader("Quin", clock=lambda: clock[0]).begin("still6")
    assert not quin.next().nothing_left
    began = leases()["Quin"].until
    quin.polls(0.2)
    assert leases()["Quin"].until == began, "nobody works"
    clock[0] += 70
    quin.work.effort.touch()
    quin.until(lambda: leases()["Quin"].until > began)
    store.release(leases()["Quin"].unit, "Quin")
    clock[0] += 70
    quin.work.effort.touch()
    quin.until(lambda: quin.now.lease_ended)
    assert "someone else" in quin.state.notice and quin.now.can_submit
    rob = reader("Rob")
    assert not rob.next().nothing_left and "Rob" in leases()
    rob.close()
    assert "Rob" not in leases()


def test_an_image_of_a_saved_scene_is_taken_up_again(
    reader: Make, slice_view: Any, campaign_server: Any
) -> None:
    slice_view()
    sue = reader("Sue")
    node = sue.load(campaign_server[1] / "still3.png", "still3", "still")
    sue.open(node, "still3")
    sue.until(lambda: sue.now.unit is not None)
    assert sue.now.unit.image == "still3" and sue.now.can_submit and not sue.now.leased


def test_any_frame_of_a_cine_ends_the_lease_where_only_one_is_asked_for(
    reader: Make, many: None, leases: Any
) -> None:
    tom = reader("Tom")
    while tom.next().unit.image != "cine":
        tom.work.units.skip("poor picture", then_next=False)
        tom.until(lambda: not tom.now.leased)
    assert tom.now.unit.frame == 0 and tom.now.leased
    tom.draw("head", disk(30, 20), 3)
    tom.scene.set_done(3)
    assert tom.send().saved and not tom.now.leased
    assert "Tom" not in leases()
    tom.next()
    assert tom.now.nothing_left or tom.now.unit.image != "cine"


def test_units_are_leased_labelled_and_skipped_until_nothing_is_left(
    reader: Make, campaign: Any, mine: Any
) -> None:
    campaign(readers=20, frames="every 2")
    anna = reader("Anna")
    units = set()
    for _ in range(12):
        now = anna.next()
        if now.nothing_left:
            break
        assert now.leased and not now.submitted and anna.scene.image_id == now.unit.image
        assert anna.names()[:2] == ["head", "femur"]
        units.add((now.unit.image, now.unit.frame))
        if now.unit.image == "cine":
            assert anna.scene.image.frame == now.unit.frame, "the frame that is asked for is shown"
        if now.unit.image in ("volume", "still5"):
            anna.work.units.skip("poor picture", then_next=False)
            anna.until(lambda: not anna.now.leased)
        else:
            anna.draw("head", disk(30, 20), now.unit.frame)
            assert anna.send().saved
            assert not anna.now.leased
    assert anna.now.nothing_left and "Nothing is left" in anna.state.notice
    assert units == {(f"still{n}", 0) for n in range(8)} | {("volume", 0), ("cine", 0), ("cine", 2)}
    of_cine = [version["frames"] for version in mine("cine", "Anna")]
    assert of_cine[-1] == [0, 2], "frames that were done stay so"
    assert mine("still5", "Anna") == [], "it was skipped"
    assert list((anna.folder / "downloads").glob("*")) == [], "no image stays on this disk"

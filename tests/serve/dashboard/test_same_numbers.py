"""`uniultra campaign status` and the campaign page say the same of the same campaign."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uniultra.cli import main
from uniultra.serve.dashboard.page import CampaignPage
from uniultra.store.campaign import file
from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion, Origin

IMAGES = ("a", "b", "c", "d", "e", "f")


class Campaign:
    """Two readers per image, and a clock."""

    def __init__(self, studies: Path) -> None:
        studies.mkdir()
        for n, name in enumerate((*IMAGES, "gone")):
            Image.fromarray(np.full((16, 16), 20 + 30 * n, np.uint8)).save(studies / f"{name}.png")
        names = (file.LabelName(name="lesion", index=1, color="#ff0000"),)
        text = file.Campaign(name="Thyroid", labels=names, readers=2).model_dump_json(exclude_none=True)
        (studies / file.FILE).write_text(text)  # JSON is YAML
        self.studies, self.now = studies, datetime.now(UTC) - timedelta(minutes=30)
        self.store = LabelStore(studies, now=lambda: self.now)

    def label(
        self, image: str, who: str, columns: int, *, cost: tuple[float, int] | None = None, tag: str = "final"
    ) -> LabelVersion:
        """A lesion `columns` wide; none of 0 columns."""
        self.now += timedelta(seconds=30)
        mask = np.zeros((16, 16), np.uint8)
        mask[4:12, 4 : 4 + columns] = 1
        path = self.studies.parent / "mask.png"
        Image.fromarray(mask).save(path)
        origin = Origin(seconds=cost[0], clicks=cost[1]) if cost else Origin()
        return self.store.save(image, path, tag=tag, annotator=who, origin=origin)

    def review(self, version: LabelVersion, state: str) -> None:
        self.store.review(version.image, version.revision, state, "Dr. C")


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[Campaign]:
    """Drafts, a correction, returned, flagged and approved labels, no lesion, an image that was deleted."""
    made = Campaign(tmp_path / "studies")
    made.label("a", "ann", 8, cost=(5, 1), tag="draft")
    made.label("a", "ann", 8, cost=(40, 6))
    made.label("a", "bob", 4, cost=(60, 9))
    made.label("a", "ann", 8, cost=(2, 1))  # a correction
    made.label("b", "ann", 0, cost=(20, 2))  # no lesion
    made.label("b", "bob", 0)
    made.review(made.label("c", "ann", 8, cost=(90, 12)), "returned")
    made.review(made.label("d", "bob", 8, cost=(30, 3)), "approved")
    made.label("d", "bob", 6, tag="draft")  # on top of an approved label
    made.review(made.label("e", "ann", 8), "flagged")
    made.label("f", "cleo", 8, tag="draft")
    made.label("gone", "ann", 8, cost=(900, 99))
    made.label("gone", "bob", 8)
    (made.studies / "gone.png").unlink()
    made.store.images.refresh()
    made.store.claim([unit for unit in made.store.units() if unit.image == "c"], "bob")
    made.store.skip(made.store.units()[5], "bob", "poor picture")
    yield made


def status(studies: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main.main(["campaign", "status", "--json", "--studies", str(studies)]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def page(store: LabelStore) -> dict[str, Any]:
    view = CampaignPage(store)
    view.make()
    view.comparisons.wait(60)
    data: dict[str, Any] = json.loads(view.make().model_dump_json())
    return data


def test_status_and_page_agree(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    shown, printed = page(campaign.store), status(campaign.studies, capsys)
    places = ("images", "units", "labelled", "leased", "started", "left", "skipped")
    assert {key: printed[key] for key in places} == {key: shown["progress"][key] for key in places}
    for person in printed["annotators"]:
        (same,) = (each for each in shown["annotators"] if each["name"] == person["name"])
        assert person == {**{key: same[key] for key in person}, "leased": len(same["leased"])}
    assert len(printed["annotators"]) == len(shown["annotators"])
    assert printed["agreement"] == {key: shown["agreement"][key] for key in printed["agreement"]}
    assert shown["agreement"]["waiting"] == 0
    assert printed["readers"] == shown["campaign"]["readers"]


def test_the_numbers_are_those_that_the_documentation_promises(
    campaign: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = status(campaign.studies, capsys)
    # a and b have both readers, d is approved; bob holds c; ann's e waits for a second reader, f is a draft
    assert (printed["labelled"], printed["leased"], printed["started"], printed["left"]) == (3, 1, 2, 0)
    assert printed["images"] == 6 and printed["skipped"] == 1
    people = {person["name"]: person for person in printed["annotators"]}
    # ann: a, b, e; c was returned. Her cost of a is 40 s, not the correction's 2 s; c was work too
    assert (people["ann"]["labelled"], people["ann"]["seconds"], people["ann"]["clicks"]) == (3, 40, 6)
    # bob: a, b and d, which his newer draft does not undo; b has no cost
    assert (people["bob"]["labelled"], people["bob"]["seconds"], people["bob"]["clicks"]) == (3, 45, 6)
    assert (people["cleo"]["labelled"], people["cleo"]["seconds"]) == (0, None)
    assert printed["states"] == {"approved": 1, "draft": 3, "final": 5, "flagged": 1, "returned": 1}
    # a: 8 and 4 of 16 columns, Dice 2/3; b: both say that there is nothing, Dice 1 and no distance
    assert printed["agreement"] == {"images": 2, "dice": round((1 + 2 / 3) / 2, 4), "hd95": {"px": 4.0}}
    (pair,) = page(campaign.store)["agreement"]["pairs"]
    assert (pair["images"], pair["dice"], pair["worst"]) == (2, printed["agreement"]["dice"], "a")


def test_each_day_and_effort_counts_a_label_once(campaign: Campaign) -> None:
    shown = page(campaign.store)
    days = [day["labels"] for day in shown["days"]]
    assert sum(sum(labels.values()) for labels in days) == 7
    assert [(effort["image"], effort["seconds"]) for effort in shown["efforts"]] == [
        ("a", 40), ("a", 60), ("b", 20), ("c", 90), ("d", 30),
    ]  # fmt: skip

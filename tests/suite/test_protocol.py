"""The suite's questions and summaries; how pictures are scored is tested with `uniultra.evaluate`."""

import re
import statistics
from dataclasses import dataclass, field

import numpy as np
import pytest
from benchmark_cases import SHAPE, disk, write_manifest

from suite.protocol import score_pictures
from suite.schema import SuiteProtocol
from suite.summary import compare, summarise
from suite.tables import distance
from uniultra.datasets.manifest import read_manifest
from uniultra.errors import RequestError
from uniultra.metrics.overlap import dice, iou
from uniultra.metrics.surface import hd95
from uniultra.predict.predictor import Prediction
from uniultra.prompts.simulation.clicks_boxes import tight_box

KINDS = ("point", "box", "mask")
LABELS = {
    "two": disk(20, 30, 12) | disk(60, 20, 6),  # two components, the left one larger
    "one": disk(40, 30, 10),
    "empty": np.zeros(SHAPE, bool),
}


@pytest.fixture
def rows(tmp_path):
    pictures = [
        ("made", name, "test", "anna", np.where(label, 200, 40).astype(np.uint8), label, spacing)
        for (name, label), spacing in zip(LABELS.items(), (None, 0.25, None), strict=True)
    ]
    return read_manifest(write_manifest(tmp_path, pictures), None, ["test"])


@dataclass
class Annotated:
    """Answers a box with the disk in it, clicks with disks around them, no prompt with `free`."""

    free: np.ndarray = field(default_factory=lambda: LABELS["two"])
    asked: list = field(default_factory=list)

    def answer(self, prompts):
        if prompts.box:
            b = prompts.box
            return disk((b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2, (b.x1 - b.x0) / 2)
        masks = [disk(p.x, p.y, 9) for p in prompts.points if p.positive]
        return np.logical_or.reduce(masks) if masks else self.free

    def predict(self, source, plane, prompts):
        self.asked.append(list(prompts))
        timings = {"encode": 0.5, "decode": 0.1 * len(prompts), "cached": float(len(self.asked) > 1)}
        return [Prediction(self.answer(p), 0.9, "fake", None, timings) for p in prompts]


def score(model, rows, kinds, **protocol):
    return score_pictures(model, rows, kinds, SuiteProtocol(**protocol))


def test_clicks_and_boxes_of_a_promptable_model(rows):
    model = Annotated()
    [picture] = score(model, rows[:1], KINDS, jitters=3)
    truth = disk(20, 30, 12)  # the largest component alone
    clicks, [[tight], moved] = model.asked[:-2], model.asked[-2:]
    assert all(len(call) == 1 for call in clicks) and 5 < len(clicks) <= 20
    assert tight.box == tight_box(truth) and len(moved) == 3 and tight.box not in [p.box for p in moved]
    first, values = model.answer(clicks[0][0]), picture.values
    assert (values["dice@1"], values["iou@1"]) == (dice(first, truth), iou(first, truth))
    assert values["hd95_px@1"] == hd95(first, truth) and "hd95_mm@1" not in values
    assert picture.ious[0] == values["iou@1"] and values["iou@5"] == picture.ious[4]
    assert values["dice_box"] == 1 and values["hd95_px"] == 0
    answers = [model.answer(p) for p in moved]
    assert values["dice_box_noisy"] == statistics.fmean(dice(mask, truth) for mask in answers)
    assert values["hd95_px_box_noisy"] == statistics.fmean(hd95(mask, truth) for mask in answers)
    assert {key for key in values if key.startswith("dice")} == {
        "dice@1", "dice@3", "dice@5", "dice_box", "dice_box_noisy"
    }  # fmt: skip
    [boxed] = score(Annotated(), rows[:1], ("box",), jitters=0)
    assert "dice_box_noisy" not in boxed.values and boxed.ious == ()


def test_a_prompt_free_model_is_scored_by_both_component_rules(rows):
    two, one, empty = score(Annotated(free=LABELS["one"]), rows, ())
    assert two.values["dice_none"] == dice(LABELS["one"], LABELS["two"])
    assert two.values["dice_none_largest"] == dice(LABELS["one"], disk(20, 30, 12))
    assert one.values["dice_none"] == one.values["iou_none_largest"] == 1
    assert one.values["hd95_mm_none"] == 0
    assert empty.values == {} and empty.marked is True


def test_every_system_gets_the_same_jittered_boxes(rows):
    def boxes(order, **protocol):
        model = Annotated()
        score(model, order, ("box",), **protocol)
        return [tuple(p.box for p in call) for call in model.asked if len(call) > 1]

    once = boxes(rows[:2])
    assert boxes(rows[:2][::-1]) == once[::-1]
    assert boxes(rows[:2], seed=8) != once


def test_an_empty_answer_has_no_distance(rows):
    [picture] = score(Annotated(free=LABELS["empty"]), rows[1:2], ())
    assert picture.values["dice_none"] == 0 and picture.values["hd95_px_none"] is None
    [summary] = summarise([[picture]], 20)
    assert summary.prompts["none"].undefined == 1 and summary.prompts["none"].hd95_px is None


def test_means_over_pictures_and_seeds(rows):
    first, second = score(Annotated(), rows, KINDS), score(Annotated(), rows, KINDS, seed=9)
    [summary] = summarise([first, second], 20)
    assert (summary.dataset, summary.n, summary.n_empty) == ("made", 2, 1)
    jittered = [p.values["dice_box_noisy"] for run in (first, second) for p in run if p.values]
    assert summary.prompts["box_jitter"].dice.mean == pytest.approx(statistics.fmean(jittered))
    assert summary.prompts["box_jitter"].dice.n == 4
    assert summary.prompts["box"].dice.groups == 1  # two pictures of one patient
    assert summary.prompts["click_1"].hd95_mm.n == 2
    assert re.fullmatch(r"\d+\.\d .*; \d\.\d\d .* mm", distance(summary.prompts["click_1"]))
    needed = [next((k for k, v in enumerate(p.ious, 1) if v >= 0.85), 20) for p in first if p.ious]
    assert summary.clicks["85"].noc.mean == pytest.approx(statistics.fmean(needed))
    never = [all(v < 0.9 for v in p.ious) for p in first if p.ious]
    assert summary.clicks["90"].failed.mean == pytest.approx(statistics.fmean(never))
    assert len(summary.dice_by_click) == 20
    for k in (1, 5):
        assert summary.dice_by_click[k - 1] == pytest.approx(summary.prompts[f"click_{k}"].dice.mean)


def test_noc_is_only_given_for_twenty_clicks(rows):
    [summary] = summarise([score(Annotated(), rows, KINDS, clicks=5)], 5)
    assert summary.clicks == {} and len(summary.dice_by_click) == 5


def test_a_difference_is_of_the_same_pictures(rows):
    good, free = score(Annotated(), rows, KINDS), score(Annotated(), rows, ())
    same = compare([good], [good], "made", "box", "dice")
    assert same.mean == 0 and same.n == 2
    assert compare([good], [free], "made", "box", "dice") is None
    with pytest.raises(RequestError, match="same pictures"):
        compare([good], [good[:1]], "made", "box", "dice")
    with pytest.raises(RequestError, match="same pictures"):
        summarise([good, good[:2]], 20)
    with pytest.raises(RequestError, match="at least one picture"):
        summarise([], 20)

"""Every picture is asked what the protocol says, and the answers are scored as it says."""

import math
import statistics
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from suite.protocol import score
from suite.schema import Protocol
from suite.summary import compare, summarise
from uniultra.datasets.manifest import Row, read_manifest
from uniultra.errors import ImageError, RequestError
from uniultra.metrics.overlap import dice, iou
from uniultra.metrics.surface import hd95
from uniultra.predict import Predictor
from uniultra.predict.predictor import Prediction
from uniultra.prompts.simulation.clicks_boxes import tight_box

SHAPE = (60, 80)
KINDS = ("point", "box", "mask")


def disk(x, y, radius):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


LABELS = {
    "two": disk(20, 30, 12) | disk(60, 20, 6),  # two components, the left one larger
    "one": disk(40, 30, 10),
    "empty": np.zeros(SHAPE, bool),
}


@pytest.fixture
def rows(tmp_path):
    found = []
    for name, label in LABELS.items():
        picture, mask = tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png"
        Image.fromarray(np.where(label, 200, 40).astype(np.uint8)).save(picture)
        Image.fromarray(label).save(mask)
        found.append(Row("made", name, "test", picture, mask, 0.25 if name == "one" else None, "anna"))
    return found


@dataclass
class Annotated:
    """Answers a box by the disk in it, clicks by disks around the positive ones, nothing by `free`."""

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


def test_clicks_and_boxes_of_a_promptable_model(rows):
    model = Annotated()
    [found] = score(model, rows[:1], KINDS, Protocol(jitters=3))
    truth = disk(20, 30, 12)  # the largest component alone
    clicks, [boxes] = model.asked[:-1], model.asked[-1:]
    assert all(len(call) == 1 for call in clicks) and len(clicks) <= 20
    assert len(boxes) == 4 and boxes[0].box == tight_box(truth) and boxes[1].box != boxes[0].box
    first = clicks[0][0]
    assert first.points[0].positive and (first.points[0].x, first.points[0].y) == (20, 30)
    assert first.mask is None and clicks[1][0].mask is not None
    one = model.answer(first)
    answer = found.answers["click_1"]
    assert (answer.dice, answer.iou) == (dice(one, truth), iou(one, truth))
    assert answer.hd95_px == hd95(one, truth) and answer.hd95_mm is None
    assert found.ious[0] == answer.iou and found.answers["click_5"].iou == found.ious[4]
    assert found.answers["box"].dice == 1 and found.answers["box"].hd95_px == 0
    moved = [dice(model.answer(p), truth) for p in boxes[1:]]
    assert found.answers["box_jitter"].dice == pytest.approx(statistics.fmean(moved))
    assert set(found.answers) == {"click_1", "click_3", "click_5", "box", "box_jitter"}
    assert (found.group, found.clicks, found.seconds_image) == ("anna", 20, 0.5)
    assert found.seconds_prompt == pytest.approx(0.1)


def test_millimetres_where_the_pitch_is_known(rows):
    [found] = score(Annotated(), rows[1:2], KINDS)
    answer = found.answers["click_1"]
    assert answer.hd95_px > 0 and answer.hd95_mm == pytest.approx(answer.hd95_px * 0.25)


def test_only_the_kinds_that_a_model_takes_are_asked(rows):
    [pointed] = score(model := Annotated(), rows[:1], ("point",))
    assert set(pointed.answers) == {"click_1", "click_3", "click_5"}
    assert all(prompts.mask is None for call in model.asked for prompts in call)
    [boxed] = score(Annotated(), rows[:1], ("box",), Protocol(jitters=0))
    assert set(boxed.answers) == {"box"} and boxed.ious == () and boxed.clicks == 0


def test_a_prompt_free_model_is_scored_by_both_component_rules(rows):
    two, one, empty = score(model := Annotated(free=LABELS["one"]), rows, ())
    assert [len(call) for call in model.asked] == [1, 1, 1] and not model.asked[0][0]
    assert two.answers["none"].dice == dice(LABELS["one"], LABELS["two"])
    assert two.answers["none_largest"].dice == dice(LABELS["one"], disk(20, 30, 12))
    assert one.answers["none"].dice == one.answers["none_largest"].dice == 1
    assert empty.answers == {} and empty.marked is True


def test_a_promptable_model_is_not_asked_about_an_empty_label(rows):
    [found] = score(model := Annotated(), rows[2:], KINDS)
    assert found.answers == {} and found.marked is None and model.asked == []


def test_every_system_gets_the_same_jittered_boxes(rows):
    def boxes(order, **rule):
        model = Annotated()
        score(model, order, ("box",), Protocol(**rule))
        return [tuple(p.box for p in call) for call in model.asked]

    once = boxes(rows[:2])
    assert boxes(rows[:2][::-1]) == once[::-1]
    assert boxes(rows[:2], seed=8) != once


def test_an_empty_answer_has_no_distance(rows):
    [found] = score(Annotated(free=LABELS["empty"]), rows[1:2], ())
    assert found.answers["none"].dice == 0 and found.answers["none"].hd95_px is None
    [summed] = summarise([[found]])
    assert summed.prompts["none"].undefined == 1 and summed.prompts["none"].hd95_px is None


def test_means_over_pictures_and_seeds(rows):
    first = score(Annotated(), rows, KINDS)
    second = score(Annotated(), rows, KINDS, Protocol(seed=9))
    [found] = summarise([first, second])
    assert (found.dataset, found.n, found.n_empty) == ("made", 2, 1)
    answers = [p.answers["box_jitter"].dice for run in (first, second) for p in run if p.answers]
    assert found.prompts["box_jitter"].dice.mean == pytest.approx(statistics.fmean(answers))
    assert found.prompts["box_jitter"].dice.n == 4
    assert found.prompts["box"].dice.groups == 1  # two pictures of one patient
    assert found.prompts["click_1"].hd95_mm.n == 2
    needed = [next((k for k, v in enumerate(p.ious, 1) if v >= 0.85), 20) for p in first if p.ious]
    assert found.clicks["85"].noc.mean == pytest.approx(statistics.fmean(needed))
    never = [all(v < 0.9 for v in p.ious) for p in first if p.ious]
    assert found.clicks["90"].failed.mean == pytest.approx(statistics.fmean(never))
    assert len(found.dice_by_click) == 20
    assert found.dice_by_click[0] == pytest.approx(found.prompts["click_1"].dice.mean)
    assert found.dice_by_click[4] == pytest.approx(found.prompts["click_5"].dice.mean)


def test_noc_is_only_given_for_twenty_clicks(rows):
    [found] = summarise([score(Annotated(), rows, KINDS, Protocol(clicks=5))])
    assert found.clicks == {} and len(found.dice_by_click) == 5


def test_a_difference_is_of_the_same_pictures(rows):
    good = score(Annotated(), rows, KINDS)
    free = score(Annotated(), rows, ())
    found = compare([good], [good], "made", "box", "dice")
    assert found.mean == 0 and found.n == 2
    assert compare([good], [free], "made", "box", "dice") is None
    with pytest.raises(RequestError, match="same pictures"):
        compare([good], [good[:1]], "made", "box", "dice")
    with pytest.raises(RequestError, match="every seed"):
        summarise([good, good[:2]])
    with pytest.raises(RequestError, match="at least one picture"):
        summarise([])


def test_a_real_predictor_is_scored_and_its_encoding_timed_once(rows):
    found = score(Predictor("uniultra_mini", device="cpu"), rows[:1], KINDS, Protocol(clicks=5, jitters=1))
    [picture] = found
    assert picture.seconds_image > 0 and picture.seconds_prompt > 0
    assert all(0 <= a.dice <= 1 and not math.isnan(a.dice) for a in picture.answers.values())
    assert picture.answers["box"].dice > 0.5  # a white disk on black, in its box


def test_the_manifest_gives_pitch_and_patient_where_it_has_them(tmp_path):
    def write(*cells):
        lines = ["dataset,id,split,image,mask,spacing_mm,group", *cells]
        (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
        return read_manifest(tmp_path, None, ["test"])

    with_both, without = write("a,1,test,i,m,0.25,p1", "a,2,test,i,m,,")
    assert (with_both.spacing_mm, with_both.group) == (0.25, "p1")
    assert (without.spacing_mm, without.group) == (None, None)
    for wrong in ("nan", "0", "-1", "wide"):
        with pytest.raises(ImageError, match="spacing_mm"):
            write(f"a,1,test,i,m,{wrong},p1")
    (tmp_path / "manifest.csv").write_text("dataset,id,split,image,mask\na,1,test,i,m\n")
    assert read_manifest(tmp_path, None, ["test"])[0].group is None

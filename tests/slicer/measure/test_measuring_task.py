"""Measuring what is looked at, in Slicer's scene: accepted masks only, whose calibration, ED and ES."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from panel_rig import SHAPE, Rig
from scripted_model import ScriptedModel
from scripted_server import Scripted
from shapes import ventricle
from UniUltraLib.measure.calibration import ImageCalibration, uncalibrated
from UniUltraLib.measure.measuring_task import DIASTOLE, HEAD, SYSTOLE, VENTRICLE, MeasuringWork
from UniUltraLib.measure.measuring_task import SHAPE as FORM
from UniUltraLib.scene import measure_table

KNOWN = ImageCalibration((0.5, 0.25), (), "the test's file")


class Reader(Rig):
    """A panel with measurements; `local` is what the image's own file tells."""

    def __init__(self, scene: Any) -> None:
        super().__init__(scene)
        self.local: ImageCalibration = KNOWN
        self.table = measure_table.measurement_table(scene)
        self.work = MeasuringWork(
            self.controller,
            self.scene,
            lambda shown: self.local,
            lambda rows: measure_table.add_rows(self.table, rows),
        )

    def draw(self, mask: np.ndarray, accept: bool = True) -> None:
        if not self.state.segments:
            self.controller.add_segment("heart")
        self.scene.write(self.state.segment, self.scene.shown(), mask)
        if accept:
            self.controller.accept()

    def values(self) -> dict[str, float]:
        return {row.measurement: row.value for row in self.work.state.rows}


@pytest.fixture
def unknown(reader: Reader, server: Scripted) -> ScriptedModel:
    """A model that is connected, and an accepted mask whose own file tells no calibration."""
    model = ScriptedModel(server, SHAPE)
    reader.connect(server.address)
    reader.open(examples.still(), "still-1")
    reader.draw(disk(20))
    reader.local = uncalibrated("nothing.")
    return model


@pytest.fixture
def reader(scene: Any) -> Iterator[Reader]:
    made = Reader(scene)
    yield made
    made.work.close()
    made.close()


def disk(radius: int, x: int = 60, y: int = 45) -> np.ndarray:
    j, i = np.indices(SHAPE)
    return (i - x) ** 2 + (j - y) ** 2 <= radius**2


def on_picture(mask: np.ndarray) -> np.ndarray:
    """A mask in the middle of a picture."""
    ys, xs = np.nonzero(mask)
    cut = mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    picture = np.zeros(SHAPE, bool)
    picture[10 : 10 + cut.shape[0], 12 : 12 + cut.shape[1]] = cut
    return picture


def test_only_an_accepted_mask_is_measured(reader: Reader) -> None:
    reader.open(examples.still(), "still-1")
    reader.draw(disk(20), accept=False)
    assert not reader.work.state.can_measure
    reader.work.measure(FORM)
    assert reader.work.state.rows == () and "accept" in reader.work.state.text
    reader.controller.accept()
    assert reader.work.state.can_measure and not reader.work.state.can_mark
    reader.work.measure(FORM)
    assert reader.values()["area"] == disk(20).sum() * 0.125
    assert len(reader.work.state.lines) == 2
    row = reader.work.state.rows[0]
    assert (row.image, row.segment, row.frame) == ("still-1", "heart", "0")
    assert reader.table.GetNumberOfRows() == len(reader.work.state.rows)
    reader.work.measure(HEAD)
    assert "head circumference" in reader.values()


def test_lines_go_with_the_mask_that_was_measured(reader: Reader) -> None:
    reader.open(examples.still(), "still-1")
    for change in (
        lambda: reader.paint(slice(2, 9), slice(2, 9)),
        lambda: reader.controller.accept(False),
        lambda: reader.open(examples.still(), "still-2"),
    ):
        reader.draw(disk(20))
        reader.work.measure(FORM)
        assert len(reader.work.state.lines) == 2
        change()
        reader.controller.poll()
        assert reader.work.state.lines == ()


def test_nothing_is_open(reader: Reader) -> None:
    assert not reader.work.state.can_measure
    reader.work.measure(FORM)
    reader.work.mark(DIASTOLE)
    reader.work.forget_marks()
    assert reader.work.state.rows == ()


def test_an_accepted_mask_that_is_empty(reader: Reader) -> None:
    reader.open(examples.still())
    reader.draw(np.zeros(SHAPE, bool))
    reader.work.measure(FORM)
    assert "empty" in reader.work.state.text


def test_the_server_is_asked_where_the_file_tells_nothing(
    reader: Reader, server: Scripted, unknown: ScriptedModel
) -> None:
    answer = {"calibration": {"spacing_mm": [0.2, 0.1], "regions": []}}
    unknown.faults["datastore"] = lambda handler: handler.send(200, answer)
    reader.work.measure(FORM)
    reader.until(lambda: reader.work.state.rows)
    assert reader.values()["area"] == pytest.approx(disk(20).sum() * 0.02)
    assert reader.work.state.rows[0].calibration.endswith("server")
    reader.local = KNOWN
    asked = len(server.asked)
    reader.work.measure(FORM)
    assert reader.work.state.rows[-1].calibration.endswith("the test's file")
    assert len([h for h in server.asked[asked:] if h.route == "/datastore/image/info"]) == 0


@pytest.mark.parametrize("reply", [(500, {"detail": "broken"}), (200, {})], ids=["fails", "tells nothing"])
def test_a_server_that_cannot_say_leaves_pixels(
    reader: Reader, unknown: ScriptedModel, reply: tuple[int, dict[str, str]]
) -> None:
    unknown.faults["datastore"] = lambda handler: handler.send(*reply)
    reader.work.measure(FORM)
    reader.until(lambda: reader.work.state.rows)
    assert {row.unit for row in reader.work.state.rows} == {"px", "px²"}
    assert reader.work.state.text.startswith("Uncalibrated")


def test_both_marks_give_the_ejection_fraction(reader: Reader, scene: Any) -> None:
    browser = examples.cine(scene)
    reader.open(browser)
    reader.draw(on_picture(ventricle(60, 30, 24, 2, 2)))
    assert reader.work.state.can_mark
    reader.work.mark(DIASTOLE)
    assert (reader.work.state.diastole, reader.work.state.systole) == (0, None)
    assert "ejection fraction" not in reader.values()
    examples.browse(browser, 3)
    reader.controller.frame_changed()
    assert not reader.work.state.can_mark
    reader.draw(on_picture(ventricle(50, 20, 20, 2, 2)))
    reader.work.mark(SYSTOLE)
    assert (reader.work.state.diastole, reader.work.state.systole) == (0, 3)
    found = reader.values()
    assert found["ejection fraction"] == pytest.approx(
        100 * (1 - found["end-systolic volume"] / found["end-diastolic volume"])
    )
    assert 30 < found["ejection fraction"] < 80
    assert reader.work.state.rows[-1].frame == "0 and 3"
    reader.work.mark(DIASTOLE)  # this frame is the smaller one and already the systole
    assert "one frame" in reader.work.state.text
    assert reader.work.state.diastole == 0, "a mark that gives nothing is not kept"
    reader.work.forget_marks()
    assert (reader.work.state.diastole, reader.work.state.systole) == (None, None)


def test_a_ventricle_with_its_annulus_placed(reader: Reader) -> None:
    reader.open(examples.still())
    reader.draw(disk(20))
    reader.work.measure(VENTRICLE, ((50.0, 64.0), (70.0, 64.0)))
    assert reader.work.state.rows[-1].notes == "annulus placed"
    assert reader.work.state.lines[0] == ((50.0, 64.0), (70.0, 64.0))
    reader.work.mark(DIASTOLE)
    assert "frames of a cine" in reader.work.state.text

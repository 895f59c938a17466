"""Drawing with the mouse in a rendered slice view, beside all that Slicer's own view does with the mouse."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from UniUltraLib.draw.drag_capture import Capture
from UniUltraLib.draw.stroke_outline import NEGATIVE, POSITIVE
from UniUltraLib.prompts.kinds import PROMPT_KINDS
from UniUltraLib.scene.scene import SlicerScene

EVENTS = ("LeftButtonPressEvent", "MouseMoveEvent", "LeftButtonReleaseEvent", "KeyPressEvent")


class Drawing:
    """An image in a view, ready to be drawn on."""

    def __init__(self, scene: Any, application: Any, slice_view: Any, image: Any) -> None:
        self.image = image
        image.CreateDefaultDisplayNodes()
        self.view = slice_view()
        self.view.show(image)
        self.view.picture()
        self.side = SlicerScene(scene)
        self.side.open(self.image)
        self.interaction = application.logic.GetInteractionNode()
        # The mode in which Slicer's own left drag changes window and level.
        self.interaction.SetCurrentInteractionMode(self.interaction.AdjustWindowLevel)
        self.strokes: list[Any] = []
        self.cancelled: list[bool] = []
        self.capture = self.capturing(self.strokes.append)

    def capturing(self, on_stroke: Any) -> Capture:
        cancel = partial(self.cancelled.append, True)
        return Capture(self.view.interactor, self.view.node, self.side, on_stroke, cancel)

    def world(self, *xy: tuple[float, float]) -> Any:
        shown = self.side.shown()
        return self.side.to_world(shown, [(x, y, shown.plane.index) for x, y in xy])

    def release(self, xy: tuple[float, float]) -> None:
        self.view.mouse(self.view.xy(self.world(xy)[0]), "LeftButtonReleaseEvent")

    def pixels(self, stroke: Any) -> np.ndarray:
        return self.side.to_ijk(self.side.shown(), stroke.world)[:, :2]

    @property
    def contrast(self) -> tuple[float, float]:
        display = self.image.GetDisplayNode()
        return display.GetWindow(), display.GetLevel()


@pytest.fixture
def drawing(scene: Any, application: Any, slice_view: Any, request: Any) -> Any:
    made = Drawing(scene, application, slice_view, getattr(request, "param", examples.still)())
    yield made
    made.capture.stop()
    made.interaction.SetCurrentInteractionMode(made.interaction.ViewTransform)
    made.side.close()


def circle() -> list[tuple[float, float]]:
    turn = np.linspace(0, 1.9 * np.pi, 20)
    return [(60 + 30 * np.cos(a), 45 + 25 * np.sin(a)) for a in turn]


def test_without_a_tool_a_drag_is_slicers(drawing: Drawing) -> None:
    before = drawing.contrast
    drawing.view.drag(drawing.world((40, 40), (60, 60), (80, 50)))
    assert drawing.contrast != before and drawing.strokes == []


@pytest.mark.parametrize("kind", ["box", "scribble", "lasso"])
@pytest.mark.parametrize("positive", [True, False])
def test_a_drag_is_a_stroke_and_nothing_else(drawing: Drawing, kind: str, positive: bool) -> None:
    before, offset = drawing.contrast, drawing.view.node.GetSliceOffset()
    drawing.capture.start(kind, positive)
    plain = drawing.view.picture()
    path = circle()
    drawing.view.drag(drawing.world(*path), release=False)
    assert drawing.capture.drawing
    live = drawing.view.picture()
    colour = np.array(POSITIVE if positive else NEGATIVE)
    changed = (live.astype(int) - plain)[(live != plain).any(axis=-1)]
    assert len(changed) > 60, "the outline follows the mouse"
    assert changed.mean(axis=0).argmax() == colour.argmax()
    drawing.release(path[-1])
    (stroke,) = drawing.strokes
    assert (stroke.kind, stroke.positive) == (kind, positive)
    expected = [path[0], path[-1]] if kind == "box" else path
    np.testing.assert_allclose(drawing.pixels(stroke), expected, atol=0.5)
    assert drawing.contrast == before and drawing.view.node.GetSliceOffset() == offset
    np.testing.assert_array_equal(drawing.view.picture(), plain)
    assert drawing.capture.active and not drawing.capture.drawing
    drawing.view.drag(drawing.world(*path))
    assert len(drawing.strokes) == 2, "the tool stays on"


def test_the_pen_marks_what_was_drawn_on_the_screen(drawing: Drawing) -> None:
    drawing.capture.start("scribble")
    plain = drawing.view.picture()
    path = [(20, 30), (60, 60), (95, 25)]
    drawing.view.drag(drawing.world(*path), release=False)
    drawn = (drawing.view.picture() != plain).any(axis=-1)
    drawing.release(path[-1])
    (stroke,) = drawing.strokes
    shown = drawing.side.shown()
    mark = PROMPT_KINDS["scribble"].read(drawing.side.stroke_path(shown, stroke.world, stroke.width))
    rows, columns = np.indices(shown.shape)
    world = drawing.world(*zip(columns.ravel(), rows.ravel(), strict=True))
    at = np.array([drawing.view.xy(place) for place in world]).round().astype(int)
    height, width = drawn.shape
    on = (at[:, 0] >= 0) & (at[:, 0] < width) & (at[:, 1] >= 0) & (at[:, 1] < height)
    seen = drawn[height - 1 - at[on, 1], at[on, 0]]
    marked = mark.ravel()[on]
    assert 2 * (seen & marked).sum() / (seen.sum() + marked.sum()) > 0.9


def test_escape_drops_the_stroke_and_then_the_tool(drawing: Drawing) -> None:
    drawing.capture.start("lasso")
    plain = drawing.view.picture()
    drawing.view.drag(drawing.world(*circle()[:10]), release=False)
    drawing.view.key("Escape")
    assert not drawing.capture.drawing and drawing.cancelled == []
    np.testing.assert_array_equal(drawing.view.picture(), plain)
    drawing.view.mouse((100, 100), "MouseMoveEvent", "LeftButtonReleaseEvent")
    assert drawing.strokes == []
    drawing.view.key("Escape")
    assert drawing.cancelled == [True]


def test_no_stroke_leaves_the_image(drawing: Drawing) -> None:
    before = drawing.contrast
    drawing.capture.start("scribble")
    drawing.view.drag(drawing.world((-6, 40), (60, 40)))
    assert drawing.strokes == [] and drawing.contrast == before, "it must begin on the image"
    drawing.view.drag(drawing.world((60, 40), (130, 40), (130, 120), (60, 120)))
    pixels = drawing.pixels(drawing.strokes[0])
    assert (pixels >= -0.5).all() and (pixels < [119.5, 89.5]).all()
    np.testing.assert_allclose(pixels[2], (119.5, 89.5), atol=0.01)
    drawing.capture.start("box")
    drawing.view.drag(drawing.world((60, 40), (60.2, 40.1)))
    assert len(drawing.strokes) == 1, "a click is no box"


@pytest.mark.parametrize("drawing", [examples.volume], indirect=True, ids=["volume"])
def test_shift_and_wheel_stay_slicers_between_strokes(drawing: Drawing) -> None:
    drawing.capture.start("box")
    origin = drawing.view.node.GetXYZOrigin()
    drawing.view.drag(drawing.world((40, 40), (60, 60)), shift=True)
    assert drawing.view.node.GetXYZOrigin() != origin and drawing.strokes == []
    drawing.interaction.SetCurrentInteractionMode(drawing.interaction.ViewTransform)
    offset = drawing.view.node.GetSliceOffset()
    drawing.view.drag(drawing.world((40, 40), (60, 60)), release=False)
    drawing.view.mouse((160, 120), "MouseWheelForwardEvent")
    assert drawing.view.node.GetSliceOffset() == offset, "not while something is drawn"
    drawing.view.mouse((160, 120), "LeftButtonReleaseEvent")
    drawing.view.mouse((160, 120), "MouseWheelForwardEvent")
    assert drawing.view.node.GetSliceOffset() != offset and len(drawing.strokes) == 1


def test_nothing_stays_after_stop(drawing: Drawing) -> None:
    plain, before = drawing.view.picture(), drawing.contrast
    props = drawing.view.renderer.GetViewProps().GetNumberOfItems()
    for kind in ("box", "lasso", "scribble"):
        drawing.capture.start(kind)
    tags = list(drawing.capture._watch._kept)
    drawing.view.drag(drawing.world(*circle()), release=False)
    drawing.capture.stop()
    assert drawing.view.renderer.GetViewProps().GetNumberOfItems() == props
    assert tags and not any(subject.GetCommand(tag) for subject, tag in tags)
    np.testing.assert_array_equal(drawing.view.picture(), plain)
    drawing.view.mouse((100, 100), "LeftButtonReleaseEvent")
    assert drawing.strokes == []
    drawing.view.drag(drawing.world((40, 40), (60, 60), (80, 50)))
    assert drawing.contrast != before
    with pytest.raises(ValueError, match="box, scribble, lasso"):
        drawing.capture.start("circle")


def test_stopping_from_the_strokes_own_callback(drawing: Drawing) -> None:
    capture = drawing.capturing(lambda _: capture.stop())
    capture.start("box")
    before = drawing.contrast
    drawing.view.drag(drawing.world((40, 40), (60, 60)))
    assert not capture.active and drawing.contrast == before


def test_a_stroke_in_another_view_is_of_its_slice(scene: Any, slice_view: Any) -> None:
    volume = examples.volume()
    red, green = slice_view((200, 150)), slice_view((200, 150), "Green")
    red.show(volume)
    green.show(volume, "Coronal")
    side = SlicerScene(scene)
    side.open(volume)
    side.set_view(red.node)
    got: list[Any] = []
    captures = [Capture(view.interactor, view.node, side, got.append, print) for view in (red, green)]
    for capture in captures:
        capture.start("box")
    index = round(side.to_ijk(side.shown(), [(0, green.node.GetSliceOffset(), 0)])[0][1])
    green.drag(side.to_world(side.shown(), [(40, index, 10), (80, index, 30)]))
    (stroke,) = got
    assert side.shown().plane.axis == "j"
    box = PROMPT_KINDS["box"].read(side.stroke_path(side.shown(), stroke.world))
    np.testing.assert_allclose(box, (40, 10, 80, 30), atol=0.8)
    for capture in captures:
        capture.stop()
    side.close()

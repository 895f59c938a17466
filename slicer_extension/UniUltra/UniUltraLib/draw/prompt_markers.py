"""Draws the prompts of the shown picture in the slice views, where points are placed, moved and deleted with
Slicer's own widgets.

The markers store no prompts: `show` makes the views agree with the caller's. The caller is notified when the
person places, moves or deletes a point, and then calls `show` again.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np
import slicer

from ..prompts.kinds import PROMPT_KINDS
from ..prompts.prompt_set import PromptSet
from ..prompts.shown import VOLUME, Edit, Shown
from ..scene.observers import Observers
from .marker_nodes import OUTLINE, new_points, new_shapes, run_quads, set_areas, set_lines
from .stroke_outline import NEGATIVE, POSITIVE

# Control point ID -> the prompt's key, and where the point was when it was last shown or reported.
Known = Dict[str, Tuple[str, np.ndarray]]
_OUTSIDE = "The point lies outside the image. Place it on the image."


class PromptMarkers:
    """Draws prompts and reports edits of their points.

    Args:
        scene: a `SlicerScene`.
        app_logic: `slicer.app.applicationLogic()`.
        on_edit: called with an `Edit` of the point that was placed, moved or (without `world`) deleted.
        refused: called with a message when a point is put outside the image; the point is taken back.
        stopped: called when placing ends other than by `stop`, as by Esc or Slicer's toolbar.
    """

    def __init__(
        self,
        scene: Any,
        app_logic: Any,
        on_edit: Callable[[Edit], None],
        refused: Callable[[str], None],
        stopped: Callable[[], None],
    ) -> None:
        self._scene, self._logic = scene, app_logic
        self._on_edit, self._refused, self._stopped = on_edit, refused, stopped
        self._points: Dict[bool, Any] = {}
        self._shapes: List[Any] = []
        self._known: Dict[bool, Known] = {True: {}, False: {}}
        self._watch, self._mode_watch = Observers(), Observers()
        self._placing: Optional[bool] = None
        self._dragged = False
        self._own = False
        self._off = scene.on("closed", self._image_closed)

    @property
    def placing(self) -> Optional[bool]:
        """True while positive points are placed, False while negative ones are, else None."""
        return self._placing

    @property
    def observers(self) -> int:
        """The number of observers this object has on nodes."""
        return len(self._watch) + len(self._mode_watch)

    # -- show -------------------------------------------------------------------------------------------

    def show(self, prompts: Optional[PromptSet], shown: Optional[Shown]) -> None:
        """Draw exactly these prompts; nothing when either argument is None."""
        if prompts is None or shown is None:
            self.hide()
            return
        self._need_nodes()
        for positive in (True, False):
            points = {p.key: p.value for p in prompts.of("point") if p.positive is positive}
            self._show_points(positive, points, shown)
        outlines = []
        areas = {True: np.zeros(prompts.shape, bool), False: np.zeros(prompts.shape, bool)}
        for prompt in prompts.prompts:
            kind = PROMPT_KINDS[prompt.kind]
            outline, pixels = kind.outline(prompt.value), kind.pixels(prompt.value, prompts.shape)
            if outline is not None:
                outlines.append(self._world(outline, shown))
            if pixels is not None:
                areas[prompt.positive] |= pixels
        lines, *nodes = self._shapes
        set_lines(lines, outlines)
        for node, positive in zip(nodes, (True, False)):  # noqa: B905 - Python 3.9
            quads = run_quads(areas[positive])
            set_areas(node, self._world(quads.reshape(-1, 2), shown).reshape(-1, 4, 3))
        self._only_in(shown)

    def hide(self) -> None:
        """Draw nothing."""
        with self._own_change():
            for positive, node in self._points.items():
                self._known[positive].clear()
                if node.GetScene() is not None:
                    self._drop_preview(node)
                    node.RemoveAllControlPoints()
            if self._shapes and self._shapes[0].GetScene() is not None:
                set_lines(self._shapes[0], [])
                for node in self._shapes[1:]:
                    set_areas(node, np.zeros((0, 4, 3)))

    def close(self) -> None:
        """Remove nodes and observers from the scene."""
        self._off()
        self._drop_nodes()

    def _image_closed(self) -> None:
        if self._scene.scene.IsClosing():
            self._drop_nodes()
        else:
            self.hide()

    def _drop_nodes(self) -> None:
        self.stop()
        self._watch.clear()
        for node in (*self._points.values(), *self._shapes):
            if node.GetScene() is not None:
                node.GetScene().RemoveNode(node)
        self._points, self._shapes = {}, []
        self._known = {True: {}, False: {}}

    @contextmanager
    def _own_change(self) -> Iterator[None]:
        """Changes of nodes within this context are our own, and are not reported."""
        self._own, was = True, self._own
        try:
            yield
        finally:
            self._own = was

    # -- place ------------------------------------------------------------------------------------------

    def place(self, positive: bool) -> None:
        """Have every click in a slice view place a point, until `stop`."""
        self.stop()
        self._need_nodes()
        selection, interaction = self._logic.GetSelectionNode(), self._logic.GetInteractionNode()
        node = self._points[positive]
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        self._placing = positive
        interaction.SetPlaceModePersistence(1)
        interaction.SetCurrentInteractionMode(interaction.Place)
        self._mode_watch.add(interaction, interaction.InteractionModeChangedEvent, self._mode_changed)

    def stop(self) -> None:
        """Stop placing points."""
        self._mode_watch.clear()
        placing, self._placing = self._placing, None
        if placing is None:
            return
        selection, interaction = self._logic.GetSelectionNode(), self._logic.GetInteractionNode()
        node = self._points.get(placing)
        if node is not None and selection.GetActivePlaceNodeID() == node.GetID():
            # Also when Slicer left the mode by itself: the next point placed must not land in our node.
            selection.SetActivePlaceNodeID(None)
            interaction.SetPlaceModePersistence(0)
            if interaction.GetCurrentInteractionMode() == interaction.Place:
                interaction.SetCurrentInteractionMode(interaction.ViewTransform)

    def _mode_changed(self, interaction: Any, _event: str) -> None:
        if self._placing is not None and interaction.GetCurrentInteractionMode() != interaction.Place:
            self.stop()
            self._stopped()

    # -- edits of points ------------------------------------------------------------------------------

    def _changed(self, positive: bool, *_: Any) -> None:
        """The points of a node changed: report the new, deleted and moved ones."""
        if self._own or self._dragged:
            return
        node, known = self._points[positive], self._known[positive]
        there = _positions(node)
        for name in [name for name in known if name not in there]:
            self._on_edit(Edit("point", positive, key=known.pop(name)[0]))
        for name, world in there.items():
            if name not in known:
                self._take_new(positive, name, world)
            elif np.abs(known[name][1] - world).max() > 1e-6:
                self._take_moved(positive, name, world)

    def _take_new(self, positive: bool, name: str, world: np.ndarray) -> None:
        self._scene.pause()
        self._scene.view_at(world)
        if not self._scene.on_image(world):
            self._remove(positive, name)
            self._refused(_OUTSIDE)
            return
        key = uuid.uuid4().hex[:12]
        if name in _positions(self._points[positive]):  # else the other view's prompts are shown by now
            self._known[positive][name] = (key, world)
        self._on_edit(Edit("point", positive, world, key=key))

    def _take_moved(self, positive: bool, name: str, world: np.ndarray) -> None:
        key, before = self._known[positive][name]
        if not self._scene.on_image(world):
            self._put(positive, name, before)
            self._refused(_OUTSIDE)
            return
        self._known[positive][name] = (key, world)
        self._on_edit(Edit("point", positive, world, key=key))

    def _drag(self, positive: bool, begins: bool, *_: Any) -> None:
        self._dragged = begins
        if not begins:
            self._changed(positive)

    # -- nodes ------------------------------------------------------------------------------------------

    def _show_points(self, positive: bool, points: Dict[str, Any], shown: Shown) -> None:
        node, known = self._points[positive], self._known[positive]
        with self._own_change():
            for name in [name for name, (key, _) in known.items() if key not in points]:
                del known[name]
                self._remove(positive, name)
            held = {key: name for name, (key, _) in known.items()}
            there = _positions(node)
            for key, ijk in points.items():
                name = held.get(key)
                if name is not None and self._voxel(there.get(name), shown) == tuple(ijk):
                    continue  # where the person put it within its voxel
                world = self._scene.to_world(shown, [ijk])[0]
                if name is None:
                    index = node.AddControlPointWorld(*world)
                    name = node.GetNthControlPointID(index)
                else:
                    self._put(positive, name, world)
                known[name] = (key, world)

    def _voxel(self, world: Optional[np.ndarray], shown: Shown) -> Optional[Tuple[int, ...]]:
        if world is None or not self._scene.on_image(world):
            return None
        return tuple(self._scene.voxel(shown, world))

    def _world(self, xy: np.ndarray, shown: Shown) -> np.ndarray:
        ijk = np.full((len(xy), 3), float(shown.plane.index))
        ijk[:, list(shown.plane.in_plane)] = xy
        return self._scene.to_world(shown, ijk)

    def _remove(self, positive: bool, name: str) -> None:
        node = self._points[positive]
        self._drop_preview(node)
        index = node.GetNthControlPointIndexByID(name)
        if index >= 0:
            with self._own_change():
                node.RemoveNthControlPoint(index)

    def _drop_preview(self, node: Any) -> None:
        """Make Slicer drop the preview point under the mouse, which is not placed yet.

        Its widget keeps the index of that point, which changes when an earlier point is removed.
        """
        statuses = map(node.GetNthControlPointPositionStatus, range(node.GetNumberOfControlPoints()))
        if self._placing is None or node.PositionPreview not in list(statuses):
            return
        interaction, placing = self._logic.GetInteractionNode(), self._placing
        with self._own_change():
            self._placing = None
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)
            interaction.SetCurrentInteractionMode(interaction.Place)
            self._placing = placing

    def _put(self, positive: bool, name: str, world: np.ndarray) -> None:
        node = self._points[positive]
        with self._own_change():
            node.SetNthControlPointPositionWorld(node.GetNthControlPointIndexByID(name), *world)

    def _need_nodes(self) -> None:
        """Create the nodes if they are missing, as after the scene was closed."""
        scene = self._scene.scene
        nodes = [*self._points.values(), *self._shapes]
        if nodes and all(node.GetScene() is scene for node in nodes):
            return
        self._drop_nodes()
        for positive in (True, False):
            node = self._points[positive] = new_points(scene, positive)
            kinds = slicer.vtkMRMLMarkupsNode
            changed = partial(self._changed, positive)
            for event in (
                kinds.PointPositionDefinedEvent, kinds.PointRemovedEvent, kinds.PointModifiedEvent,
            ):  # fmt: skip
                self._watch.add(node, event, changed)
            self._watch.add(node, kinds.PointStartInteractionEvent, partial(self._drag, positive, True))
            self._watch.add(node, kinds.PointEndInteractionEvent, partial(self._drag, positive, False))
        self._shapes = [
            new_shapes(scene, "UniUltra outlines", OUTLINE, 1.0),
            new_shapes(scene, "UniUltra positive scribbles", POSITIVE, 0.5),
            new_shapes(scene, "UniUltra negative scribbles", NEGATIVE, 0.5),
        ]

    def _only_in(self, shown: Shown) -> None:
        """Draw the shapes only in the view they belong to: being projected, they would be on every slice."""
        views = self._scene.views() if shown.kind != VOLUME and not shown.oblique else [self._scene.view]
        names = [view.GetID() for view in views if view is not None]
        for node in self._shapes:
            node.GetDisplayNode().SetViewNodeIDs(names)


def _positions(node: Any) -> Dict[str, np.ndarray]:
    """World positions (3,) of the placed control points by ID."""
    return {
        node.GetNthControlPointID(n): np.array(node.GetNthControlPointPositionWorld(n))
        for n in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(n) == node.PositionDefined
    }

"""Other versions beside the own segments: each structure of each becomes a segment, which is never saved."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

from .answers import Colour, Label, Masks
from .unit_masks import Place, check_size, put

# Two versions at once are told apart by these, whatever the structure's colour; then they go round.
COLOURS: Tuple[Colour, ...] = ((0.0, 0.75, 1.0), (1.0, 0.35, 0.8), (1.0, 1.0, 0.2), (0.6, 0.4, 1.0))


class Beside:
    """The segments that show other versions; `ids` are theirs."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self.ids: List[str] = []
        self._shown = 0

    def show(self, place: Place, masks: Masks, whose: str, labels: Sequence[Label]) -> None:
        """Add the masks of a version as segments named after the structure and `whose`.

        Raises:
            SceneError: they are of an image of another size.
        """
        check_size(place, masks.size)
        names = [label.name for label in labels] + sorted({one.label for one in masks.planes})
        there = {one.label for one in masks.planes}
        colour = COLOURS[self._shown % len(COLOURS)]
        self._shown += 1
        made = {}
        for name in dict.fromkeys(names):
            if name in there:
                made[name] = self._scene.add_segment(f"{name} ({whose})", colour)
                self.ids.append(made[name])
        put(self._scene, place, masks, made)

    def hide(self) -> None:
        """Remove them."""
        there = {one.id for one in self._scene.segments()}
        for segment in self.ids:
            if segment in there:
                self._scene.remove_segment(segment)
        self.forget()

    def forget(self) -> None:
        """The image was closed."""
        self.ids, self._shown = [], 0

"""Masks of all structures between the scene and a label: read into one map, and written from packed ones."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Collection, Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np

from ..control.scene_protocol import SceneSide
from ..errors import SceneError
from ..prompts.mask_packing import pack_mask
from ..prompts.planes import Plane, Size
from ..prompts.shown import CINE, SegmentInfo, Shown
from ..wire.campaign_types import Colour, Label, Masks, PlaneMask

# Of what goes along with a label, the server keeps 64 KiB.
MAX_HIDDEN = 40_000
# Two versions at once are told apart by these, whatever the structure's colour; then they go round.
COLOURS: Tuple[Colour, ...] = ((0.0, 0.75, 1.0), (1.0, 0.35, 0.8), (1.0, 1.0, 0.2), (0.6, 0.4, 1.0))


@dataclass(frozen=True)
class Place:
    """The open image, for reading and writing all of its planes."""

    image: str
    kind: str
    size: Size

    def plane(self, number: int) -> Shown:
        """Frame or slice `number`, whatever the view shows."""
        frame = number if self.kind == CINE else None
        count = self.size[2]
        return Shown(self.image, self.kind, Plane("k", number), self.size, False, frame, count, self.image)


@dataclass(frozen=True)
class LabelMap:
    """All structures as one value per voxel.

    Attributes:
        values: (K,J,I) uint8, 0 for nothing.
        drawn: frames (slices) on which something is drawn.
        names: value of each structure.
        hidden: by structure and frame, the pixels that it claims too, but that the later in the list has.
        digest: of all that was drawn.
    """

    values: np.ndarray
    drawn: Tuple[int, ...]
    names: Mapping[str, int]
    hidden: Mapping[Tuple[str, int], np.ndarray]
    digest: bytes

    @property
    def overlap(self) -> int:
        """How many pixels are hidden."""
        return sum(int(mask.sum()) for mask in self.hidden.values())

    def packed_hidden(self) -> Tuple[List[Dict[str, Any]], List[str]]:
        """The hidden pixels as they travel, and the structures of which some are too many to."""
        found: List[Dict[str, Any]] = []
        left_out: Dict[str, None] = {}
        room = MAX_HIDDEN
        for (name, frame), mask in self.hidden.items():
            packed = {"label": name, "frame": frame, **(pack_mask(mask) or {})}
            size = len(json.dumps(packed)) + 2
            if size <= room:
                found.append(packed)
                room -= size
            else:
                left_out[name] = None
        return found, list(left_out)

    @property
    def loss(self) -> str:
        """What a label cannot hold of what is drawn, in words; none when it holds all."""
        if not self.hidden:
            return ""
        text = f"{self.overlap} pixels were in two structures; in the label the later in the list has them."
        _, left_out = self.packed_hidden()
        if left_out:
            text += (
                f" What is hidden of {', '.join(left_out)} is too much to be sent along, so it will not be "
                "kept: it is in this scene only."
            )
        return text

    def only(self, frames: Collection[int]) -> LabelMap:
        """With nothing on the other frames."""
        values = self.values.copy()
        values[[n for n in range(len(values)) if n not in frames]] = 0
        drawn = tuple(n for n in self.drawn if n in frames)
        hidden = {place: mask for place, mask in self.hidden.items() if place[1] in frames}
        return LabelMap(values, drawn, self.names, hidden, self.digest)


def collect(
    scene: SceneSide,
    place: Place,
    labels: Sequence[Label],
    leave_out: Collection[str] = (),
) -> LabelMap:
    """Read what the segments hold.

    Args:
        labels: the campaign's; none: each segment is a structure of its own, numbered from 1.
        leave_out: segments (ids) that are no label, such as another reader's.

    Raises:
        SceneError: something is drawn in a segment that is not a structure of the campaign.
    """
    segments = [segment for segment in scene.segments() if segment.id not in leave_out]
    names = {label.name: label.index for label in labels} or _numbered(segments)
    values = np.zeros(place.size[::-1], np.uint8)
    hidden: Dict[Tuple[str, int], np.ndarray] = {}
    drawn = set()
    owners = {index: name for name, index in names.items()}
    digest = hashlib.sha256()
    for segment, number, mask in drawn_planes(scene, place, segments):
        index = names.get(segment.name)
        if index is None:
            raise SceneError(
                f"The segment {segment.name} is not a structure of the campaign "
                f"({', '.join(names)}). Give it one of these names, or remove it."
            )
        note(digest, segment.name, number, mask)
        drawn.add(number)
        for other in np.unique(values[number][mask]):
            if other:
                place_of = owners[int(other)], number
                hidden[place_of] = hidden.get(place_of, False) | (mask & (values[number] == other))
        values[number][mask] = index
    return LabelMap(values, tuple(sorted(drawn)), names, hidden, digest.digest())


def drawn_planes(
    scene: SceneSide, place: Place, segments: Sequence[SegmentInfo]
) -> Iterator[Tuple[SegmentInfo, int, np.ndarray]]:
    """Each segment's frames (slices) on which something is drawn, with the mask."""
    for segment in segments:
        for number in range(place.size[2]):
            mask = scene.read(segment.id, place.plane(number))
            if mask.any():
                yield segment, number, mask


def note(digest: Any, name: str, number: int, mask: np.ndarray) -> None:
    """Add what is drawn on a plane to a digest."""
    digest.update(f"{name}:{number}:".encode() + np.packbits(mask).tobytes())


def ensure(scene: SceneSide, labels: Sequence[Label]) -> Dict[str, str]:
    """Add a segment for each structure that has none; the id of each by name."""
    ids = {segment.name: segment.id for segment in scene.segments()}
    for label in labels:
        if label.name not in ids:
            ids[label.name] = scene.add_segment(label.name, label.colour)
    return ids


def put(scene: SceneSide, place: Place, masks: Masks, segments: Mapping[str, str]) -> None:
    """Write masks into the segments (name -> id); what these held on other planes stays.

    Raises:
        SceneError: the masks are of an image of another size.
        PackedMaskError: a mask is damaged.
    """
    check_size(place, masks.size)
    for plane in masks.planes:
        if plane.label in segments:
            scene.write(segments[plane.label], place.plane(plane.frame), plane.pixels(place.size))


def put_hidden(
    scene: SceneSide, place: Place, hidden: Sequence[PlaneMask], segments: Mapping[str, str]
) -> None:
    """Add pixels that a label file could not hold, as another structure has them there.

    Raises:
        PackedMaskError: a mask is damaged.
    """
    for plane in hidden:
        if plane.label in segments and 0 <= plane.frame < place.size[2]:
            shown, segment = place.plane(plane.frame), segments[plane.label]
            scene.write(segment, shown, scene.read(segment, shown) | plane.pixels(place.size))


def clear(scene: SceneSide, place: Place, segments: Collection[str]) -> None:
    """Empty segments (ids)."""
    for segment in segments:
        for number in range(place.size[2]):
            shown = place.plane(number)
            if scene.read(segment, shown).any():
                scene.write(segment, shown, np.zeros(shown.shape, bool))


def check_size(place: Place, size: Sequence[int]) -> None:
    """Refuse what belongs to an image of another size.

    Raises:
        SceneError: so.
    """
    if tuple(size) != tuple(place.size):
        raise SceneError(
            f"Expected an image of {_by(place.size)} voxels, as it is open here; the server's has "
            f"{_by(size)}. Open the campaign's image itself."
        )


def _numbered(segments: Sequence[Any]) -> Dict[str, int]:
    return {segment.name: number for number, segment in enumerate(segments, 1)}


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


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
        order = [label.name for label in labels]
        names = sorted({plane.label for plane in masks.planes})
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
        colour = COLOURS[self._shown % len(COLOURS)]
        self._shown += 1
        made = {name: self._scene.add_segment(f"{name} ({whose})", colour) for name in names}
        self.ids += made.values()
        put(self._scene, place, masks, made)

    def hide(self) -> None:
        """Remove them."""
        left = {segment.id for segment in self._scene.segments()}
        for segment in self.ids:
            if segment in left:
                self._scene.remove_segment(segment)
        self.forget()

    def forget(self) -> None:
        """The image was closed."""
        self.ids, self._shown = [], 0

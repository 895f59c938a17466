"""Label maps: the masks of all structures read from the scene, and masks of the server written into it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, Collection, Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np

from ..control.scene_protocol import SceneSide
from ..errors import SceneError
from ..prompts.mask_packing import pack_mask
from ..prompts.planes import Plane, Size
from ..prompts.shown import CINE, SegmentInfo, Shown
from ..wire.campaign_types import Colour, Label, Masks, PlaneMask

# Bytes of packed hidden pixels; the server stores at most 64 KiB of metadata with a label.
MAX_HIDDEN = 40_000
# Colours that distinguish versions shown at the same time, whatever the structure's own; used in rotation.
COLOURS: Tuple[Colour, ...] = ((0.0, 0.75, 1.0), (1.0, 0.35, 0.8), (1.0, 1.0, 0.2), (0.6, 0.4, 1.0))


@dataclass(frozen=True)
class Place:
    """An image of the campaign and its geometry.

    Attributes:
        image: its ID.
        kind: `still`, `cine` or `volume`.
        size: (I,J,K) voxels; (I,J,T) of a cine.
        ijk_to_ras: (4,4) matrix, mm.
    """

    image: str
    kind: str
    size: Size
    ijk_to_ras: np.ndarray = field(default_factory=lambda: np.eye(4))

    def plane(self, number: int) -> Shown:
        """Frame or slice `number`, whatever the view shows."""
        frame = number if self.kind == CINE else None
        count = self.size[2]
        return Shown(self.image, self.kind, Plane("k", number), self.size, False, frame, count, self.image)


@dataclass(frozen=True)
class LabelMap:
    """All structures as one value per voxel.

    Attributes:
        values: (K,J,I) uint8, 0 for background.
        drawn: frames or slices with any mask.
        names: value of each structure.
        hidden: by structure and frame, pixels of the structure whose value is that of a later structure.
        digest: SHA-256 of all masks, to detect changes.
    """

    values: np.ndarray
    drawn: Tuple[int, ...]
    names: Mapping[str, int]
    hidden: Mapping[Tuple[str, int], np.ndarray]
    digest: bytes

    def packed_hidden(self) -> Tuple[List[Dict[str, Any]], List[str]]:
        """The hidden pixels as they are sent, and the structures with hidden pixels beyond `MAX_HIDDEN`."""
        entries: List[Dict[str, Any]] = []
        left_out: Dict[str, None] = {}
        room = MAX_HIDDEN
        for (name, frame), mask in self.hidden.items():
            entry = {"label": name, "frame": frame, **(pack_mask(mask) or {})}
            size = len(json.dumps(entry)) + 2
            if size <= room:
                entries.append(entry)
                room -= size
            else:
                left_out[name] = None
        return entries, list(left_out)

    @property
    def loss(self) -> str:
        """What the label file cannot hold, as a sentence for the person; empty if it holds everything."""
        if not self.hidden:
            return ""
        overlap = sum(int(mask.sum()) for mask in self.hidden.values())
        text = f"{overlap} pixels were in two structures; in the label the later in the list has them."
        _, left_out = self.packed_hidden()
        if left_out:
            text += (
                f" The hidden pixels of {', '.join(left_out)} are too many to be sent, so they will not be "
                "kept: they are in this scene only."
            )
        return text

    def only(self, frames: Collection[int]) -> LabelMap:
        """The same label, with the frames that are not in `frames` emptied."""
        values = self.values.copy()
        values[[n for n in range(len(values)) if n not in frames]] = 0
        hidden = {(name, frame): mask for (name, frame), mask in self.hidden.items() if frame in frames}
        drawn = tuple(n for n in self.drawn if n in frames)
        return replace(self, values=values, drawn=drawn, hidden=hidden)


def collect(
    scene: SceneSide,
    place: Place,
    labels: Sequence[Label],
    leave_out: Collection[str] = (),
) -> LabelMap:
    """Read the masks of all segments into a label map.

    Args:
        labels: the campaign's structures; if empty, each segment is a structure, numbered from 1.
        leave_out: IDs of segments that do not belong to the label, such as another reader's.

    Raises:
        SceneError: a segment with a mask is not a structure of the campaign.
    """
    segments = [segment for segment in scene.segments() if segment.id not in leave_out]
    names = {label.name: label.index for label in labels}
    names = names or {segment.name: number for number, segment in enumerate(segments, 1)}
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
                hidden_at = owners[int(other)], number
                hidden[hidden_at] = hidden.get(hidden_at, False) | (mask & (values[number] == other))
        values[number][mask] = index
    return LabelMap(values, tuple(sorted(drawn)), names, hidden, digest.digest())


def drawn_planes(
    scene: SceneSide, place: Place, segments: Sequence[SegmentInfo]
) -> Iterator[Tuple[SegmentInfo, int, np.ndarray]]:
    """The frames or slices of each segment that are not empty, with the mask, (rows, columns) bool."""
    for segment in segments:
        for number in range(place.size[2]):
            mask = scene.read(segment.id, place.plane(number))
            if mask.any():
                yield segment, number, mask


def note(digest: Any, name: str, number: int, mask: np.ndarray) -> None:
    """Add the mask of a segment on a plane to a digest."""
    digest.update(f"{name}:{number}:".encode() + np.packbits(mask).tobytes())


def ensure(scene: SceneSide, labels: Sequence[Label]) -> Dict[str, str]:
    """Add a segment for each structure without one; returns the IDs of all segments by name."""
    ids = {segment.name: segment.id for segment in scene.segments()}
    for label in labels:
        if label.name not in ids:
            ids[label.name] = scene.add_segment(label.name, label.colour)
    return ids


def put(
    scene: SceneSide,
    place: Place,
    masks: Sequence[PlaneMask],
    segments: Mapping[str, str],
    *,
    add: bool = False,
) -> None:
    """Write masks into the segments (name -> ID); other planes stay as they are.

    Args:
        add: add the pixels to the segment instead of replacing its mask on the plane.

    Raises:
        PackedMaskError: a mask is damaged.
    """
    for mask in masks:
        if mask.label in segments and 0 <= mask.frame < place.size[2]:
            shown, segment = place.plane(mask.frame), segments[mask.label]
            pixels = mask.pixels(place.size)
            scene.write(segment, shown, pixels | scene.read(segment, shown) if add else pixels)


def clear(scene: SceneSide, place: Place, segments: Collection[str]) -> None:
    """Empty segments, given by their IDs, on all planes."""
    for segment in segments:
        for number in range(place.size[2]):
            shown = place.plane(number)
            if scene.read(segment, shown).any():
                scene.write(segment, shown, np.zeros(shown.shape, bool))


def check_size(place: Place, size: Sequence[int]) -> None:
    """Check that something of the server belongs to an image of the size of `place`.

    Raises:
        SceneError: the sizes differ.
    """
    here, there = (" x ".join(map(str, s)) for s in (place.size, size))
    if here != there:
        raise SceneError(
            f"Expected an image of {here} voxels, as it is open here; the server's has {there}. Open the "
            "campaign's image itself."
        )


class Beside:
    """The segments that show other versions for comparison; `ids` are their IDs."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self.ids: List[str] = []
        self._shown = 0

    def show(self, place: Place, masks: Masks, whose: str, labels: Sequence[Label]) -> None:
        """Add the masks of a version as segments named after the structure and `whose`.

        Raises:
            SceneError: the masks are of an image of another size.
        """
        check_size(place, masks.size)
        order = [label.name for label in labels]
        names = sorted({plane.label for plane in masks.planes})
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
        colour = COLOURS[self._shown % len(COLOURS)]
        self._shown += 1
        segments = {name: self._scene.add_segment(f"{name} ({whose})", colour) for name in names}
        self.ids += segments.values()
        put(self._scene, place, masks.planes, segments)

    def hide(self) -> None:
        """Remove the segments."""
        left = {segment.id for segment in self._scene.segments()}
        for segment in self.ids:
            if segment in left:
                self._scene.remove_segment(segment)
        self.forget()

    def forget(self) -> None:
        """The image was closed."""
        self.ids, self._shown = [], 0

"""What the person said about one segment on one plane of one image, and how that travels.

A `PromptSet` never changes: every edit gives a new one, so keeping the old one is all that undo needs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..errors import PromptsError
from .mask_packing import check_runs, pack_mask, pack_runs, unpack_runs
from .planes import Plane, Size, Voxel, describe, nearest_voxel

Box = Tuple[int, int, int, int]
Polygon = Tuple[Tuple[float, float], ...]


class Point(NamedTuple):
    """A click on a voxel; `key` is the control point it came from, so that moving that moves this."""

    key: str
    ijk: Voxel
    positive: bool = True


class Scribble(NamedTuple):
    """Painted pixels of the plane's picture as run lengths over `bbox`."""

    key: str
    bbox: Box
    runs: Tuple[int, ...]
    positive: bool = True


@dataclass(frozen=True)
class PromptSet:
    """The prompts of one segment on `plane` of an image of `size` = (I,J,K) voxels.

    `box` (x0,y0,x1,y1, corners included) and `lasso` are pixels of the plane's picture. `previous` is
    the mask to refine; it is not kept by `to_dict`, since the segment itself holds it.
    """

    size: Size
    plane: Plane
    points: Tuple[Point, ...] = ()
    box: Optional[Box] = None
    scribbles: Tuple[Scribble, ...] = ()
    lasso: Optional[Polygon] = None
    previous: Optional[np.ndarray] = field(default=None, compare=False)

    def __post_init__(self) -> None:
        self.plane.check(self.size)

    def __bool__(self) -> bool:
        return bool(self.points or self.box or self.scribbles or self.lasso or self.previous is not None)

    @property
    def shape(self) -> Tuple[int, int]:
        """(rows, columns) of the plane's picture."""
        return self.plane.shape(self.size)

    def with_point(self, key: str, ijk: Sequence[float], positive: bool = True) -> PromptSet:
        """Add the point `key`, or move it if it is there.

        Raises:
            OutsideImage: `ijk` is not in the image.
            PromptsError: `ijk` is on another plane.
        """
        voxel = nearest_voxel(ijk, self.size)
        if voxel[self.plane.normal] != self.plane.index:
            raise PromptsError(
                f"Expected a point on plane {self.plane.index} across {self.plane.axis}; got one on plane "
                f"{voxel[self.plane.normal]}. Give that plane its own prompts."
            )
        point = Point(key, voxel, positive)
        if any(p.key == key for p in self.points):
            return replace(self, points=tuple(point if p.key == key else p for p in self.points))
        return replace(self, points=(*self.points, point))

    def without_point(self, key: str) -> PromptSet:
        """Remove the point `key`, if it is there."""
        return replace(self, points=tuple(p for p in self.points if p.key != key))

    def with_box(self, corners: Optional[Sequence[float]]) -> PromptSet:
        """Set the box from two opposite corners (x,y,x,y) in any order, or remove it with None.

        Raises:
            OutsideImage: a corner is not on the picture.
        """
        if corners is None:
            return replace(self, box=None)
        xs, ys = sorted((corners[0], corners[2])), sorted((corners[1], corners[3]))
        x0, y0 = self._pixel(xs[0], ys[0])
        x1, y1 = self._pixel(xs[1], ys[1])
        return replace(self, box=(x0, y0, x1, y1))

    def with_scribble(self, key: str, pixels: np.ndarray, positive: bool = True) -> PromptSet:
        """Add or replace the scribble `key`: true pixels of a (rows, columns) array; none removes it.

        Raises:
            PromptsError: the array is not of the picture's shape.
        """
        self._same_shape(pixels, "scribble")
        others = tuple(s for s in self.scribbles if s.key != key)
        packed = pack_runs(pixels)
        if packed is None:
            return replace(self, scribbles=others)
        scribble = Scribble(key, tuple(packed["bbox"]), tuple(packed["runs"]), positive)  # type: ignore[arg-type]
        return replace(self, scribbles=(*others, scribble))

    def scribble_pixels(self, key: str) -> np.ndarray:
        """The (rows, columns) bool pixels of the scribble `key`; none are true if it is not there."""
        for scribble in self.scribbles:
            if scribble.key == key:
                return unpack_runs(scribble.bbox, list(scribble.runs), self.shape)
        return np.zeros(self.shape, bool)

    def with_lasso(self, polygon: Optional[Sequence[Sequence[float]]]) -> PromptSet:
        """Set the closed outline from its (x,y) corners, or remove it with None.

        Raises:
            OutsideImage: a corner is not on the picture.
            PromptsError: there are fewer than three corners.
        """
        if polygon is None:
            return replace(self, lasso=None)
        if len(polygon) < 3:
            raise PromptsError(f"A lasso needs 3 corners or more; got {len(polygon)}. Draw a longer outline.")
        for x, y in polygon:
            self._pixel(x, y)
        return replace(self, lasso=tuple((round(float(x), 2), round(float(y), 2)) for x, y in polygon))

    def with_previous(self, mask: Optional[np.ndarray]) -> PromptSet:
        """Set the (rows, columns) mask to refine; None or an empty mask removes it.

        Raises:
            PromptsError: the mask is not of the picture's shape.
        """
        if mask is None or not np.any(mask):
            return replace(self, previous=None)
        self._same_shape(mask, "mask")
        return replace(self, previous=np.array(mask, bool))

    def to_params(self) -> Dict[str, Any]:
        """These prompts as the server's `params`, JSON-ready."""
        params: Dict[str, Any] = {
            "plane": self.plane.to_dict(),
            "foreground": [list(p.ijk) for p in self.points if p.positive],
            "background": [list(p.ijk) for p in self.points if not p.positive],
        }
        if self.box:
            params["roi"] = self._roi(self.box)
        if self.scribbles:
            params["scribbles"] = [
                {"positive": s.positive, "bbox": list(s.bbox), "runs": list(s.runs)} for s in self.scribbles
            ]
        if self.lasso:
            params["lasso"] = [list(corner) for corner in self.lasso]
        if self.previous is not None:
            params["mask"] = pack_mask(self.previous)
        return params

    def to_dict(self) -> Dict[str, Any]:
        """These prompts with their keys, JSON-ready, to be kept with the segment."""
        return {
            "size": list(self.size),
            "plane": self.plane.to_dict(),
            "points": [[p.key, list(p.ijk), p.positive] for p in self.points],
            "box": list(self.box) if self.box else None,
            "scribbles": [[s.key, list(s.bbox), list(s.runs), s.positive] for s in self.scribbles],
            "lasso": [list(corner) for corner in self.lasso] if self.lasso else None,
        }

    @classmethod
    def from_dict(cls, value: Any) -> PromptSet:
        """The prompts that `to_dict` wrote.

        Raises:
            PromptsError: `value` is something else, or holds a prompt outside its image.
        """
        try:
            i, j, k = (int(n) for n in value["size"])
            prompts = cls((i, j, k), Plane.from_dict(value["plane"]))
            for key, ijk, positive in value["points"]:
                prompts = prompts.with_point(str(key), ijk, bool(positive))
            for key, bbox, runs, positive in value["scribbles"]:
                corners = check_runs(bbox, runs, prompts.shape)
                scribble = Scribble(str(key), corners, tuple(runs), bool(positive))
                prompts = replace(prompts, scribbles=(*prompts.scribbles, scribble))
            return prompts.with_box(value["box"]).with_lasso(value["lasso"])
        except PromptsError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError, IndexError, OverflowError):
            raise PromptsError("Stored prompts cannot be read. Place them again.") from None

    def _roi(self, box: Box) -> List[int]:
        extent = list(self.plane.extent(self.size))
        for axis, low, high in ((self.plane.in_plane[0], 0, 2), (self.plane.in_plane[1], 1, 3)):
            extent[2 * axis], extent[2 * axis + 1] = box[low], box[high]
        return extent

    def _pixel(self, x: float, y: float) -> Tuple[int, int]:
        voxel = nearest_voxel(self.plane.to_ijk(float(x), float(y)), self.size)
        return voxel[self.plane.in_plane[0]], voxel[self.plane.in_plane[1]]

    def _same_shape(self, pixels: np.ndarray, what: str) -> None:
        if np.shape(pixels) != self.shape:
            raise PromptsError(
                f"A {what} on plane {self.plane.index} across {self.plane.axis} of {describe(self.size)} "
                f"must have {self.shape[0]} x {self.shape[1]} pixels (rows x columns); got "
                f"{' x '.join(map(str, np.shape(pixels)))}."
            )


class PromptBook:
    """Every segment's prompts, by image, plane and segment; an image is named by its content hash or id."""

    def __init__(self) -> None:
        self._sets: Dict[Tuple[str, Plane, str], PromptSet] = {}

    def get(self, image: str, plane: Plane, segment: str, size: Size) -> PromptSet:
        """The prompts of `segment` on `plane` of `image`; an empty set when nothing was said yet.

        Raises:
            PromptsError: the kept prompts belong to an image of another size.
        """
        kept = self._sets.get((image, plane, segment))
        if kept is None:
            return PromptSet(size, plane)
        if kept.size != size:
            raise PromptsError(f"The kept prompts belong to {describe(kept.size)}; got {describe(size)}.")
        return kept

    def put(self, image: str, segment: str, prompts: PromptSet) -> None:
        """Keep a set; an empty one is forgotten."""
        key = (image, prompts.plane, segment)
        if prompts:
            self._sets[key] = prompts
        else:
            self._sets.pop(key, None)

    def forget_segment(self, segment: str) -> None:
        """Drop the prompts of a segment that was removed."""
        self._sets = {key: value for key, value in self._sets.items() if key[2] != segment}

    def to_tag(self, segment: str) -> str:
        """A segment's prompts on every plane and image, as the text of a segment tag."""
        kept = [
            {"image": image, **prompts.to_dict()}
            for (image, _, owner), prompts in self._sets.items()
            if owner == segment
        ]
        # A .seg.nrrd header joins its tags with "|".
        return json.dumps(kept, separators=(",", ":")).replace("|", "\\u007c")

    def from_tag(self, segment: str, text: str) -> None:
        """Take back what `to_tag` wrote, in place of what is kept for `segment`.

        Raises:
            PromptsError: `text` is something else; what was kept stays.
        """
        try:
            entries = json.loads(text)
            if not isinstance(entries, list):
                raise TypeError
            kept = [(str(entry["image"]), PromptSet.from_dict(entry)) for entry in entries]
        except PromptsError:
            raise
        except (KeyError, TypeError, ValueError, RecursionError):
            raise PromptsError("Stored prompts cannot be read. Place them again.") from None
        self.forget_segment(segment)
        for image, prompts in kept:
            self.put(image, segment, prompts)

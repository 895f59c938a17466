"""The kinds of prompts: how each is read from a stroke, checked, sent, stored and drawn.

A new kind needs a class here with its entry in `PROMPT_KINDS`, a tool in `draw/tools.py`, and that tool's
button and icon in Resources; nothing else in the extension names a drawn kind. Values are hashable, so that
prompts can be compared.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..errors import OutsideImage, PromptsError
from .mask_packing import check_runs, pack_runs, unpack_runs
from .planes import Plane, Size, describe, nearest_voxel
from .strokes import StrokePath, box_corners, lasso_corners, pen_mark

# The gesture over a slice view: a click, or a drag that gives two corners, an outline, or the mark of a pen.
CLICK, CORNERS, OUTLINE, PEN = "click", "corners", "outline", "pen"
# The server's name for the mask to refine: a kind of prompt there, but not drawn as one here.
MASK = "mask"


class Prompt(NamedTuple):
    """One prompt of a `PromptSet`.

    Attributes:
        kind: name of its entry in `PROMPT_KINDS`, whose class documents `value`.
        key: identifies the prompt among those of its kind; a point keeps its key when it is moved.
        positive: True if the prompt lies on the structure, False if on the background.
    """

    kind: str
    value: Any
    key: str = ""
    positive: bool = True


class Picture(NamedTuple):
    """The plane that prompts lie on, in an image of `size` = (I,J,K) voxels."""

    plane: Plane
    size: Size

    @property
    def shape(self) -> Tuple[int, int]:
        """(rows, columns)."""
        return self.plane.shape(self.size)

    def pixel(self, x: float, y: float) -> Tuple[int, int]:
        """The pixel (x,y) that contains a position.

        Raises:
            OutsideImage: the position is not on the picture.
        """
        voxel = nearest_voxel(self.plane.to_ijk(float(x), float(y)), self.size)
        return voxel[self.plane.in_plane[0]], voxel[self.plane.in_plane[1]]

    def check_shape(self, pixels: np.ndarray, what: str) -> None:
        """Check that an array has the picture's shape.

        Raises:
            PromptsError: the shapes differ.
        """
        if np.shape(pixels) != self.shape:
            raise PromptsError(
                f"A {what} on plane {self.plane.index} across {self.plane.axis} of {describe(self.size)} "
                f"must have {self.shape[0]} x {self.shape[1]} pixels (rows x columns); got "
                f"{' x '.join(map(str, np.shape(pixels)))}."
            )


class Kind:
    """Behaviour of a kind of prompt.

    Attributes:
        stored: key in `PromptSet.to_dict`, which is kept in saved scenes and on the server.
        gesture: CLICK, CORNERS, OUTLINE or PEN.
        many: a picture may have several prompts of the kind; else a new prompt replaces the old one.
    """

    stored = ""
    gesture = CLICK
    many = False

    def read(self, path: StrokePath) -> Any:
        """Convert a stroke over the picture into a value for `check`.

        Raises:
            OutsideImage: the stroke misses the picture.
            PromptsError: the stroke cannot be a prompt of this kind.
        """
        raise NotImplementedError

    def check(self, value: Any, picture: Picture) -> Any:
        """Check a value and bring it into the form in which `Prompt` holds it.

        Raises:
            OutsideImage: a part of the prompt is not on the picture.
            PromptsError: the value cannot be a prompt of this kind.
        """
        raise NotImplementedError

    def to_params(self, prompts: Sequence[Prompt], picture: Picture) -> Dict[str, Any]:
        """The entries for the prompts of this kind in a request; see docs/wire.md."""
        raise NotImplementedError

    def to_stored(self, prompt: Prompt) -> Any:
        """A prompt as JSON."""
        return [prompt.key, list(prompt.value), prompt.positive] if self.many else list(prompt.value)

    def from_stored(self, entry: Any, picture: Picture) -> Tuple[Any, str, bool]:
        """Value, key and sign of a prompt that `to_stored` wrote; a malformed entry raises any error."""
        key, value, positive = entry if self.many else ("", entry, True)
        return self.check(value, picture), str(key), bool(positive)

    def agrees(self, prompt: Prompt, mask: np.ndarray, picture: Picture) -> bool:
        """Whether a (rows, columns) mask is consistent with the prompt."""
        return False

    def outline(self, value: Any) -> Optional[np.ndarray]:
        """The closed line to draw, (N,2) pixels (x,y); None if the kind is not drawn as a line."""
        return None

    def pixels(self, value: Any, shape: Tuple[int, int]) -> Optional[np.ndarray]:
        """The area to draw, (rows, columns) bool; None if the kind is not drawn as an area."""
        return None


class PointKind(Kind):
    """A click on a voxel: (i,j,k)."""

    stored = "points"
    many = True

    def check(self, value: Any, picture: Picture) -> Any:
        plane, voxel = picture.plane, nearest_voxel(value, picture.size)
        if voxel[plane.normal] != plane.index:
            raise OutsideImage(
                f"Expected a point on the shown slice, plane {plane.index} across {plane.axis}; got a point "
                f"on plane {voxel[plane.normal]}. Place it in that slice's view."
            )
        return voxel

    def to_params(self, prompts: Sequence[Prompt], picture: Picture) -> Dict[str, Any]:
        groups = (("foreground", True), ("background", False))
        return {name: [list(p.value) for p in prompts if p.positive is sign] for name, sign in groups}

    def agrees(self, prompt: Prompt, mask: np.ndarray, picture: Picture) -> bool:
        x, y = (int(n) for n in picture.plane.to_xy(prompt.value))
        return bool(mask[y, x] == prompt.positive)


class BoxKind(Kind):
    """A rectangle: (x0,y0,x1,y1) pixels, corners included; given as two opposite corners in any order."""

    stored = "box"
    gesture = CORNERS

    def read(self, path: StrokePath) -> Any:
        return box_corners(path.xy, path.shape)

    def check(self, value: Any, picture: Picture) -> Any:
        xs, ys = sorted((value[0], value[2])), sorted((value[1], value[3]))
        return (*picture.pixel(xs[0], ys[0]), *picture.pixel(xs[1], ys[1]))

    def to_params(self, prompts: Sequence[Prompt], picture: Picture) -> Dict[str, Any]:
        if not prompts:
            return {}
        (x, y), extent = picture.plane.in_plane, list(picture.plane.extent(picture.size))
        extent[2 * x], extent[2 * y], extent[2 * x + 1], extent[2 * y + 1] = prompts[0].value
        return {"roi": extent}

    def agrees(self, prompt: Prompt, mask: np.ndarray, picture: Picture) -> bool:
        x0, y0, x1, y1 = prompt.value
        return bool(mask[y0 : y1 + 1, x0 : x1 + 1].sum() == mask.sum())

    def outline(self, value: Any) -> Optional[np.ndarray]:
        x0, y0, x1, y1 = value
        left, top, right, bottom = x0 - 0.5, y0 - 0.5, x1 + 0.5, y1 + 0.5  # a box includes its corner pixels
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


class ScribbleKind(Kind):
    """Painted pixels: (bbox, run lengths over it); given as (rows, columns) bool."""

    stored = "scribbles"
    gesture = PEN
    many = True

    def read(self, path: StrokePath) -> Any:
        return pen_mark(path)

    def check(self, value: Any, picture: Picture) -> Any:
        picture.check_shape(value, "scribble")
        packed = pack_runs(value)
        if packed is None:
            raise OutsideImage("The scribble marks no pixel of the image. Draw it on the image.")
        return tuple(packed["bbox"]), tuple(packed["runs"])

    def to_params(self, prompts: Sequence[Prompt], picture: Picture) -> Dict[str, Any]:
        sent = [{"positive": p.positive, "bbox": list(p.value[0]), "runs": list(p.value[1])} for p in prompts]
        return {"scribbles": sent} if sent else {}

    def to_stored(self, prompt: Prompt) -> Any:
        return [prompt.key, *map(list, prompt.value), prompt.positive]

    def from_stored(self, entry: Any, picture: Picture) -> Tuple[Any, str, bool]:
        key, bbox, runs, positive = entry
        return (check_runs(bbox, runs, picture.shape), tuple(runs)), str(key), bool(positive)

    def agrees(self, prompt: Prompt, mask: np.ndarray, picture: Picture) -> bool:
        return bool((mask[self.pixels(prompt.value, picture.shape)] == prompt.positive).all())

    def pixels(self, value: Any, shape: Tuple[int, int]) -> Optional[np.ndarray]:
        return unpack_runs(value[0], list(value[1]), shape)


class LassoKind(Kind):
    """A closed outline: its (x,y) corners in pixels."""

    stored = "lasso"
    gesture = OUTLINE

    def read(self, path: StrokePath) -> Any:
        return lasso_corners(path.xy, path.shape)

    def check(self, value: Any, picture: Picture) -> Any:
        if len(value) < 3:
            raise PromptsError(f"A lasso needs 3 corners or more; got {len(value)}. Draw a longer outline.")
        for x, y in value:
            picture.pixel(x, y)
        return tuple((round(float(x), 2), round(float(y), 2)) for x, y in value)

    def to_params(self, prompts: Sequence[Prompt], picture: Picture) -> Dict[str, Any]:
        return {"lasso": self.to_stored(prompts[0])} if prompts else {}

    def to_stored(self, prompt: Prompt) -> List[List[float]]:
        return [list(corner) for corner in prompt.value]

    def outline(self, value: Any) -> Optional[np.ndarray]:
        return np.array(value)


# By the server's names, in the order in which prompts are sent and stored.
PROMPT_KINDS: Mapping[str, Kind] = {
    "point": PointKind(),
    "box": BoxKind(),
    "scribble": ScribbleKind(),
    "lasso": LassoKind(),
}

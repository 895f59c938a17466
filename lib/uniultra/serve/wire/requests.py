"""What a client may say in `params`, and what it means on one picture.

Stock MONAI Label keys (`foreground`, `background`, `roi`, `slice`) are in `ijk`, voxels of the stored
volume; stills also take `[x,y]`. Our own keys are in pixels of the plane's picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from uniultra.errors import PromptError
from uniultra.images.types import AxisKind, Plane, PlaneAxis, UltrasoundImage
from uniultra.prompts import Box, Lasso, MaskPrompt, Point, PromptSet, Scribble
from uniultra.prompts.coordinates import box_from_roi, slice_of, to_xy
from uniultra.prompts.kinds import KINDS
from uniultra.serve.http.refusals import TooLargeError
from uniultra.serve.wire.packing import unpack_mask, unpack_runs

PROMPT_KEYS = tuple(key for kind in KINDS.values() for key in kind.keys)
MAX_POINTS = 1_000
MAX_CORNERS = 10_000
MAX_RUNS = 200_000
MAX_SCRIBBLES = 64
MAX_OBJECTS = 64
_MAX_BASE64 = 16 << 20
_LIMITS = (MAX_POINTS, MAX_CORNERS, MAX_RUNS, MAX_SCRIBBLES, MAX_OBJECTS, _MAX_BASE64)

# stock clients send null where they have nothing
_empty_list = BeforeValidator(lambda value: [] if value is None else value)
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Index = Annotated[StrictInt, Field(ge=0, le=1 << 31)]
Coordinates = Annotated[list[Number], Field(min_length=2, max_length=3)]
Points = Annotated[list[Coordinates], Field(max_length=MAX_POINTS), _empty_list]
Roi = Annotated[list[Number], Field(max_length=6), _empty_list]
Bbox = tuple[Index, Index, Index, Index]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class WireScribble(_Wire):
    """Painted pixels: run lengths skip, take, skip, take, … inside `bbox`, row by row."""

    positive: StrictBool = True
    bbox: Bbox
    runs: Annotated[list[Index], Field(max_length=MAX_RUNS)]


class WireMask(_Wire):
    """A mask packed like an answer; a null box is an empty mask."""

    bbox: Bbox | None
    mask: Annotated[str, Field(max_length=_MAX_BASE64)] = ""


class WirePlane(_Wire):
    """One flat picture of the image."""

    axis: PlaneAxis
    index: Index


class WireObject(_Wire):
    """The prompts of one object."""

    foreground: Points = []
    background: Points = []
    roi: Roi = []
    scribbles: Annotated[list[WireScribble], Field(max_length=MAX_SCRIBBLES), _empty_list] = []
    lasso: Annotated[
        list[Annotated[list[Number], Field(min_length=2, max_length=2)]],
        Field(max_length=MAX_CORNERS),
        _empty_list,
    ] = []
    mask: WireMask | None = None

    @property
    def points(self) -> list[list[float]]:
        """All clicks, in the order that decides the slice."""
        return [*self.foreground, *self.background]

    @property
    def prompted(self) -> bool:
        """Whether there is a prompt of any kind."""
        return any(getattr(self, key) for key in PROMPT_KEYS)


class WireParams(WireObject):
    """All of `params` that an interactive task reads; other keys are for others."""

    objects: Annotated[list[WireObject], Field(max_length=MAX_OBJECTS), _empty_list] = []
    plane: WirePlane | None = None
    slice: Number | None = None
    axis_kind: AxisKind | None = None
    result: Literal["packed"] | None = None
    result_extension: Annotated[str, Field(max_length=16)] | None = None
    label: Annotated[str, Field(max_length=200)] | None = None


def parse(params: dict[str, Any]) -> WireParams:
    """The prompts and wishes of a request, checked in form but not yet against an image.

    Raises:
        TooLargeError: more points, corners, runs or objects than one request may hold.
        PromptError: a value of another kind than the key takes.
    """
    try:
        return WireParams.model_validate(params)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        text = f"Expected params as docs/wire.md lists them; {place}: {first['msg']}. Correct that key."
        kind = TooLargeError if first.get("ctx", {}).get("max_length") in _LIMITS else PromptError
        raise kind(text) from None


def plane_of(wire: WireParams, image: UltrasoundImage) -> Plane:
    """The plane a request is about: `plane`, else the k of its first point, else `slice`, else its roi.

    Raises:
        PromptError: an image of several slices, and no word about which.
    """
    if wire.plane:
        return Plane(wire.plane.axis, wire.plane.index)
    objects = wire.objects or [wire]
    index = slice_of([point for one in objects for point in one.points])
    if index is None and wire.slice is not None and wire.slice >= 0:
        index = round(wire.slice)
    if index is None:
        depths = [one.roi[4:] for one in objects if len(one.roi) == 6]
        # halves first: the sum of two finite numbers may be infinite
        index = round(depths[0][0] / 2 + depths[0][1] / 2) if depths else None
    if index is None and image.plane_count("k") == 1:
        index = 0
    if index is None:
        raise PromptError(
            f"The image has {image.plane_count('k')} slices and the request names none. Send points as "
            '[i,j,k], "slice", or "plane": {"axis": "k", "index": n}.'
        )
    return Plane("k", index)


def prompts_of(wire: WireParams, plane: Plane, shape: tuple[int, int]) -> list[PromptSet]:
    """One `PromptSet` per object on a picture of `shape` = (rows, columns); clicks on others are left out.

    `Predictor.predict` checks the sets against the picture.

    Raises:
        PromptError: prompts both in `objects` and beside it, or a scribble or mask that does not unpack.
    """
    if wire.objects and wire.prompted:
        raise PromptError("Expected prompts in objects or beside it, not both. Put each object into objects.")
    return [_prompt_set(one, plane, shape) for one in wire.objects or [wire]]


def refuse_prompts(wire: WireParams) -> None:
    """Refuse prompts sent to a model that takes none.

    Raises:
        PromptError: there is one.
    """
    if wire.objects or wire.prompted:
        raise PromptError(
            f"Expected no prompt: this model is fully automatic. Leave {', '.join(PROMPT_KEYS)} and objects "
            "out, or choose a model that takes prompts."
        )


def planes_of(wire: WireParams, image: UltrasoundImage) -> list[Plane]:
    """The planes for a model without prompts: `plane`, else `slice`, else every frame or slice."""
    if wire.plane:
        return [Plane(wire.plane.axis, wire.plane.index)]
    if wire.slice is not None and wire.slice >= 0:
        return [Plane("k", round(wire.slice))]
    return [Plane("k", index) for index in range(image.plane_count("k"))]


def _prompt_set(one: WireObject, plane: Plane, shape: tuple[int, int]) -> PromptSet:
    points = [
        Point(*to_xy(values, plane.axis), positive=positive)
        for group, positive in ((one.foreground, True), (one.background, False))
        for values in group
        if slice_of([values], plane.axis) in (None, plane.index)
    ]
    box: Box | None = box_from_roi(one.roi, plane.axis) if one.roi else None
    mask = one.mask
    return PromptSet(
        points=tuple(points),
        box=box,
        scribbles=tuple(_scribbles(one, shape)),
        lasso=Lasso(tuple((x, y) for x, y in one.lasso)) if one.lasso else None,
        mask=MaskPrompt(unpack_mask(mask.bbox, mask.mask, shape)) if mask and mask.bbox else None,
    )


def _scribbles(one: WireObject, shape: tuple[int, int]) -> Iterator[Scribble]:
    # one picture of pixels for each sign, however many strokes came: the memory is bounded by the image
    for positive in (True, False):
        strokes = [s for s in one.scribbles if s.positive is positive]
        if strokes:
            pixels = np.zeros(shape, dtype=bool)
            for stroke in strokes:
                pixels |= unpack_runs(stroke.bbox, stroke.runs, shape)
            yield Scribble(pixels, positive)

"""What the scene tells of what the person looks at: plain values, for code that knows no Slicer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Tuple

from .planes import Plane, Size

STILL, CINE, VOLUME = "still", "cine", "volume"
# What `SlicerScene.on` takes, with what the callback is given.
EVENTS = ("closing", "closed", "segments", "segment_removed", "painted", "frame", "view")


@dataclass(frozen=True)
class Shown:
    """The picture that is looked at, as the server is asked about it.

    Attributes:
        key: names the image: the campaign's id, else a hash of its voxels; an oblique cut has its own.
        kind: `still`, `cine` or `volume`; an oblique cut through a volume is a still.
        plane: the slice or frame; `Plane("k", frame)` of a cine, `Plane("k", 0)` of a still.
        size: (I,J,K) voxels of the image; (I,J,T) of a cine, (columns, rows, 1) of an oblique cut.
        oblique: the view cuts a volume askew.
        frame: the frame of a cine, else None.
        frames: how many frames; 1 where there is none.
        image_id: the campaign's id to ask the server with; None when `SlicerScene.content` must be uploaded.
    """

    key: str
    kind: str
    plane: Plane
    size: Size
    oblique: bool = False
    frame: Optional[int] = None
    frames: int = 1
    image_id: Optional[str] = None

    @property
    def shape(self) -> Tuple[int, int]:
        """(rows, columns) of the picture."""
        return self.plane.shape(self.size)


class SegmentInfo(NamedTuple):
    """A segment: its id in the segmentation, its name, its colour (red, green, blue from 0 to 1)."""

    id: str
    name: str
    colour: Tuple[float, float, float]


class Stroke(NamedTuple):
    """What was drawn by hand in a slice view.

    Attributes:
        kind: `box` (two opposite corners), `scribble` or `lasso`.
        positive: whether it says "this is it" or "this is not".
        world: (N,3) positions, RAS in mm.
        width: of the pen, in mm of the world; 0 for box and lasso.
        view: the id of the slice node it was drawn in.
    """

    kind: str
    positive: bool
    world: Any
    width: float = 0.0
    view: str = ""

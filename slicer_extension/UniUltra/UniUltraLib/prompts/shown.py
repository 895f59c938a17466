"""What the person looks at and does there: plain values, for code that knows no Slicer."""

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


class Edit(NamedTuple):
    """One change of the prompts on the picture that is shown: a prompt given, moved, or (no `world`) removed.

    Attributes:
        kind: of `PROMPT_KINDS`.
        positive: it lies on the structure; False: beside it.
        world: positions, RAS in mm: (3,) of a point, (N,3) of a stroke (of a box, two opposite corners).
        width: of the pen, mm in the world.
        key: which prompt of the kind, where a picture may have several; a new one when it is empty.
    """

    kind: str
    positive: bool = True
    world: Any = None
    width: float = 0.0
    key: str = ""

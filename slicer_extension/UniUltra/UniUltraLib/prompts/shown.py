"""What a slice view shows, segments, and edits of prompts: plain values for code without Slicer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Tuple

from .planes import Plane, Size

STILL, CINE, VOLUME = "still", "cine", "volume"
# The events of `SceneSide.on`.
EVENTS = ("closing", "closed", "segments", "segment_removed", "painted", "frame", "view")


@dataclass(frozen=True)
class Shown:
    """The picture that a slice view shows, as the server is asked about it.

    Attributes:
        key: of the image: its ID in the campaign, else a hash of its voxels; an oblique cut has its own key.
        kind: `still`, `cine` or `volume`; an oblique cut through a volume is a still.
        plane: the slice or frame; `Plane("k", frame)` of a cine, `Plane("k", 0)` of a still.
        size: (I,J,K) voxels of the image; (I,J,T) of a cine, (columns, rows, 1) of an oblique cut.
        oblique: the view cuts a volume along none of its axes.
        frame: the frame of a cine, else None.
        frames: number of frames; 1 for a still or a volume.
        image_id: the ID in the campaign; None if the image must be uploaded (`SceneSide.content`).
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
    """A segment: its ID in the segmentation, its name, its RGB colour (0 to 1)."""

    id: str
    name: str
    colour: Tuple[float, float, float]


class Edit(NamedTuple):
    """An edit of the prompts on the shown picture: a prompt is placed, moved, or (without `world`) removed.

    Attributes:
        kind: name in `PROMPT_KINDS`.
        positive: True if the prompt lies on the structure, False if on the background.
        world: positions, RAS in mm: (3,) of a point, (N,3) of a stroke (of a box, two opposite corners).
        width: of the pen, mm.
        key: of the prompt, if a picture may have several of the kind; empty for a new prompt.
    """

    kind: str
    positive: bool = True
    world: Any = None
    width: float = 0.0
    key: str = ""

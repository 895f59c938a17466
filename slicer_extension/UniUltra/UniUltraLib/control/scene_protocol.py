"""What the decisions need of the scene; `scene.SlicerScene` gives it over MRML, nothing here knows MRML.

Called on the GUI's thread only. Pictures are (rows, columns) of the shown plane, `world` is RAS in mm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Collection, List, Optional, Protocol, Sequence, Tuple

import numpy as np

from ..prompts.planes import Plane, Voxel
from ..prompts.shown import SegmentInfo, Shown
from ..prompts.strokes import StrokePath

Place = Tuple[str, Plane]


class SceneSide(Protocol):
    """What the controller and the campaign need of the scene.

    Attributes:
        size: (I,J,K) voxels of the open image.
        image_id: the campaign's name of it; None when it is none of the campaign's, or none is open.
    """

    size: Any
    image_id: Optional[str]

    def open(self, node: Any, image_id: Optional[str] = None) -> None:
        """Work on a volume or sequence browser."""

    def go_to(self, index: int) -> bool:
        """Show a frame or slice."""

    def shown(self) -> Optional[Shown]:
        """What the person looks at; None when no image is open or the view lies beside it."""

    def voxel(self, shown: Shown, world: Sequence[float]) -> Voxel:
        """The voxel of what is shown under a world position."""

    def stroke_path(self, shown: Shown, world: Any, width: float) -> StrokePath:
        """Positions (N,3) of a stroke on the picture, with a pen of `width` mm."""

    def segments(self) -> List[SegmentInfo]:
        """The segments there are, in the order they are listed."""

    def add_segment(self, name: str, colour: Optional[Sequence[float]] = None) -> str:
        """Add an empty segment; its id. Without a colour, the next one of a list."""

    def remove_segment(self, segment: str) -> None:
        """Remove a segment with its voxels."""

    def read(self, segment: str, shown: Shown) -> np.ndarray:
        """What a segment holds on a plane: (rows, columns) bool."""

    def write(self, segment: str, shown: Shown, mask: np.ndarray) -> None:
        """Make `mask` all that a segment holds on a plane; the rest of it stays. It is no painting."""

    def load_prompts(self, segment: str) -> Optional[str]:
        """The text that `save_prompts` kept with a segment."""

    def save_prompts(self, segment: str, text: Optional[str]) -> None:
        """Keep a text with a segment, in the scene."""

    def done_frames(self, segment: Optional[str] = None) -> Collection[int]:
        """The frames that are marked done; frame 0 of a still or volume stands for all of it."""

    def set_done(self, frame: int, done: bool = True) -> None:
        """Mark a frame done, or not."""

    def content(self, shown: Shown, blanked: bool = False) -> bytes:
        """What the server must have to answer about `shown`; `blanked`: 0 outside the ultrasound region."""

    def warning(self) -> str:
        """What to tell before an upload: why the pixels may name the patient."""

    def on(self, event: str, callback: Callable[..., None]) -> Any:
        """Call `callback` at each `event`, one of `shown.EVENTS`."""


def place_of(shown: Shown) -> Place:
    """Names a picture: prompts and masks of two places never meet."""
    return shown.key, shown.plane


def planes_along(shown: Shown) -> int:
    """How many pictures there are along the axis that is looked at."""
    return shown.size[shown.plane.normal]


def at(shown: Shown, index: int) -> Optional[Shown]:
    """The picture `index` along the same axis; None when there is none."""
    if shown.oblique or not 0 <= index < planes_along(shown):
        return None
    frame = index if shown.frame is not None else None
    return replace(shown, plane=Plane(shown.plane.axis, index), frame=frame)

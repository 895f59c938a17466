"""The interface of the scene for code without MRML; `scene.SlicerScene` implements it.

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
    """The scene, as the controller and the campaign use it.

    Attributes:
        size: (I,J,K) voxels of the open image.
        image_id: its ID in the campaign; None for other images, and if no image is open.
    """

    size: Any
    image_id: Optional[str]

    def open(self, node: Any, image_id: Optional[str] = None) -> None:
        """Work on a volume or sequence browser."""

    def go_to(self, index: int) -> bool:
        """Show a frame or slice."""

    def shown(self) -> Optional[Shown]:
        """The shown picture; None if no image is open or the view lies outside it."""

    def voxel(self, shown: Shown, world: Sequence[float]) -> Voxel:
        """The voxel of the shown picture at a world position."""

    def stroke_path(self, shown: Shown, world: Any, width: float) -> StrokePath:
        """A stroke through world positions (N,3) as pixels of the picture; `width` of the pen in mm."""

    def segments(self) -> List[SegmentInfo]:
        """All segments, in the order of the segmentation."""

    def add_segment(self, name: str, colour: Optional[Sequence[float]] = None) -> str:
        """Add an empty segment and return its ID; by default it gets the next colour of a list."""

    def remove_segment(self, segment: str) -> None:
        """Remove a segment with its voxels."""

    def read(self, segment: str, shown: Shown) -> np.ndarray:
        """The mask of a segment on a plane: (rows, columns) bool."""

    def write(self, segment: str, shown: Shown, mask: np.ndarray) -> None:
        """Replace the mask of a segment on a plane; other planes stay. Causes no `painted` event."""

    def load_prompts(self, segment: str) -> Optional[str]:
        """The text that `save_prompts` stored with a segment."""

    def save_prompts(self, segment: str, text: Optional[str]) -> None:
        """Store a text with a segment, in the scene."""

    def done_frames(self, segment: Optional[str] = None) -> Collection[int]:
        """The frames that are marked done; frame 0 of a still or volume stands for all of it."""

    def set_done(self, frame: int, done: bool = True) -> None:
        """Mark a frame as done or not done."""

    def content(self, shown: Shown, blanked: bool = False) -> bytes:
        """The NRRD file to upload for `shown`; `blanked`: voxels outside the ultrasound region are 0."""

    def warning(self) -> str:
        """Why the pixels may identify the patient; empty without a reason. Shown before an upload."""

    def on(self, event: str, callback: Callable[..., None]) -> Any:
        """Call `callback` at each `event`, one of `shown.EVENTS`."""


def place_of(shown: Shown) -> Place:
    """Key of a picture: image and plane."""
    return shown.key, shown.plane


def planes_along(shown: Shown) -> int:
    """Number of frames or slices along the axis of the shown plane."""
    return shown.size[shown.plane.normal]


def at(shown: Shown, index: int) -> Optional[Shown]:
    """The picture `index` along the same axis; None if it does not exist."""
    if shown.oblique or not 0 <= index < planes_along(shown):
        return None
    frame = index if shown.frame is not None else None
    return replace(shown, plane=Plane(shown.plane.axis, index), frame=frame)

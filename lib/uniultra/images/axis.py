"""Choice between still, cine and volume."""

from __future__ import annotations

from uniultra.errors import ImageError
from uniultra.images.types import AxisKind


def choose_axis_kind(frames: int, suggested: AxisKind, requested: AxisKind | None) -> AxisKind:
    """The requested kind if there is one; else still for a single frame and the file's kind for several.

    Raises:
        ImageError: a still was requested of a file with several frames.
    """
    if requested is None:
        return AxisKind.STILL if frames == 1 else suggested
    if requested is AxisKind.STILL and frames > 1:
        raise ImageError(
            f"axis_kind=still needs a file of one frame; the file has {frames}. Send cine or volume."
        )
    return requested

"""Still, cine or volume: what the file suggests and what the caller insists on."""

from __future__ import annotations

from uniultra.errors import ImageError
from uniultra.images.types import AxisKind


def choose_axis_kind(frames: int, suggested: AxisKind, asked: AxisKind | None) -> AxisKind:
    """One frame is a still unless the caller says otherwise; else the caller's or the file's kind.

    Raises:
        ImageError: a still was asked of a file with several frames.
    """
    if asked is None:
        return AxisKind.STILL if frames == 1 else suggested
    if asked is AxisKind.STILL and frames > 1:
        raise ImageError(
            f"axis_kind=still needs a file of one frame; this one has {frames}. Send cine or volume."
        )
    return asked

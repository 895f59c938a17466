"""The image types: frames, axis kind, calibration, regions and identity of an ultrasound file.

Axis order is frames first: `(T,H,W)` or `(T,H,W,3)`, row = y, column = x. In `ijk` terms (voxel of
the stored file, column-row-slice, what Slicer sends) i is the column, j the row and k the frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError

PlaneAxis = Literal["i", "j", "k"]
Picture = NDArray[np.uint8]  # (H,W) or (H,W,3)
Frames = NDArray[np.uint8]  # (T,H,W) or (T,H,W,3)


class AxisKind(StrEnum):
    """Meaning of the first axis of the frames."""

    STILL = "still"
    CINE = "cine"
    VOLUME = "volume"


@dataclass(frozen=True)
class Plane:
    """A 2D plane of an image: the voxels where `axis` (i, j or k) equals `index`.

    A frame of a cine or a slice of a stack is `Plane("k", n)`. The picture's rows and columns are
    (j,i) for axis k, (k,i) for axis j and (k,j) for axis i.

    >>> Plane("k", 12)
    Plane(axis='k', index=12)
    """

    axis: PlaneAxis
    index: int


@dataclass(frozen=True)
class Region:
    """One DICOM ultrasound region (0018,6011): inclusive pixel bounds and its own calibration."""

    x0: int
    y0: int
    x1: int
    y1: int
    spatial_format: int  # 1 = 2D, 2 = M-mode, 3 = spectral
    data_type: int  # 1 = tissue, 2 = colour flow
    spacing_mm: tuple[float, float] | None  # (dy, dx), None when its units are not lengths


@dataclass(frozen=True)
class Geometry:
    """The geometry ITK reads from the stored file, in LPS; a mask written with it overlays the image.

    `size` is `(W,H,N)`; stills are `(W,H,1)`. This is geometry, not calibration: most ultrasound
    files have a spacing of 1.0 here that is not in millimetres.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]  # 9 numbers, row-major


class FrameSource(Protocol):
    """The part of an image that prediction needs: a stable cache key, and the size and pixels of a plane."""

    @property
    def content_hash(self) -> str: ...

    def plane_shape(self, axis: PlaneAxis) -> tuple[int, int]: ...

    def picture(self, plane: Plane) -> Picture: ...


@dataclass(frozen=True, eq=False)
class UltrasoundImage:
    """An ultrasound still, cine or volume, decoded lazily.

    Attributes:
        identity: SOPInstanceUID for DICOM, else `sha256:<hex>` of the file.
        content_hash: hex SHA-256 of the file's bytes; a key for caches, without patient data.
        axis_kind: still, cine or volume.
        shape: `(T,H,W)`.
        channels: 1 (grey) or 3 (RGB).
        geometry: the stored file's ITK geometry, LPS.
        read_frame: decodes one frame; `(H,W)` or `(H,W,3)` uint8, windowed.
        spacing_mm: calibration `(dy,dx)`, for volumes `(dz,dy,dx)`, in mm; None for an uncalibrated file.
        regions: DICOM ultrasound regions, in file order.
        frame_times_ms: start of each frame in ms; None when the file has no frame rate.
        raw_bytes: bytes of stored samples that stay in memory once a frame was read; default 0.

    A small volume in memory:

        >>> stack = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
        >>> axes = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        >>> geometry = Geometry((4, 3, 2), (0.2, 0.2, 0.5), (0.0, 0.0, 0.0), axes)
        >>> image = UltrasoundImage(
        ...     "id", "hash", AxisKind.VOLUME, (2, 3, 4), 1, geometry, lambda t: stack[t], (0.5, 0.2, 0.2)
        ... )
        >>> image.plane_shape("j"), image.picture(Plane("j", 1)).tolist()
        ((2, 4), [[4, 5, 6, 7], [16, 17, 18, 19]])
    """

    identity: str
    content_hash: str
    axis_kind: AxisKind
    shape: tuple[int, int, int]
    channels: int
    geometry: Geometry
    read_frame: Callable[[int], Picture]
    spacing_mm: tuple[float, ...] | None = None
    regions: tuple[Region, ...] = ()
    frame_times_ms: tuple[float, ...] | None = None
    raw_bytes: int = 0

    @cached_property
    def frames(self) -> Frames:
        """All frames, `(T,H,W)` or `(T,H,W,3)` uint8; kept once decoded."""
        return np.stack([self.read_frame(t) for t in range(self.shape[0])])

    def plane_shape(self, axis: PlaneAxis) -> tuple[int, int]:
        """(rows, columns) of a plane across `axis`."""
        t, h, w = self.shape
        return {"k": (h, w), "j": (t, w), "i": (t, h)}[axis]

    def plane_count(self, axis: PlaneAxis) -> int:
        """Number of planes across `axis`."""
        t, h, w = self.shape
        return {"k": t, "j": h, "i": w}[axis]

    def picture(self, plane: Plane) -> Picture:
        """The pixels of one plane, `(rows,columns)` or `(rows,columns,3)` uint8.

        A frame is decoded alone; a plane across the frames decodes all of them.

        Raises:
            ImageError: the image has no such plane, or the plane cuts a cine or still across its frames.
        """
        if plane.axis not in ("i", "j", "k"):
            raise ImageError(f"A plane's axis is i, j or k; got {plane.axis!r}.")
        count = self.plane_count(plane.axis)
        if not 0 <= plane.index < count:
            raise ImageError(
                f"Plane {plane.index} across {plane.axis} does not exist: the image has planes "
                f"0 to {count - 1} there. Send an index in that range."
            )
        if plane.axis == "k":
            return self.read_frame(plane.index)
        if self.axis_kind is not AxisKind.VOLUME:
            raise ImageError(
                f"A {self.axis_kind.value} has only frames (axis k); got axis {plane.axis}. If the file "
                "holds a volume, send axis_kind=volume."
            )
        return self.frames[:, plane.index] if plane.axis == "j" else self.frames[:, :, plane.index]

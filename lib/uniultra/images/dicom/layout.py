"""The storage layout of a frame, from the DICOM image pixel module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uniultra.errors import ImageError
from uniultra.images.files import check_frame

GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")


@dataclass(frozen=True)
class PixelLayout:
    """Storage of a frame's samples; attributes are named as in the DICOM image pixel module."""

    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool

    @property
    def subsampled(self) -> bool:
        """Whether two neighbouring uncompressed pixels share their colour: Y Y Cb Cr."""
        return self.photometric == "YBR_FULL_422"


def read_layout(dataset: Any) -> PixelLayout:
    """The layout a DICOM header declares.

    Raises:
        ImageError: an unsupported photometric interpretation, bit depth or size.
    """
    photometric = str(dataset.get("PhotometricInterpretation", "")).strip().upper()
    samples = int(dataset.get("SamplesPerPixel", 1) or 1)
    if samples != {**dict.fromkeys(GREY, 1), **dict.fromkeys(COLOUR, 3)}.get(photometric):
        raise ImageError(
            f"Expected one of {', '.join(GREY)} with 1 sample or {', '.join(COLOUR)} with 3; the file says "
            f"otherwise (samples: {samples}). Convert it to RGB or MONOCHROME2."
        )
    allocated = int(dataset.BitsAllocated)
    stored = int(dataset.get("BitsStored", allocated) or allocated)
    high = int(dataset.get("HighBit", stored - 1))
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise ImageError(
            f"Expected 8, 16 or 32 bits per sample; got {stored} stored in {allocated} (high bit {high}). "
            "Convert the file."
        )
    layout = PixelLayout(
        frames=int(dataset.get("NumberOfFrames", 1) or 1),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        samples=samples,
        photometric=photometric,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=int(dataset.get("PixelRepresentation", 0) or 0) == 1,
        planar=samples == 3 and int(dataset.get("PlanarConfiguration", 0) or 0) == 1,
    )
    check_frame(layout.frames, layout.rows, layout.columns, samples)
    return layout

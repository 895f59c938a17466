"""Millimetres per pixel of an image, as `GET /datastore/image/info` tells them; see docs/measurements.md."""

from __future__ import annotations

from typing import Any

from uniultra.images.types import UltrasoundImage


def calibration(image: UltrasoundImage) -> dict[str, Any]:
    """`{spacing_mm, regions, axis_kind}`: `spacing_mm` is (dy,dx), of a volume (dz,dy,dx), or null.

    Where there are regions, each has its own scale; the client looks up the one under its mask.
    """
    return {
        "spacing_mm": list(image.spacing_mm) if image.spacing_mm else None,
        "axis_kind": image.axis_kind.value,
        "regions": [
            {
                "bbox": [region.x0, region.y0, region.x1, region.y1],
                "spatial_format": region.spatial_format,
                "data_type": region.data_type,
                "spacing_mm": list(region.spacing_mm) if region.spacing_mm else None,
            }
            for region in image.regions
        ],
    }

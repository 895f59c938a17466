"""The calibration of a campaign's image, asked of the server."""

from __future__ import annotations

from ..errors import UnexpectedAnswer
from ..wire.client import Client
from .calibration import ImageCalibration, from_server, uncalibrated


def image_calibration(client: Client, image_id: str) -> ImageCalibration:
    """What the server knows of an image's millimetres; a server that does not tell gives none.

    Raises:
        ServerError: one of its kinds, see `errors`.
    """
    try:
        info = client.transport.json("GET", "/datastore/image/info", params={"image": image_id})
    except UnexpectedAnswer:
        return uncalibrated("this server does not tell calibrations; update it, or open the file itself.")
    return from_server(info if isinstance(info, dict) else {})

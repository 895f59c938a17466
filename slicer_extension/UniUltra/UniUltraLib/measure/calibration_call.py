"""Requests the calibration of a campaign's image from the server."""

from __future__ import annotations

from ..errors import UnexpectedAnswer
from ..wire.client import Client
from .calibration import ImageCalibration, from_server


def image_calibration(client: Client, image_id: str) -> ImageCalibration:
    """The server's calibration of an image; one without spacing from a server too old to send any.

    Raises:
        ServerError: one of its kinds, see `errors`.
    """
    try:
        info = client.json("GET", "/datastore/image/info", params={"image": image_id})
    except UnexpectedAnswer:
        info = None
    return from_server(info if isinstance(info, dict) else {})

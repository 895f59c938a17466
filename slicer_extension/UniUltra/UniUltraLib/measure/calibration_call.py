"""Asks the server for the calibration of a campaign's image."""

from __future__ import annotations

from ..errors import UnexpectedAnswer
from ..wire.client import Client
from .calibration import ImageCalibration, from_server, uncalibrated


def image_calibration(client: Client, image_id: str) -> ImageCalibration:
    """The calibration the server has for an image; an older server sends none.

    Raises:
        ServerError: one of its kinds, see `errors`.
    """
    try:
        info = client.json("GET", "/datastore/image/info", params={"image": image_id})
    except UnexpectedAnswer:
        return uncalibrated("this server sends no calibrations; update it, or open the file itself.")
    return from_server(info if isinstance(info, dict) else {})

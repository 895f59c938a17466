"""Cancellation and time-out checks for long-running requests."""

from __future__ import annotations

import time
from collections.abc import Callable

from uniultra.errors import UniUltraError
from uniultra.serve.http.refusals import TooLargeError

CancelCheck = Callable[[], None]  # called between two frames; raises to end the work


class StoppedError(UniUltraError):
    """The work was stopped on request."""


def for_seconds(limit: float) -> CancelCheck:
    """A check that passes for `limit` seconds from now.

    Raises, when called later:
        TooLargeError: the time is over.
    """
    end = time.monotonic() + limit

    def check() -> None:
        if time.monotonic() > end:
            raise TooLargeError(
                f"Expected an answer within {limit:g} seconds; the image has too many frames for that. Ask "
                'for one with "slice", or segment the whole image with POST /batch/infer/{model}.'
            )

    return check

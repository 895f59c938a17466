"""What long work asks between two pictures: may it go on?"""

from __future__ import annotations

import time
from collections.abc import Callable

from uniultra.errors import UniUltraError
from uniultra.serve.http.refusals import TooLargeError

GoingOn = Callable[[], None]  # returns, or raises what ends the work


class StoppedError(UniUltraError):
    """Somebody stopped the work."""


def for_seconds(limit: float) -> GoingOn:
    """Lets work go on for `limit` seconds from now, then refuses the rest of it.

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

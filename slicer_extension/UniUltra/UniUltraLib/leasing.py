"""The lease on the unit in hand: renewed while somebody works, given back when not."""

from __future__ import annotations

import threading
import time
from typing import Callable, Optional

from . import client_units
from .client import Client
from .client_units import Unit
from .errors import Refused, UniUltraLibError
from .sending import Runner


class Leasing:
    """Keeps one lease.

    Args:
        runner: makes the calls.
        changed: called when the lease has ended.
    """

    def __init__(
        self, runner: Runner, changed: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._runner, self._changed, self._clock = runner, changed, clock
        self.unit: Optional[Unit] = None
        self.ended = False
        self._annotator, self._every, self._renewed = "", 600.0, 0.0

    def hold(self, unit: Unit, annotator: str, minutes: float) -> None:
        """It was given just now, for so many minutes without work."""
        self.unit, self.ended, self._annotator = unit, False, annotator
        self._every, self._renewed = 60.0 * minutes / 3, self._clock()

    def tick(self, working: bool) -> None:
        """Renew when it is time, if somebody works."""
        unit = self.unit
        if unit is None or self.ended or not working or self._clock() - self._renewed < self._every:
            return
        self._renewed = self._clock()

        def failed(error: UniUltraLibError) -> None:
            if isinstance(error, Refused) and error.status == 404 and self.unit is unit:
                self.ended = True
                self._changed()

        annotator = self._annotator
        self._runner.run(
            lambda client: client_units.renew(client, unit, annotator), lambda _: None, failed, quiet=True
        )

    def let_go(self) -> Optional[Unit]:
        """Forget it; the unit that was held, if it was."""
        unit, self.unit = self.unit, None
        return None if self.ended else unit

    def give_back(self, unit: Unit) -> None:
        """Have a unit given to whoever asks next."""
        annotator = self._annotator
        self._runner.run(
            lambda client: client_units.release(client, unit, annotator),
            lambda _: None,
            lambda _: None,  # it ends by itself
            quiet=True,
        )


def while_closing(client: Client, work: Callable[[Client], None], seconds: float) -> None:
    """Do a last piece of work, and wait no longer than `seconds` for it."""

    def quietly() -> None:
        try:
            work(client)
        except UniUltraLibError:
            return  # a lease ends by itself, and a label is on the disk

    thread = threading.Thread(target=quietly, name="uniultra-closing", daemon=True)
    thread.start()
    thread.join(seconds)

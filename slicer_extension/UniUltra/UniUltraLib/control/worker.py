"""A thread for what would make the panel wait; its results are handed over by `deliver()`.

Only plain data goes in and out: the scene and Qt belong to the GUI's thread, which calls everything here.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any, Callable, List, Optional, Tuple

from ..errors import UniUltraLibError

# Seconds that `deliver` gives up the interpreter for, so that the thread gets it whatever the GUI does.
YIELD_S = 0.005


class JobCancelled(UniUltraLibError):
    """The job is no longer wanted; nothing is shown."""


class Ticket:
    """One job, and where it stands.

    Attributes:
        what: for the person, such as "Asking the model".
        key: a later job of the same key takes the place of this one while it waits.
        quiet: never shown as busy.
        progress: 0..1, or None.
        since: when it was submitted, as `time.monotonic()`.
    """

    def __init__(self, what: str, key: object, quiet: bool) -> None:
        self.what, self.key, self.quiet = what, key, quiet
        self.progress: Optional[float] = None
        self.since = time.monotonic()
        self.cancelled = False

    def report(self, share: float) -> None:
        """Note the progress (0..1); the job calls this.

        Raises:
            JobCancelled: the job is no longer wanted.
        """
        if self.cancelled:
            raise JobCancelled("Cancelled.")
        self.progress = min(max(share, 0.0), 1.0)


Job = Callable[[Ticket], Any]
_Entry = Tuple[Ticket, Job, Callable[[Any], None], Callable[[UniUltraLibError], None]]


class Worker:
    """Runs one job at a time.

    Args:
        name: of its thread, which starts with the first job and ends with the program.
        newest_first: of the jobs that wait, the one that was submitted last is next.
    """

    def __init__(self, name: str, *, newest_first: bool = False) -> None:
        self._name, self._newest_first = name, newest_first
        self._wake = threading.Condition()
        self._waiting: List[_Entry] = []
        self._running: Optional[Ticket] = None
        self._thread: Optional[threading.Thread] = None
        self._came: List[Tuple[Ticket, Callable[[], None]]] = []
        self._arrived = threading.Event()

    def submit(
        self,
        job: Job,
        done: Callable[[Any], None],
        failed: Callable[[UniUltraLibError], None],
        *,
        what: str = "",
        key: object = None,
        quiet: bool = False,
    ) -> Ticket:
        """Queue `job(ticket)`; `deliver` hands its result to `done`, one of our errors to `failed`, also one
        that `done` itself meets.

        A waiting job of the same `key` (other than None) is forgotten.
        """
        ticket = Ticket(what, key, quiet)
        with self._wake:
            if key is not None:
                self._waiting = [entry for entry in self._waiting if entry[0].key != key]
            self._waiting.append((ticket, job, done, failed))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._wake.notify()
        return ticket

    @property
    def tickets(self) -> List[Ticket]:
        """What has come and was not handed over, runs or waits, in this order."""
        with self._wake:
            running = [self._running] if self._running is not None else []
            return [came[0] for came in self._came] + running + [entry[0] for entry in self._waiting]

    def cancel(self, wanted: Optional[Callable[[Ticket], bool]] = None) -> None:
        """Forget the jobs for which `wanted(ticket)` is true, all of them by default.

        A running one is abandoned, not stopped: its thread goes on until a report of progress or a time-out
        ends it, its answer is dropped, and a new thread takes the next job, which so waits for nothing.
        """
        with self._wake:
            kept = [e for e in self._waiting if wanted is not None and not wanted(e[0])]
            for entry in self._waiting:
                entry[0].cancelled = entry not in kept
            self._waiting = kept
            self._came = [came for came in self._came if wanted is not None and not wanted(came[0])]
            running = self._running
            if running is None or (wanted is not None and not wanted(running)):
                return
            running.cancelled = True
            self._running = self._thread = None
            if kept:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()

    def deliver(self) -> bool:
        """Hand over what has come; whether there was something. Errors that are bugs are raised here."""
        if self._running is not None and not self._came:
            self._arrived.wait(YIELD_S)
        self._arrived.clear()
        found = False
        while True:
            with self._wake:
                if not self._came:
                    return found
                _, outcome = self._came.pop(0)
            found = True
            outcome()

    def give_way(self) -> None:
        """Let the thread have the interpreter, so that a request is on its way at once."""
        if self.tickets:
            self._arrived.wait(YIELD_S)

    def close(self) -> None:
        """Forget everything; a later job starts again."""
        self.cancel()
        with self._wake:
            self._thread = None
            self._wake.notify_all()

    def _work(self) -> None:
        me = threading.current_thread()
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._thread is not me or bool(self._waiting))
                if self._thread is not me:
                    return
                ticket, job, done, failed = self._waiting.pop(-1 if self._newest_first else 0)
                self._running = ticket
            outcome = _outcome(job, ticket, done, failed)
            with self._wake:
                if self._thread is not me:
                    return
                self._running = None
                self._came.append((ticket, outcome))
            self._arrived.set()


def _outcome(
    job: Job,
    ticket: Ticket,
    done: Callable[[Any], None],
    failed: Callable[[UniUltraLibError], None],
) -> Callable[[], None]:
    """Run a job; what the GUI's thread is to do with the outcome."""

    def broken(error: Exception) -> None:
        # The person must wait no longer, and the console shows where it was.
        failed(UniUltraLibError(f"Something unforeseen happened ({type(error).__name__}). Try again."))
        raise error

    def take(value: Any) -> None:
        try:
            done(value)
        except UniUltraLibError as error:
            failed(error)

    try:
        return partial(take, job(ticket))
    except UniUltraLibError as error:
        return partial(failed, error)
    except Exception as error:  # a bug, which the GUI's thread must see, and which must not end this one
        return partial(broken, error)

"""A thread for calls that would block the panel; `deliver()` hands their results to the GUI's thread.

The GUI's thread calls everything here, and only it touches the scene and Qt: jobs take and return plain data.
The lock guards the lists of tickets; no job and no callback ever runs while it is held.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any, Callable, List, Optional

from ..errors import UniUltraLibError

# Seconds that `deliver` waits, so that the thread gets Python's interpreter lock however busy the GUI is.
YIELD_S = 0.005


class JobCancelled(UniUltraLibError):
    """The person cancelled the job; not shown."""


class Ticket:
    """One job and its progress.

    Attributes:
        what: shown to the person while it runs, such as "Asking the model".
        key: a later job of the same key replaces this one while it waits; None is never replaced.
        quiet: never shown as busy.
        progress: 0..1; None if unknown.
        since: when it was submitted, as `time.monotonic()`.
        failed: called with the error of the job.
    """

    job: Callable[[Ticket], Any]
    done: Callable[[Any], None]
    failed: Callable[[UniUltraLibError], None]
    outcome: Callable[[], None]

    def __init__(self, what: str, key: object, quiet: bool) -> None:
        self.what, self.key, self.quiet = what, key, quiet
        self.progress: Optional[float] = None
        self.since = time.monotonic()
        self.cancelled = False

    def report(self, fraction: float) -> None:
        """Note the progress (0..1); called by the job.

        Raises:
            JobCancelled: the job was cancelled.
        """
        if self.cancelled:
            raise JobCancelled("Cancelled.")
        self.progress = min(max(fraction, 0.0), 1.0)

    def run(self) -> None:
        """Run the job on the calling thread; `outcome` is then what the GUI's thread has to do."""
        try:
            self.outcome = partial(self._take, self.job(self))
        except UniUltraLibError as error:
            self.outcome = partial(self.failed, error)
        except Exception as error:  # a bug: the GUI's thread must raise it, and this thread must go on
            self.outcome = partial(self._broken, error)

    def _take(self, value: Any) -> None:
        try:
            self.done(value)
        except UniUltraLibError as error:
            self.failed(error)

    def _broken(self, error: Exception) -> None:
        # The person must not wait any longer, and the console shows the traceback.
        self.failed(UniUltraLibError(f"Something unforeseen happened ({type(error).__name__}). Try again."))
        raise error


Wanted = Callable[[Ticket], bool]


class Worker:
    """Runs one job at a time.

    Args:
        name: of its thread, which starts with the first job and ends with the program.
        newest_first: the job submitted last is the next to run; else the oldest one.
    """

    def __init__(self, name: str, *, newest_first: bool = False) -> None:
        self._name, self._newest_first = name, newest_first
        self._wake = threading.Condition()
        self._waiting: List[Ticket] = []
        self._running: Optional[Ticket] = None
        self._finished: List[Ticket] = []
        self._thread: Optional[threading.Thread] = None
        self._arrived = threading.Event()

    def submit(
        self,
        job: Callable[[Ticket], Any],
        done: Callable[[Any], None],
        failed: Callable[[UniUltraLibError], None],
        *,
        what: str = "",
        key: object = None,
        quiet: bool = False,
    ) -> Ticket:
        """Queue `job(ticket)`; a waiting job of the same `key` (other than None) is dropped.

        `deliver` hands the result to `done`, and an error of this package, also one raised by `done`, to
        `failed`.
        """
        ticket = Ticket(what, key, quiet)
        ticket.job, ticket.done, ticket.failed = job, done, failed
        with self._wake:
            if key is not None:
                self._waiting = [waiting for waiting in self._waiting if waiting.key != key]
            self._waiting.append(ticket)
            self._start()
            self._wake.notify()
        return ticket

    @property
    def tickets(self) -> List[Ticket]:
        """The jobs that are finished but not delivered, running, and waiting, in this order."""
        with self._wake:
            running = [self._running] if self._running is not None else []
            return [*self._finished, *running, *self._waiting]

    def cancel(self, wanted: Wanted = lambda _: True) -> None:
        """Drop the jobs for which `wanted(ticket)` is true; their `failed` is not called.

        A running job is abandoned, not stopped: its thread continues until a progress report or a time-out
        ends it, its result is dropped, and a new thread takes the next job, which thus never waits for it.
        """
        with self._wake:
            for ticket in self._waiting:
                ticket.cancelled = wanted(ticket)
            self._waiting = [ticket for ticket in self._waiting if not ticket.cancelled]
            self._finished = [ticket for ticket in self._finished if not wanted(ticket)]
            if self._running is not None and wanted(self._running):
                self._running.cancelled = True
                self._running = self._thread = None
                if self._waiting:
                    self._start()

    def deliver(self) -> bool:
        """Call `done` or `failed` of the finished jobs, if any, and say whether any were. Bugs raise here."""
        if self._running is not None and not self._finished:
            self._arrived.wait(YIELD_S)
        self._arrived.clear()
        delivered = False
        while True:
            with self._wake:
                if not self._finished:
                    return delivered
                ticket = self._finished.pop(0)
            delivered = True
            ticket.outcome()

    def give_way(self) -> None:
        """Let the thread have the interpreter lock, so that a request leaves at once."""
        if self.tickets:
            self._arrived.wait(YIELD_S)

    def close(self) -> None:
        """Cancel all jobs and end the thread; a later job starts a new one."""
        self.cancel()
        with self._wake:
            self._thread = None
            self._wake.notify_all()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        # A thread that is no longer `_thread` was abandoned by `cancel` or `close`: its result is dropped.
        me = threading.current_thread()
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._thread is not me or bool(self._waiting))
                if self._thread is not me:
                    return
                ticket = self._running = self._waiting.pop(-1 if self._newest_first else 0)
            ticket.run()
            with self._wake:
                if self._thread is not me:
                    return
                self._running = None
                self._finished.append(ticket)
            self._arrived.set()

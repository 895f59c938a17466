"""Calls to the server other than prompts (campaign, training, calibration), one after the other."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from ..errors import ServerUnreachable, UniUltraLibError
from ..wire.client import Client
from .connection import Link
from .state import Problem
from .worker import JobCancelled, Ticket, Worker


class ServerTasks:
    """Runs calls with the connected server's client; one that finds no server marks the connection as lost.

    Args:
        tell: shows the problem of a task that does not take its error itself.
        changed: called when a task has begun.
    """

    def __init__(
        self, link: Link, worker: Worker, tell: Callable[[Problem], None], changed: Callable[[], None]
    ) -> None:
        self._link, self._worker, self._tell, self._changed = link, worker, tell, changed
        self._failed: Dict[Ticket, Callable[[UniUltraLibError], None]] = {}

    def run(
        self,
        task: Callable[[Client], Any],
        done: Callable[[Any], None],
        failed: Optional[Callable[[UniUltraLibError], None]] = None,
        *,
        what: str = "",
        quiet: bool = False,
    ) -> Optional[Ticket]:
        """Have `task(client)` run, one after the other; prompts never wait for them.

        Args:
            task: touches neither the scene nor the panel.
            done: gets its result, in `Controller.poll`.
            failed: gets its error, `JobCancelled` when the person did not want to wait; without it, the error
                is shown as the problem.
            what: for the person, such as "Saving the label".
            quiet: not worth a word to the person.
        """
        client = self._link.client
        if client is None:
            error = UniUltraLibError("No server is connected. Connect to one, then try again.")
            self._tell(Problem.of(error)) if failed is None else failed(error)
            return None

        def ended(error: UniUltraLibError) -> None:
            self._failed.pop(ticket, None)
            if isinstance(error, ServerUnreachable):
                self._link.lost(error)
            if failed is not None:
                failed(error)
            elif not isinstance(error, JobCancelled):
                self._tell(Problem.of(error))

        def finished(value: Any) -> None:
            self._failed.pop(ticket, None)
            done(value)

        ticket = self._worker.submit(
            lambda ticket: task(client.with_report(ticket.report)), finished, ended, what=what, quiet=quiet
        )
        self._failed[ticket] = ended
        self._changed()
        return ticket

    def cancel(self, quiet_too: bool = False) -> None:
        """End what `run` was given; `failed` of each gets `JobCancelled`."""
        gone = [ticket for ticket in self._worker.tickets if ticket in self._failed]
        gone = [ticket for ticket in gone if quiet_too or not ticket.quiet]
        self._worker.cancel(lambda ticket: ticket in gone)
        for ticket in gone:
            self._failed[ticket](JobCancelled("Cancelled."))

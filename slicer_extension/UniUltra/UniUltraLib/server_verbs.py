"""The controller's verbs about the server: connect, test, choose a model, have something done."""

from __future__ import annotations

from typing import Any, Callable, Optional

from .client import Client
from .core import Core
from .errors import ServerUnreachable, UniUltraLibError
from .state import LOST, Problem
from .worker import Cancelled, Ticket


class ServerVerbs(Core):
    """See `controller.Controller`."""

    def connect(self, address: str, key: str = "", annotator: str = "") -> None:
        """Connect to the server at `address`; prompts that wait are asked then."""
        self.settings["address"], self.settings["annotator"] = address, annotator
        self._asking.annotator = annotator
        self._let_go()
        self._notice = ""
        self._link.connect(address, key)
        self._changed()

    def test_connection(
        self, address: str, key: str = "", done: Optional[Callable[[Optional[Problem]], None]] = None
    ) -> None:
        """Ask whether a UniUltra server answers there, without connecting to it.

        `done` gets what stands in the way, or None; without it, problem or notice say so.
        """

        def answered(problem: Optional[Problem]) -> None:
            self._notice = "" if problem else "The server answers, and this module can work with it."
            if done is not None:
                done(problem)
            elif problem is not None or self._state.connection != LOST:
                self._problem = problem
            self._changed()

        self._link.test(address, key, answered)
        self._changed()

    def disconnect(self) -> None:
        """Let go of the server; prompts and masks stay."""
        self._let_go()
        self._link.disconnect()
        self._changed()

    def _let_go(self) -> None:
        """What is under way is the present server's: nothing of it may reach another."""
        self._problem = self._consent = None
        self._auto.cancel()
        self._asks.cancel()
        self._cancel_runs(quiet_too=True)
        self._prefetching.forget()
        self._images.forget_sessions(self._link.client)

    def retry(self) -> None:
        """Ask again what has no answer; at once, if the connection was lost."""
        self._link.hurry()
        self._asking.again(all_of_them=True)
        self._changed()

    def set_model(self, name: str) -> None:
        """Answer the next prompts with this model."""
        if name in self._link.offers.models:
            self._asking.model = self.settings["model"] = name
            self._prefetching.forget()
            self.frame_changed()

    def set_auto_model(self, name: str) -> None:
        """Segment without prompts by this model from now on."""
        if name in self._link.offers.auto_models:
            self._auto.model = self.settings["auto_model"] = name
            self._changed()

    def run(
        self,
        task: Callable[[Client], Any],
        done: Callable[[Any], None],
        failed: Optional[Callable[[UniUltraLibError], None]] = None,
        *,
        what: str = "",
        quiet: bool = False,
    ) -> Optional[Ticket]:
        """Have `task(client)` run by the worker, one after the other; prompts never wait for them.

        Args:
            task: touches neither the scene nor the panel.
            done: gets its result, in `poll()`.
            failed: gets its error, `Cancelled` when the person did not want to wait; without it, the error
                is shown as the problem.
            what: for the person, such as "Saving the label".
            quiet: not worth a word to the person.
        """
        client = self._link.client
        if client is None:
            error = UniUltraLibError("No server is connected. Connect to one, then try again.")
            self.tell(Problem.of(error)) if failed is None else failed(error)
            return None

        def ended(error: UniUltraLibError) -> None:
            self._runs.pop(ticket, None)
            if isinstance(error, ServerUnreachable):
                self._link.lost(error)
            if failed is not None:
                failed(error)
            elif not isinstance(error, Cancelled):
                self.tell(Problem.of(error))

        def finished(value: Any) -> None:
            self._runs.pop(ticket, None)
            done(value)

        ticket = self._tasks.submit(lambda _: task(client), finished, ended, what=what, quiet=quiet)
        self._runs[ticket] = ended
        self._changed()
        return ticket

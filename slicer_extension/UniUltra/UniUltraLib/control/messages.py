"""What the panel says to the person: one problem, one notice."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ..errors import UniUltraLibError
from .state import Problem


class Messages:
    """The newest problem and notice; `changed` is called when `tell` or `notify` replaced one."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.problem: Optional[Problem] = None
        self.notice = ""

    def tell(self, problem: Optional[Problem]) -> None:
        """Show a problem, or with None that it is over."""
        self.problem = problem
        self._changed()

    def notify(self, text: str) -> None:
        """Show a line about something that went well."""
        self.notice = text
        self._changed()

    def attempt(self, action: Callable[..., Any], *values: Any) -> Any:
        """The action's result; None where it fails with one of our errors, which is then the problem."""
        try:
            return action(*values)
        except UniUltraLibError as error:
            self.problem = Problem.of(error)
            return None

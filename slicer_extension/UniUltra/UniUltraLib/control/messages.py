"""The messages to the person: one problem, one notice."""

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
        """Show a problem; None removes it."""
        self.problem = problem
        self._changed()

    def notify(self, text: str) -> None:
        """Show a line about an event that is no problem."""
        self.notice = text
        self._changed()

    def attempt(self, action: Callable[..., Any], *values: Any) -> Any:
        """The result of an action; None if it raises an error of this package, which becomes the problem."""
        try:
            return action(*values)
        except UniUltraLibError as error:
            self.problem = Problem.of(error)
            return None

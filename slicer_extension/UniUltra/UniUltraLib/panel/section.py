"""Base class of the panel's sections."""

from __future__ import annotations

from typing import Any, Dict


class Section:
    """One section of the panel: connects its widgets when it is created, and shows the state in `update`."""

    def __init__(self, panel: Any) -> None:
        self.panel, self.ui, self.binding, self.settings = panel, panel.ui, panel.binding, panel.settings
        self.session, self.controller = panel.session, panel.session.controller
        self._last: Dict[str, Any] = {}

    def update(self) -> None:
        """Show the current state."""
        raise NotImplementedError

    def changed(self, name: str, value: Any) -> bool:
        """Whether `value` differs from that of the last call for `name`, which is None at first."""
        before = self._last.get(name)
        self._last[name] = value
        return bool(before != value)

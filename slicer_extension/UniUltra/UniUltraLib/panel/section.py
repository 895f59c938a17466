"""What every section of the panel has."""

from __future__ import annotations

from typing import Any


class Section:
    """One section: connects its widgets when it is made, and shows the state in `update`."""

    def __init__(self, panel: Any) -> None:
        self.panel, self.ui, self.binding = panel, panel.ui, panel.binding
        self.session, self.controller = panel.session, panel.session.controller

    def update(self) -> None:
        """Show the present state."""
        raise NotImplementedError

"""The panel on Slicer's libraries, disconnected or connected to the test module's server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def panel(application: Any, scene: Any, tmp_path: Path) -> Iterator[Any]:
    """An opened `PanelCase`."""
    from panel_case import opened_panel

    with opened_panel(application, tmp_path) as opened:
        yield opened


@pytest.fixture
def online(panel: Any, address: str) -> Any:
    """The panel, connected as Dr. A to the server at the module's `address`."""
    panel.connect(address)
    return panel

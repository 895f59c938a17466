"""Fixtures of the scene: the panel's side of it, which leaves no observer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def side(scene: Any) -> Iterator[Any]:
    """A `SlicerScene` without an image."""
    from UniUltraLib.scene.scene import SlicerScene

    made = SlicerScene(scene)
    yield made
    made.close()
    assert made.observers == 0

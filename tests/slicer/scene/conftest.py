"""Fixtures of the scene: the panel's side of it, which leaves no observer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def node(scene: Any) -> Any:
    """A volume."""
    import scene_examples as examples

    return examples.volume()


@pytest.fixture
def view(scene: Any, node: Any) -> Any:
    """An axial view of `node`."""
    import scene_examples as examples

    return examples.slice_node(scene, shows=node)


@pytest.fixture
def side(scene: Any) -> Iterator[Any]:
    """A `SlicerScene` without an image."""
    from UniUltraLib.scene.scene import SlicerScene

    made = SlicerScene(scene)
    yield made
    made.close()
    assert made.observers == 0

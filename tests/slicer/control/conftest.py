"""Fixtures of the controller: one over Slicer's scene, a scripted model, and a still that both work on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def timeout() -> tuple[float, float]:
    """Seconds to connect, seconds to wait for an answer."""
    return (2.0, 30.0)


@pytest.fixture
def rig(scene: Any, timeout: tuple[float, float]) -> Iterator[Any]:
    """A controller; it leaves no observer in the scene."""
    from panel_rig import Rig

    made = Rig(scene, timeout=timeout)
    yield made
    made.close()
    assert made.scene.observers == 0


@pytest.fixture
def model(server: Any) -> Any:
    """A server that answers every prompt with disks."""
    from panel_rig import SHAPE
    from scripted_model import ScriptedModel

    return ScriptedModel(server, SHAPE)


@pytest.fixture
def online(rig: Any, model: Any) -> Any:
    """A controller that is connected to the model's server."""
    rig.connect(model.server.address)
    return rig


@pytest.fixture
def still(online: Any) -> Any:
    """A still of the campaign is open too."""
    import scene_examples as examples

    online.open(examples.still(), "still-1")
    return online

"""Fixtures of the Slicer room: the extension's code on the path, and Slicer's libraries with a scene."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import pytest

# This folder is named like Slicer's package, which therefore imports every module in it as a part of itself.
# That must be over before one of them is imported by a test, else they find each other half made.
with contextlib.suppress(ImportError):
    importlib.import_module("slicer")


@pytest.fixture
def server() -> Iterator[Any]:
    """A server that answers as the test tells it to."""
    from scripted_server import scripted_server

    with scripted_server() as running:
        yield running


@pytest.fixture
def client(server: Any) -> Iterator[Any]:
    """A client of `server` with short time-outs."""
    from UniUltraLib.wire.client import Client

    made = Client(server.address, timeout=(1.0, 0.5))
    yield made
    made.close()


@pytest.fixture(scope="session")
def application() -> Any:
    """Slicer's libraries with one scene."""
    # Torch's compiler and the renderer each bring an LLVM; loaded after the renderer's, torch's crashes.
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
    from slicer_harness import SlicerApplication

    return SlicerApplication()


@pytest.fixture
def scene(application: Any) -> Iterator[Any]:
    """An empty scene; the test fails if VTK or Slicer reported an error during it."""
    application.reset()
    yield application.scene
    assert application.errors == []


@pytest.fixture
def slice_view(application: Any, scene: Any) -> Iterator[Any]:
    """Makes a slice view of a size, rendered off the screen."""
    from slicer_harness import SliceView, needs_rendering

    needs_rendering()
    views: list[SliceView] = []

    def make(size: tuple[int, int] = (320, 240), name: str = "Red") -> SliceView:
        views.append(SliceView(application, size, name))
        return views[-1]

    yield make
    for view in views:
        view.close()


@pytest.fixture(scope="session")
def campaign_server(application: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """(address, studies folder) of a real server that leads a campaign, with small random weights."""
    from campaign_rig import SHARED, make_studies
    from crashes import made
    from server_process import running_server

    folder = tmp_path_factory.mktemp("campaign")
    studies = make_studies(folder / "studies")
    made.small_weights(folder / "weights")
    with running_server(
        studies, folder / "home", conf={"train_after": "0"}, weights=folder / "weights", campaign=SHARED
    ) as address:
        yield address, studies

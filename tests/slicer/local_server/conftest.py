"""A tiny project to install and start, and this machine's variables as the local server gets them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_project import make_tree
from UniUltraLib.local_server import install_plan
from UniUltraLib.local_server.processes import clean_environment


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny project's source tree."""
    return make_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="session")
def variables() -> dict[str, str]:
    """Those of a machine with Python only, without this project's command and `uv`; pip downloads nothing."""
    folders = os.environ["PATH"].split(os.pathsep)
    path = [f for f in folders if not any((Path(f) / name).exists() for name in ("uniultra", "uv"))]
    offline = {"PATH": os.pathsep.join(path), "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}
    return clean_environment({**os.environ, **offline})


@pytest.fixture(scope="session", autouse=True)
def room() -> Iterator[None]:
    """Whatever room this machine has, an environment of the tiny project needs next to none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(install_plan.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**11))
        yield

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import postgres_server
import pytest
from factories import Clock, make_label, make_picture

from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A studies folder with two pictures, one of them nested."""
    root = tmp_path / "studies"
    make_picture(root / "one.png")
    make_picture(root / "deep" / "er" / "two.png")
    return root


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(studies: Path, clock: Clock) -> LabelStore:
    """The label store of `studies`, by `clock`."""
    return LabelStore(studies, now=clock)


@pytest.fixture
def label(tmp_path: Path) -> Path:
    """A label file of either picture."""
    return make_label(tmp_path / "label.png")


@pytest.fixture
def saved(store: LabelStore, label: Path) -> LabelVersion:
    """The first version of `one`, by Anna."""
    return store.save("one", label, annotator="anna")


@pytest.fixture
def labelled(store: LabelStore, saved: LabelVersion) -> LabelStore:
    """The label store of `studies` with Anna's label of `one`."""
    return store


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server."""
    pytest.importorskip("psycopg", reason="psycopg is missing: pip install 'uniultra[postgres]'")
    if postgres_server.programs() is None:
        pytest.skip(postgres_server.MISSING)
    with postgres_server.running() as url:
        yield url

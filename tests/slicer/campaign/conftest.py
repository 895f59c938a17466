"""Fixtures of the campaign's work: people at a real server, and the campaign they work in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def address(campaign_server: tuple[str, Path]) -> str:
    """Where `reader` connects people to."""
    return campaign_server[0]


@pytest.fixture
def reader(scene: Any, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes people who are connected."""
    from campaign_rig import Reader

    people: list[Reader] = []

    def make(name: str, address: str = "", **more: Any) -> Reader:
        people.append(Reader(scene, tmp_path / name, name, **more))
        return people[-1].at(address or request.getfixturevalue("address"))

    yield make
    for person in people:
        person.close()


@pytest.fixture
def campaign(campaign_server: tuple[str, Path]) -> Iterator[Callable[..., None]]:
    """Changes the campaign file for one test."""
    from campaign_rig import SHARED
    from server_process import write_campaign

    _, studies = campaign_server
    yield lambda **settings: write_campaign(studies, {**SHARED, **settings})
    write_campaign(studies, SHARED)


@pytest.fixture
def mine(campaign_server: tuple[str, Path]) -> Callable[..., Any]:
    """A person's versions of an image, asked of the server itself."""
    from campaign_rig import versions

    return partial(versions, campaign_server[0])


@pytest.fixture
def store(campaign_server: tuple[str, Path]) -> Any:
    """The campaign's store, as the server sees it."""
    from uniultra.store.store import LabelStore

    return LabelStore(campaign_server[1])


@pytest.fixture
def leases(store: Any) -> Callable[[], dict[str, Any]]:
    """The leases by who holds them."""
    return lambda: {lease.annotator: lease for lease in store.leases()}


@pytest.fixture
def many(campaign: Callable[..., None]) -> None:
    """A campaign in which everybody may get everything."""
    campaign(readers=20)

"""Several threads ask a store that nobody has opened yet: each is answered in full."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from factories import lose_index, raising

from uniultra.store.datastore import StudiesDatastore
from uniultra.store.opening import recovery
from uniultra.store.store import LabelStore
from uniultra.store.types import Unit

BOTH = [Unit("deep__er__two", 0), Unit("one", 0)]


class Slow:
    """A function that waits in the middle of its work, until it may go on."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.real, self.begun, self.may_end = real, threading.Event(), threading.Event()

    def __call__(self, *args: Any, **named: Any) -> Any:
        self.begun.set()
        assert self.may_end.wait(30)
        return self.real(*args, **named)


def asked_meanwhile(slow: Slow, first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """What two threads are told, the second of which asks while the first one waits."""
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(first)
        assert slow.begun.wait(30)
        two = threads.submit(second)
        two_waits = not _ended(two.exception, 0.2)
        slow.may_end.set()
        answers = one.result(30), two.result(30)
    assert two_waits, "nothing is known yet"
    return answers


def _ended(ask: Callable[[float], object], seconds: float) -> bool:
    try:
        ask(seconds)
    except TimeoutError:
        return False
    return True


def test_who_asks_during_the_first_look_waits_for_it(studies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LabelStore(studies)
    slow = Slow(store.images.scanner.files)
    monkeypatch.setattr(store.images.scanner, "files", slow)
    assert asked_meanwhile(slow, store.units, store.unlabelled) == (BOTH, BOTH)


def test_who_asks_during_the_recovery_waits_for_it(
    studies: Path, label: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = LabelStore(studies)
    saved = before.save("one", label)
    before.index.close()
    lose_index(studies)
    slow = Slow(recovery.recover)
    monkeypatch.setattr(recovery, "recover", slow)
    store = LabelStore(studies)
    assert asked_meanwhile(slow, store.versions, store.trainable)[0] == [saved]
    assert [label.sha256 for label in store.trainable()] == [saved.sha256]


def test_a_recovery_that_fails_is_done_again(
    studies: Path, label: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = LabelStore(studies).save("one", label)
    lose_index(studies)
    store, real = LabelStore(studies), recovery.recover
    monkeypatch.setattr(recovery, "recover", raising(RuntimeError("on the way")))
    with pytest.raises(RuntimeError):
        store.versions()
    monkeypatch.setattr(recovery, "recover", real)
    assert store.versions() == [saved]


def test_the_status_does_not_wait_for_the_first_look(studies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datastore = StudiesDatastore(studies)
    scanner = datastore.store.images.scanner
    slow = Slow(scanner.files)
    monkeypatch.setattr(scanner, "files", slow)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(datastore.store.units)
        assert slow.begun.wait(30)
        assert datastore.status()["total"] == 0
        slow.may_end.set()
        first.result(30)
    assert datastore.status()["total"] == 2

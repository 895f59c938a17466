"""Clicks renew leases in a thread of their own, whatever became of an earlier click."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from PIL import Image

from uniultra.serve.tasks.lease_renewal import LeaseRenewal
from uniultra.store.datastore import StudiesDatastore


class Touched:
    """A store that goes wrong at its first click."""

    def __init__(self, ends: BaseException) -> None:
        self.ends, self.third = ends, threading.Event()
        self.seen: list[tuple[str, str]] = []

    def touch(self, image: str, annotator: str) -> None:
        self.seen.append((image, annotator))
        if len(self.seen) == 1:
            raise self.ends
        if len(self.seen) == 3:
            self.third.set()


@pytest.mark.parametrize("ends", [ValueError("anna"), MemoryError("anna"), KeyboardInterrupt()])
def test_a_click_that_goes_wrong_ends_no_other(ends: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    store = Touched(ends)
    touch = LeaseRenewal(store)  # type: ignore[arg-type]
    touch.click("a", "anna")
    touch.click("b", "ben")
    touch.click("c", "cleo")
    assert store.third.wait(30)
    assert store.seen == [("a", "anna"), ("b", "ben"), ("c", "cleo")]
    assert "anna" not in caplog.text
    assert (type(ends).__name__ in caplog.text) is isinstance(ends, Exception)


def test_a_name_that_no_index_takes_leaves_the_leases_of_others_renewed(tmp_path: Path) -> None:
    Image.new("L", (8, 6)).save(tmp_path / "a.png")
    datastore = StudiesDatastore(tmp_path)
    datastore.list_images()
    store, renewed = datastore.store, threading.Event()
    before = store.claim(store.units(), "anna")
    touch = LeaseRenewal(store)
    real = store.touch

    def then(image: str, annotator: str) -> None:
        real(image, annotator)
        renewed.set()

    store.touch = then  # type: ignore[method-assign]
    touch.click("a", json.loads('"\\ud800"'))
    touch.click("a", "anna")
    assert renewed.wait(30) and store.leases()[0].until > before.until

"""The thread beside the GUI's: order, newest of a kind, cancelling, and bugs that do not end it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from UniUltraLib.control.worker import JobCancelled, Ticket, Worker
from UniUltraLib.errors import SceneError


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def taken(worker: Worker) -> None:
    end = time.monotonic() + 10
    while worker.tickets:
        worker.deliver()
        assert time.monotonic() < end
        time.sleep(0.001)


def hold(worker: Worker, gate: threading.Event, came: list[Any]) -> None:
    """Keep the worker busy until the gate opens; the job's key is `held`."""
    started = threading.Event()

    def job(_: Ticket) -> str:
        started.set()
        gate.wait(10)
        return "held"

    worker.submit(job, came.append, came.append, key="held")
    assert started.wait(10)


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_order_and_the_newest_of_a_kind(gate: threading.Event, newest_first: bool) -> None:
    worker, came = Worker("t", newest_first=newest_first), []
    hold(worker, gate, came)
    for n, key in enumerate(["a", "b", None, None, "a"]):
        worker.submit(lambda _, n=n: n, came.append, came.append, key=key)
    assert [ticket.key for ticket in worker.tickets] == ["held", "b", None, None, "a"]
    gate.set()
    taken(worker)
    assert came == ["held", *([4, 3, 2, 1] if newest_first else [1, 2, 3, 4])]


def test_what_is_cancelled_is_never_heard_of(gate: threading.Event) -> None:
    worker, came = Worker("t"), []
    hold(worker, gate, came)
    worker.submit(lambda _: "next", came.append, came.append)
    worker.submit(lambda _: "gone", came.append, came.append, key="gone")
    worker.cancel(lambda ticket: ticket.key in ("held", "gone"))
    taken(worker)
    assert came == ["next"], "it did not wait for the slow one"
    gate.set()
    time.sleep(0.05)
    worker.deliver()
    assert came == ["next"]
    worker.submit(lambda _: "done", came.append, came.append)
    end = time.monotonic() + 10
    while not worker._finished and time.monotonic() < end:
        time.sleep(0.001)
    worker.cancel()
    assert not worker.deliver() and came == ["next"], "also when it had come, but nobody had taken it"


def test_errors_are_handed_over_and_bugs_are_raised() -> None:
    worker, came = Worker("t"), []

    def fail(error: Exception) -> Callable[[Ticket], None]:
        def job(_: Ticket) -> None:
            raise error

        return job

    worker.submit(fail(SceneError("gone")), came.append, came.append)
    taken(worker)
    assert isinstance(came[0], SceneError)
    worker.submit(fail(KeyError("bug")), came.append, came.append)
    with pytest.raises(KeyError, match="bug"):
        taken(worker)
    worker.submit(lambda _: "goes on", came.append, came.append)
    taken(worker)
    assert "KeyError" in str(came[1]) and came[2:] == ["goes on"]


def test_progress_is_within_bounds_and_tells_of_the_end() -> None:
    ticket = Ticket("Sending", None, False)
    ticket.report(7.0)
    assert ticket.progress == 1.0
    ticket.cancelled = True
    with pytest.raises(JobCancelled):
        ticket.report(0.5)


def test_a_poll_is_short(gate: threading.Event) -> None:
    worker = Worker("t")
    hold(worker, gate, [])
    start = time.thread_time()
    for _ in range(20):
        worker.deliver()
    assert time.thread_time() - start < 0.1
    worker.close()


def test_an_answer_that_cannot_be_taken_has_failed() -> None:
    worker, failed = Worker("t"), []

    def full(_: object) -> None:
        raise SceneError("The disk is full.")

    worker.submit(lambda _: 1, full, failed.append)
    taken(worker)
    assert [str(error) for error in failed] == ["The disk is full."]

"""One persistent worker thread and one lock per device.

Kernel plans and allocator pools are kept per thread, so all work on a device runs on one thread that lives as
long as the process; callers wait for a future and hold no lock meanwhile. The thread takes the device's
`lock` for each function, so that work on another thread (a training step) can take the device in turn. What
runs under it must not wait for the worker: it would wait for itself.

The queue is first come, first served, with one exception: work ahead of a click (`submit_ahead`) must never
make a click wait. So the queue holds only a token for it. When the token's turn comes and a click is waiting
behind, the token goes to the end of the queue; else it runs the oldest work ahead. A click can thus wait for
one such function that has already begun, never for two. `_counting` guards the number of waiting clicks and
is held for that alone, never together with `lock`.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

from uniultra.errors import ModelError

Result = TypeVar("Result")
_creating = threading.Lock()


class DeviceWorker:
    """Runs functions on one device, one at a time, in the order of submission."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.lock = threading.Lock()
        self._last_submit = -math.inf
        self._ahead: deque[tuple[Callable[[], object], Future[object]]] = deque()
        self._waiting = 0  # functions in the queue that a caller waits for
        self._counting = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"uniultra-{device}")

    @property
    def quiet_for(self) -> float:
        """Seconds since the last `submit` that was not in the background."""
        return time.monotonic() - self._last_submit

    def submit(self, work: Callable[[], Result], *, background: bool = False) -> Future[Result]:
        """Queue `work`; it runs under the device lock without recording gradients."""
        if background:
            return self._thread.submit(self._run, work)
        self._last_submit = time.monotonic()
        with self._counting:
            self._waiting += 1
        return self._thread.submit(self._answer, work)

    def submit_ahead(self, work: Callable[[], Result]) -> Future[Result]:
        """Queue `work` that no user waits for yet; everything submitted before it begins runs first."""
        future: Future[Result] = Future()
        self._ahead.append((work, future))  # type: ignore[arg-type]
        self._thread.submit(self._go_ahead)
        return future

    def _answer(self, work: Callable[[], Result]) -> Result:
        with self._counting:
            self._waiting -= 1
        return self._run(work)

    def _go_ahead(self) -> None:
        with self._counting:
            waiting = self._waiting
        if waiting:
            self._thread.submit(self._go_ahead)
            return
        work, future = self._ahead.popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(self._run(work))
        except Exception as error:  # raised again by `future.result()`
            future.set_exception(error)

    def _run(self, work: Callable[[], Result]) -> Result:
        with self.lock, torch.inference_mode():
            return work()


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`; `auto` takes the first GPU, else the processor.

    Raises:
        ModelError: an unknown device, or one that this machine does not have.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError("Unknown device; expected auto, cpu or cuda[:N].") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"This machine has {torch.cuda.device_count()} CUDA devices; choose auto or cpu.")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def worker(device: torch.device) -> DeviceWorker:
    """The worker of a device; one per device and process."""
    with _creating:
        return _worker(device)


@cache
def _worker(device: torch.device) -> DeviceWorker:
    return DeviceWorker(device)

"""One persistent worker thread and one lock per device.

Kernel plans and allocator pools are kept per thread, so all work on a device runs on one thread that
lives as long as the process. The lock lets other work (a training step) take the device in turn.
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
    """Runs functions on one device, one after the other, in the order they came."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.lock = threading.Lock()
        self._asked = -math.inf
        self._ahead: deque[tuple[Callable[[], object], Future[object]]] = deque()
        self._wanted = 0  # functions in the queue that somebody waits for
        self._counting = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"uniultra-{device}")

    @property
    def quiet_for(self) -> float:
        """Seconds since somebody last asked for something; what runs in the background does not count."""
        return time.monotonic() - self._asked

    def submit(self, work: Callable[[], Result], *, background: bool = False) -> Future[Result]:
        """Queue `work`; it runs under the device lock without recording gradients."""
        if background:
            return self._thread.submit(self._run, work)
        self._asked = time.monotonic()
        with self._counting:
            self._wanted += 1
        return self._thread.submit(self._answer, work)

    def submit_ahead(self, work: Callable[[], Result]) -> Future[Result]:
        """Queue `work` that nobody waits for yet; whatever `submit` gets until it begins goes before it."""
        future: Future[Result] = Future()
        self._ahead.append((work, future))  # type: ignore[arg-type]
        self._thread.submit(self._go_ahead)
        return future

    def _answer(self, work: Callable[[], Result]) -> Result:
        with self._counting:
            self._wanted -= 1
        return self._run(work)

    def _go_ahead(self) -> None:
        with self._counting:
            wanted = self._wanted
        if wanted:  # to the end of the queue, behind those
            self._thread.submit(self._go_ahead)
            return
        work, future = self._ahead.popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(self._run(work))
        except Exception as error:  # whoever asks for the result gets it
            future.set_exception(error)

    def _run(self, work: Callable[[], Result]) -> Result:
        with self.lock, torch.inference_mode():
            return work()


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`; `auto` takes the first GPU, else the processor.

    Raises:
        ModelError: no such device here.
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
    """The worker of a device, one per process."""
    with _creating:
        return _worker(device)


@cache
def _worker(device: torch.device) -> DeviceWorker:
    return DeviceWorker(device)

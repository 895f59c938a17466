"""Runs of batch inference in this process, with records like MONAI Label's background tasks.

MONAI Label starts another process for each run, which would load the networks a second time and compete with
clicks for the device. A run here is a thread that waits its turn for the device.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from uniultra.serve.tasks.batch import Result
from uniultra.serve.tasks.cancellation import CancelCheck, StoppedError

DETAILS = 20  # lines, as MONAI Label keeps
KEPT = 50  # runs

Work = Callable[[CancelCheck], Iterator[Result]]


class BatchRun:
    """One run and its record."""

    def __init__(self, request: dict[str, Any], total: int) -> None:
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter(total=total, saved=0, skipped=0, failed=0)
        self._details: deque[str] = deque(maxlen=DETAILS)
        self._record = {
            "id": str(uuid.uuid4()),
            "status": "RUNNING",
            "request": request,
            "start_ts": _now(),
        }

    @property
    def record(self) -> dict[str, Any]:
        """`{id, status, request, start_ts, details, end_ts}` as MONAI Label's, and `counts` of images."""
        with self._lock:
            return {**self._record, "details": list(self._details), "counts": dict(self._counts)}

    @property
    def running(self) -> bool:
        return self._record["status"] == "RUNNING"

    def stop(self, patience: float = 10) -> None:
        """End the run after the frame it is at, and wait for that at most `patience` seconds."""
        self._stopping.set()
        self._ended.wait(patience)

    def follow(self, work: Work) -> dict[str, dict[str, Any]]:
        """Do the work in this thread, and keep the record."""
        results, status = {}, "ERROR"
        try:
            for image_id, result in work(self._go_on):
                results[image_id] = result
                self._note(image_id, result)
            status = "DONE"
        except StoppedError:
            status = "STOPPED"
        finally:
            with self._lock:
                self._record |= {"status": status, "end_ts": _now()}
            self._ended.set()
        return results

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise StoppedError("The run was stopped. Labels saved before that are there.")

    def _note(self, image_id: str, result: dict[str, Any]) -> None:
        what = "failed" if "error" in result else "skipped" if "skipped" in result else "saved"
        words = result.get("error") or result.get("skipped") or ""
        with self._lock:
            self._counts[what] += 1
            self._details.append(f"{image_id}: {what}{words and f': {words}'}")


class BatchRuns:
    """The runs of a server, one at a time."""

    def __init__(self) -> None:
        self._runs: deque[BatchRun] = deque(maxlen=KEPT)
        self._lock = threading.Lock()

    def begin(self, request: dict[str, Any], total: int) -> BatchRun | None:
        """A new run that counts as running, or None when one does already."""
        with self._lock:
            if self.current() is not None:
                return None
            self._runs.append(BatchRun(request, total))
            return self._runs[-1]

    def current(self) -> BatchRun | None:
        """The run that is running now."""
        return self._runs[-1] if self._runs and self._runs[-1].running else None

    def records(self) -> list[dict[str, Any]]:
        """The last runs, the newest at the end."""
        return [run.record for run in list(self._runs)]


def in_background(run: BatchRun, work: Work) -> None:
    """Follow `work` in a thread that ends with the server."""
    threading.Thread(target=run.follow, args=(work,), name="batch-infer", daemon=True).start()


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")

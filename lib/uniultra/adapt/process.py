"""The process of one training: `python -m uniultra.adapt.process JOBDIR [--parent PID]`.

It yields to clicks (niceness, its own number of threads), resumes where an earlier process was killed, and
ends with the server that started it. Exit status: 0 when the job has ended, whatever its verdict.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from filelock import Timeout

from uniultra.adapt.job import Ended, JobFolder
from uniultra.errors import UniUltraError

WAIT = 60.0  # seconds to wait for the process of an earlier server to end
LOOK, GRACE = 1.0, 20.0  # seconds between two checks of the parent; granted to the step in progress
BUSY = 75  # exit status: another process works on the job


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute a job to its end; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m uniultra.adapt.process")
    parser.add_argument("job", type=Path, help="the job's folder")
    parser.add_argument("--parent", type=int, help="end when this process is no longer the parent")
    options = parser.parse_args(arguments)
    folder = JobFolder(options.job.resolve())
    # on Windows a virtual environment's launcher stands between, which ends with its parent itself
    if options.parent is not None and os.name == "posix":
        threading.Thread(target=_follow, args=(options.parent,), daemon=True).start()
    try:
        with folder.lock().acquire(timeout=WAIT):
            if folder.ended() is None:
                work(folder)
    except Timeout:
        return BUSY
    return 0


def work(folder: JobFolder) -> None:
    """Execute a job whose lock this process holds, and write the outcome into its folder."""
    try:
        job = folder.job()
        if job.nice and hasattr(os, "nice"):
            os.nice(max(0, job.nice - os.nice(0)))
        # Before torch is imported: idle threads of a training must not spin beside a click.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        import torch

        from uniultra.adapt.run import AdaptationRun

        torch.set_num_threads(job.threads)
        folder.end(AdaptationRun(folder).run())
    except UniUltraError as error:
        folder.note(error=str(error))
        folder.end(Ended(status="ERROR", when=datetime.now(UTC), error=str(error)))


def _follow(parent: int) -> None:
    """End with the parent process; a later process resumes from the last checkpoint."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())

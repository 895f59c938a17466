"""Jobs as stock clients know background tasks, and their progress as stock Slicer reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from uniultra.adapt.job import Job, JobFolder


def record(folder: JobFolder, *, running: bool = False, job: Job | None = None) -> dict[str, Any]:
    """`{id, status, request, start_ts, details, end_ts}` of a job, and what is our own of it.

    Args:
        folder: of the job.
        running: its process is at work.
        job: its description, where it has been read.
    """
    job, ended, progress = job or folder.job(), folder.ended(), folder.progress()
    status = "RUNNING" if running else "STOPPED" if folder.stopped else "SUBMITTED"
    told: dict[str, Any] = {
        "id": job.id,
        "status": ended.status if ended else status,
        "request": job.request,
        "start_ts": _local(job.made),
        "details": folder.lines(),
    }
    if ended:
        told |= {"end_ts": _local(ended.when), "adapter": ended.adapter, "left_out": list(ended.left_out)}
        told |= {"error": ended.error} if ended.error else {}
        told |= {"verdict": ended.verdict.model_dump(mode="json")} if ended.verdict else {}
    elif folder.stopped:
        when = datetime.fromtimestamp((folder.path / "stopped").stat().st_mtime, UTC)
        told |= {"end_ts": _local(when)}
    if progress:
        told |= {"progress": progress.model_dump(exclude_none=True)}
    return told


def stats(folder: JobFolder | None) -> dict[str, Any]:
    """How far a job is, by the keys of MONAI Label's trainers; `total_time` once it has ended."""
    progress = None if folder is None else folder.progress()
    if folder is None or progress is None:
        return {}
    ended = folder.ended()
    found: dict[str, Any] = {
        "epoch": progress.epoch,
        "total_epochs": progress.total_epochs,
        "best_metric": progress.best_metric or 0.0,
        "total_time" if ended else "current_time": _clock(ended.seconds if ended else progress.total_time),
        "phase": progress.phase,
    }
    found |= progress.model_dump(include={"loss", "seconds_left"}, exclude_none=True)
    if ended:
        found |= {"published": ended.adapter, "why": ended.verdict.why if ended.verdict else ended.error}
    return found


def _local(when: datetime) -> str:
    """As MONAI Label writes times."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds)))

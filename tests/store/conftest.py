from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import postgres_server
import pytest
import yaml
from PIL import Image


def picture(path: Path, value: int = 90) -> Path:
    """A tiny grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8), value, np.uint8)).save(path)
    return path


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A studies folder with two pictures, one of them nested."""
    root = tmp_path / "studies"
    picture(root / "one.png")
    picture(root / "deep" / "er" / "two.png")
    return root


@pytest.fixture
def make_picture() -> object:
    return picture


def label_file(path: Path, value: int = 1, shape: tuple[int, ...] = (6, 8), frames: object = None) -> Path:
    """A label whose value fills a corner, of the frames named where it has several."""
    from uniultra.images.itk import sitk

    voxels = np.zeros(shape, np.uint8)
    for frame in range(shape[0]) if len(shape) == 3 else (None,):
        if frame is None:
            voxels[:3, :4] = value
        elif frames is None or frame in frames:  # type: ignore[operator]
            voxels[frame, :3, :4] = value
    sitk().WriteImage(sitk().GetImageFromArray(voxels), str(path))
    return path


@pytest.fixture
def make_label() -> object:
    return label_file


def cine(path: Path, frames: int = 5) -> Path:
    """A tiny cine."""
    from uniultra.images.itk import sitk

    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(frames)
    sitk().WriteImage(sitk().GetImageFromArray(rng.integers(0, 255, (frames, 6, 8), np.uint8)), str(path))
    return path


@pytest.fixture
def make_cine() -> object:
    return cine


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def campaign_file(studies: Path, **settings: object) -> None:
    """Write a campaign file with these settings."""
    (studies / "campaign.yaml").write_text(yaml.safe_dump(settings), "utf-8")


@pytest.fixture
def write_campaign() -> object:
    return campaign_file


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server."""
    pytest.importorskip("psycopg", reason="psycopg is missing: pip install 'uniultra[postgres]'")
    if postgres_server.programs() is None:
        pytest.skip(postgres_server.MISSING)
    with postgres_server.running() as url:
        yield url

"""Opened images: once for all who ask, again when the file has changed, bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import itk
import numpy as np
import pytest

from uniultra.images.types import AxisKind
from uniultra.serve.tasks import image_cache as files
from uniultra.serve.tasks.image_cache import OpenImages
from uniultra.store.errors import NotFoundError


@pytest.fixture
def studies(tmp_path: Path, tiny_studies: Callable[[Path], Path]) -> Path:
    return tiny_studies(tmp_path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read, in turn."""
    seen: list[Path] = []
    read_image = files.read_image

    def noted(path: Path, **options: Any) -> Any:
        seen.append(path)
        return read_image(path, **options)

    monkeypatch.setattr(files, "read_image", noted)
    return seen


def test_an_image_opens_once_for_all(studies: Path, read: list[Path]) -> None:
    images, everybody = OpenImages(1 << 20), threading.Barrier(8)

    def ask(_: int) -> Any:
        everybody.wait(10)
        return images.open(studies / "volume.nii.gz")

    with ThreadPoolExecutor(8) as people:
        assert len({id(image) for image in people.map(ask, range(8))}) == 1
    for _ in range(3):
        images.open(studies / "volume.nii.gz")
    assert len(read) == 1


def test_a_changed_file_and_another_axis_kind_open_again(studies: Path, read: list[Path]) -> None:
    images, file = OpenImages(1 << 20), studies / "volume.nii.gz"
    before = images.open(file)
    assert images.open(file, AxisKind.CINE).axis_kind is AxisKind.CINE
    file.write_bytes((studies / "grey.png").read_bytes())
    file = file.rename(studies / "volume.png")
    assert images.open(file).content_hash != before.content_hash
    file.unlink()
    with pytest.raises(NotFoundError):
        images.open(file)


def test_the_images_asked_for_last_stay(studies: Path, read: list[Path]) -> None:
    images = OpenImages(80 * 60 * 11)  # the volume, as it was read and as pictures, and one still
    for name in ("volume.nii.gz", "grey.png", "volume.nii.gz", "ward 3/colour.png", "volume.nii.gz"):
        images.open(studies / name)
    assert [path.name for path in read] == ["volume.nii.gz", "grey.png", "colour.png", "volume.nii.gz"]


def test_deep_samples_count_for_what_they_take(tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.nrrd" for n in range(3)]
    for n, file in enumerate(files):
        voxels = np.full((4, 50, 60), n, np.float64 if n else np.uint8)
        itk.imwrite(itk.image_from_array(voxels), str(file))
    images = OpenImages(4 * 50 * 60 * (2 + 9))  # one of a byte and one of eight, each also as pictures
    for file in files[:2]:
        images.open(file)
    assert len(images) == 2
    images.open(files[2])
    assert [images.peek(file) is not None for file in files] == [False, False, True]

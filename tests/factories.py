"""Small files and campaigns for tests: pictures, cines, labels, a clock, and a watch on opened files."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import get_ident
from typing import Any, NoReturn

import av
import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from uniultra.files.checksummed import sha256
from uniultra.images.itk import sitk
from uniultra.store.types import TrainingLabel

_watches: list[tuple[Path, list[tuple[int, Path]]]] = []


def make_picture(path: Path, value: int = 90) -> Path:
    """A tiny grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8), value, np.uint8)).save(path)
    return path


def make_pictures(folder: Path, count: int) -> Path:
    """Pictures `i000.png`, `i001.png` …"""
    for n in range(count):
        make_picture(folder / f"i{n:03}.png", n)
    return folder


def encoded(picture: np.ndarray, kind: str = "JPEG", **options: Any) -> bytes:
    """A picture as a compressed frame of DICOM, of an even number of bytes."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind, **options)
    return stream.getvalue() + b"\0" * (stream.tell() % 2)


def make_volume(
    path: Path,
    pixels: NDArray[Any],
    *,
    spacing: Sequence[float] = (),
    origin: Sequence[float] = (),
    direction: Sequence[float] = (),
    vector: bool = False,
    compress: bool = False,
) -> Path:
    """A file of ITK with these pixels, in a place of its own where one is given."""
    picture = sitk().GetImageFromArray(pixels, isVector=vector)
    for name, value in (("Spacing", spacing), ("Origin", origin), ("Direction", direction)):
        if value:
            getattr(picture, f"Set{name}")(value)
    sitk().WriteImage(picture, str(path), compress)
    return path


def make_cine(path: Path, frames: int = 5) -> Path:
    """A tiny cine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(frames)
    sitk().WriteImage(sitk().GetImageFromArray(rng.integers(0, 255, (frames, 6, 8), np.uint8)), str(path))
    return path


def make_video(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """A video of 25 frames per second from `(T,H,W)` or `(T,H,W,3)`."""
    kind = "gray" if frames.ndim == 3 else "rgb24"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.bit_rate = 4_000_000
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixels
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=kind)))
        container.mux(stream.encode())
    return path


STILL = np.arange(48, dtype=np.uint8).reshape(6, 8)


def make_dicom(
    path: Path,
    pixels: NDArray[Any] | None = STILL,
    *,
    frames: list[bytes] | None = None,
    syntax: str = "1.2.840.10008.1.2.1",
    implicit: bool = False,
    little: bool = True,
    data: bytes | None = None,
    rle: bool = False,
    **elements: object,
) -> Path:
    """A DICOM ultrasound file: pixels (or compressed frames), then any element by keyword."""
    import pydicom

    dataset = pydicom.FileDataset(str(path), {}, preamble=bytes(128))
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    dataset.SOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[path.name])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.is_implicit_VR, dataset.is_little_endian = implicit, little
    dataset.Modality = "US"
    if pixels is not None:
        multi = pixels.ndim == 4 or (pixels.ndim == 3 and pixels.shape[-1] != 3)
        shape = pixels.shape[1:] if multi else pixels.shape
        dataset.Rows, dataset.Columns = shape[:2]
        dataset.SamplesPerPixel = shape[2] if len(shape) == 3 else 1
        if multi:
            dataset.NumberOfFrames = len(pixels)
        bits = pixels.dtype.itemsize * 8
        dataset.BitsAllocated = dataset.BitsStored = bits
        dataset.HighBit = bits - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        dataset.PhotometricInterpretation = "RGB" if dataset.SamplesPerPixel == 3 else "MONOCHROME2"
        if dataset.SamplesPerPixel == 3:
            dataset.PlanarConfiguration = 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    if frames is not None:
        dataset.PixelData = pydicom.encaps.encapsulate(frames)
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
    elif data is not None or pixels is not None:
        order = pixels.astype(pixels.dtype.newbyteorder("<" if little else ">")) if data is None else None
        raw = data if order is None else order.tobytes()
        dataset.PixelData = raw + b"\0" * (len(raw) % 2)
        dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"
    if rle:
        dataset.compress(pydicom.uid.RLELossless)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, write_like_original=False)
    return path


def make_label(
    path: Path, value: int = 1, shape: tuple[int, ...] = (6, 8), frames: Collection[int] | None = None
) -> Path:
    """A label whose value fills a corner, of the named frames where it has several."""
    voxels = np.zeros(shape, np.uint8)
    for frame in range(shape[0]) if len(shape) == 3 else (...,):
        if frame is ... or frames is None or frame in frames:
            voxels[frame, :3, :4] = value
    sitk().WriteImage(sitk().GetImageFromArray(voxels), str(path))
    return path


def training_label(studies: Path, source: str, file: str, **fields: Any) -> TrainingLabel:
    """The record of a label file, both paths relative to the studies folder."""
    defaults = {"image": source.partition(".")[0], "revision": 1, "frames": None, "group": "patient"}
    checksum = sha256(studies / file)
    return TrainingLabel(source=source, file=file, sha256=checksum, **{**defaults, **fields})


def lose_index(studies: Path) -> None:
    """Delete the index of a label store."""
    for file in (studies / ".uniultra").glob("index.sqlite*"):
        file.unlink()


def write_campaign(studies: Path, **settings: object) -> None:
    """Write a campaign file with these settings."""
    (studies / "campaign.yaml").write_text(yaml.safe_dump(settings), "utf-8")


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """A function that takes anything and raises this error."""

    def fails(*_: object, **__: object) -> NoReturn:
        raise error

    return fails


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


@contextmanager
def files_opened(folder: Path) -> Iterator[list[tuple[int, Path]]]:
    """Thread and path of every file below a folder that Python opens meanwhile, relative to the folder."""
    if not _watches:
        sys.addaudithook(_note)  # there is no way to take one out again
        _watches.append((Path(), []))
    opened: list[tuple[int, Path]] = []
    _watches.append((folder, opened))
    try:
        yield opened
    finally:
        _watches.remove((folder, opened))


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str):
        path = Path(arguments[0])
        for folder, opened in _watches[1:]:
            if path.is_relative_to(folder):
                opened.append((get_ident(), path.relative_to(folder)))

"""Reads MP4, AVI, MOV and MKV as cines: seeks frames by time stamp and decodes from the key frame before."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uniultra.errors import ImageError
from uniultra.images.axis import choose_axis_kind
from uniultra.images.files import DAMAGE, check_frame, content_hash, damaged, decoding
from uniultra.images.frames import checked_reader
from uniultra.images.itk import identity_geometry
from uniultra.images.types import AxisKind, Picture, UltrasoundImage

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2", "avi", "matroska,webm"


def open_video(path: Path, requested: AxisKind | None) -> UltrasoundImage:
    """Index a video's frames from its packets, without decoding any.

    Raises:
        ImageError: damaged, without a video stream, or with frames of no size.
    """
    with decoding("video", video_damage()):
        index = _read_index(path)
    frames = len(index.stamps)
    check_frame(frames, index.rows, index.columns, index.channels)
    shape = (frames, index.rows, index.columns)
    digest = content_hash([path])
    reader = VideoReader(path, index)
    kind = choose_axis_kind(frames, AxisKind.CINE, requested)
    return UltrasoundImage(
        identity=f"sha256:{digest}",
        content_hash=digest,
        axis_kind=kind,
        shape=shape,
        channels=index.channels,
        geometry=identity_geometry(*shape),
        read_frame=checked_reader(reader.read, shape, index.channels, "video", video_damage()),
        frame_times_ms=index.times_ms() if frames > 1 and kind is AxisKind.CINE else None,
    )


@dataclass(frozen=True)
class FrameIndex:
    """Index of the frames of a video.

    Attributes:
        stamps: presentation time of each frame in units of `unit_ms`, rising; 0, 1, 2 … when the
            file has none.
        keys: stamps of the key frames, at which decoding can start, rising.
        seekable: frames can be found by their stamps; else they are counted from the first.
        unit_ms: milliseconds per unit; None when the stamps are not the file's own.
    """

    stamps: tuple[int, ...]
    keys: tuple[int, ...]
    seekable: bool
    unit_ms: float | None
    rows: int
    columns: int
    channels: int

    def times_ms(self) -> tuple[float, ...] | None:
        if self.unit_ms is None:
            return None
        return tuple((s - self.stamps[0]) * self.unit_ms for s in self.stamps)


class _Reopened:
    """A file object for PyAV that opens the file for each block, so that an idle decoder holds no handle."""

    def __init__(self, path: Path) -> None:
        self._path, self._place = path, 0
        self._size = path.stat().st_size

    def read(self, count: int) -> bytes:
        with self._path.open("rb") as handle:
            handle.seek(self._place)
            data = handle.read(count)
        self._place += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def tell(self) -> int:
        return self._place


def video_damage() -> tuple[type[Exception], ...]:
    """Exceptions that PyAV raises on damaged files."""
    import av

    return (*DAMAGE, av.error.FFmpegError)


def _open(path: Path) -> Any:
    import av

    av.logging.set_level(av.logging.PANIC)
    # PyAV gets bytes, not a path: a playlist or reference inside cannot open another file or address.
    container = av.open(_Reopened(path), mode="r", metadata_errors="ignore")
    if container.format.name not in FORMATS or not container.streams.video:
        container.close()
        raise ImageError(
            "Expected MP4, AVI, MOV or MKV with a video stream; the file has none. Convert the file."
        )
    container.streams.video[0].thread_count = 1
    return container


def _read_index(path: Path) -> FrameIndex:
    with _open(path) as container:
        stream = container.streams.video[0]
        packets = [
            (packet.pts, packet.is_keyframe)  # in storage order
            for packet in container.demux(stream)
            if packet.size and not packet.is_discard
        ]
        context = stream.codec_context
        rows, columns = context.height, context.width
        grey = (context.pix_fmt or "").startswith("gray")
        reordering, time_base = context.has_b_frames, stream.time_base
    if not packets:
        raise ImageError("Expected a video with frames; the file has none. Export it again.")
    size = rows, columns, 1 if grey else 3
    stored = [pts for pts, _ in packets if pts is not None]
    stamps = tuple(sorted(stored))
    if len(set(stamps)) < len(packets) or time_base is None:
        return FrameIndex(tuple(range(len(packets))), (), False, None, *size)
    keys = tuple(sorted(pts for pts, key in packets if key))
    # Where the decoder reorders frames, stamps that rise in storage order (H.264 in AVI) are of other frames.
    mismatched = reordering and stored == list(stamps)
    seekable = not mismatched and bool(keys) and keys[0] == stamps[0]
    return FrameIndex(stamps, keys, seekable, float(time_base) * 1000, *size)


class VideoReader:
    """Decodes single frames; continues from the last one where no key frame lies between.

    `decoded` counts the frames decoded so far.
    """

    def __init__(self, path: Path, index: FrameIndex) -> None:
        self._path, self._index = path, index
        self._lock = threading.Lock()
        self._frames: Iterator[Any] | None = None
        self._container: Any = None
        self._next = 0
        self.decoded = 0

    def read(self, t: int) -> Picture:
        """Frame `t`: `(H,W)` or `(H,W,3)` uint8."""
        with self._lock:
            picture: Picture | None = None
            try:
                if self._frames is None or not self._key_before(t) <= self._next <= t:
                    self._start_at(t)
                picture = self._decode_until(t)
                return picture
            finally:
                if picture is None or t == len(self._index.stamps) - 1:
                    self._close()

    def _key_before(self, t: int) -> int:
        """The frame at which decoding for frame `t` has to start."""
        if not self._index.seekable:
            return 0
        key = self._index.keys[max(0, bisect_right(self._index.keys, self._index.stamps[t]) - 1)]
        return bisect_left(self._index.stamps, key)

    def _start_at(self, t: int) -> None:
        self._close()
        self._container = _open(self._path)
        stream = self._container.streams.video[0]
        self._next = self._key_before(t)
        if self._next:
            self._container.seek(self._index.stamps[self._next], stream=stream, backward=True)
        self._frames = self._container.decode(stream)

    def _decode_until(self, t: int) -> Picture:
        if self._frames is None:
            raise damaged("video")
        for frame in self._frames:
            self.decoded += 1
            if self._index.seekable:
                # After a seek the decoder may return frames before the key frame; they are skipped.
                if frame.pts is None or frame.pts < self._index.stamps[t]:
                    continue
                if frame.pts > self._index.stamps[t]:
                    break
            elif self._next < t:
                self._next += 1
                continue
            self._next = t + 1
            return self._picture(frame)
        raise ImageError(f"Frame {t} of the video cannot be decoded: it is damaged. Export the video again.")

    def _picture(self, frame: Any) -> Picture:
        grey = self._index.channels == 1
        picture = np.asarray(frame.to_ndarray(format="gray" if grey else "rgb24"))
        if picture.shape[:2] != (self._index.rows, self._index.columns):
            raise ImageError("Expected video frames of one size; they change. Export the video again.")
        return picture

    def _close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container, self._frames = None, None

"""Videos made with PyAV: every frame is itself, whichever is asked for first."""

from __future__ import annotations

import av
import numpy as np
import pytest
from factories import make_video

from uniultra.errors import ImageError
from uniultra.images import AxisKind, read_image
from uniultra.images import video as video_module

CASES = [
    ("a.mp4", "libx264", "yuv420p", {"g": "10", "bf": "2"}),
    ("a.MOV", "mpeg4", "yuv420p", {"g": "10"}),
    ("a.mkv", "libx264", "yuv420p", {"g": "10"}),
    ("a.avi", "mpeg4", "yuv420p", {"g": "10", "bf": "2"}),
    ("h264.avi", "libx264", "yuv420p", {"g": "10", "bf": "2"}),
    ("mjpeg.avi", "mjpeg", "yuvj420p", {}),
    ("grey.mkv", "ffv1", "gray", {}),
]
FRAMES = 30


def numbered(path, codec, pixels, options):
    """Frame t is red in its left 4 + 2t columns and has a bar of brightness 8t at the top."""
    film = np.zeros((FRAMES, 64, 96, 3), np.uint8)
    for t, picture in enumerate(film):
        picture[:, : 4 + 2 * t] = (200, 40, 40)
        picture[:16] = 8 * t
    return make_video(path, film, codec, pixels, options)


def number_of(picture):
    """Which frame a picture is, by its bar."""
    return round(float(np.median(picture[:12])) / 8)


@pytest.fixture
def count_decoded(monkeypatch):
    """The frames decoded by all readers since the start of the test."""
    readers = []
    plain = video_module.VideoReader.__init__

    def remember(self, *args):
        plain(self, *args)
        readers.append(self)

    monkeypatch.setattr(video_module.VideoReader, "__init__", remember)
    return lambda: sum(reader.decoded for reader in readers)


@pytest.mark.parametrize(("name", "codec", "pixels", "options"), CASES)
def test_frames_in_order_and_alone(tmp_path, name, codec, pixels, options):
    path = numbered(tmp_path / name, codec, pixels, options)
    image = read_image(path)
    assert image.axis_kind is AxisKind.CINE and image.shape == (FRAMES, 64, 96)
    assert image.channels == (1 if pixels == "gray" else 3)
    assert image.frame_times_ms == pytest.approx([t * 40 for t in range(FRAMES)])
    assert image.spacing_mm is None and image.geometry.spacing == (1, 1, 1)
    frames = image.frames
    assert [number_of(f) for f in frames] == list(range(FRAMES))
    if image.channels == 3:
        assert np.abs(frames[20, 40, 10].astype(int) - (200, 40, 40)).max() < 25
        assert frames[20, 40, 80].max() < 25
    again = read_image(path)
    for t in (23, 4, 29, 5, 6, 0, 12):
        assert np.array_equal(again.read_frame(t), frames[t])


@pytest.mark.parametrize(("name", "codec", "pixels", "options"), [CASES[0], CASES[2], CASES[5]])
def test_a_late_frame_is_decoded_from_its_key_frame(tmp_path, count_decoded, name, codec, pixels, options):
    image = read_image(numbered(tmp_path / name, codec, pixels, options))
    assert count_decoded() == 0
    assert number_of(image.read_frame(25)) == 25
    assert count_decoded() <= 10


def test_reading_on_decodes_nothing_twice(tmp_path, count_decoded):
    image = read_image(numbered(tmp_path / "a.mp4", "libx264", "yuv420p", {"g": "250"}))
    assert len(image.frames) == FRAMES
    assert count_decoded() == FRAMES


def test_no_handle_stays_open(tmp_path):
    descriptors = tmp_path.__class__("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("open files are listed under /proc on Linux only")
    path = numbered(tmp_path / "a.mp4", *CASES[0][1:])
    image = read_image(path)
    image.read_frame(3)
    targets = [link.resolve() for link in descriptors.iterdir()]
    assert path.resolve() not in targets


def test_damaged_video(tmp_path):
    path = numbered(tmp_path / "a.mp4", *CASES[0][1:])
    data = path.read_bytes()
    (tmp_path / "b.mp4").write_bytes(data[: len(data) // 2])
    (tmp_path / "c.avi").write_bytes(b"no video at all" * 50)
    for name in ("b.mp4", "c.avi"):
        with pytest.raises(ImageError, match="video"):
            read_image(tmp_path / name).read_frame(FRAMES - 1)


def test_a_playlist_opens_nothing_else(tmp_path):
    numbered(tmp_path / "a.mp4", *CASES[0][1:])
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'a.mp4'}'\n")
    (tmp_path / "play.mkv").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'a.mp4'}\n#EXT-X-ENDLIST\n")
    for name in ("list.mp4", "play.mkv"):
        with pytest.raises(ImageError, match="video"):
            read_image(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(ImageError, match="video stream"):
        read_image(path)

"""One frame of a long file costs one frame; several threads may ask at once."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from factories import encoded, make_video
from PIL import Image
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless, JPEGBaseline8Bit

from uniultra.images import files, read_image


@pytest.fixture
def bytes_read(monkeypatch):
    """How many bytes of pixel data were read through `FileBytes` so far."""
    counted = []
    plain = files.FileBytes.read

    def read(self, offset, count):
        counted.append(count)
        return plain(self, offset, count)

    monkeypatch.setattr(files.FileBytes, "read", read)
    return lambda: sum(counted)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", ExplicitVRBigEndian])
def test_uncompressed_dicom_frame_is_read_alone(make_dicom, cine, bytes_read, syntax):
    image = read_image(make_dicom(cine, syntax=syntax, little=syntax != ExplicitVRBigEndian))
    opened = bytes_read()
    assert opened < 100  # the head of the pixel data
    assert np.array_equal(image.read_frame(4), cine[4])
    assert bytes_read() - opened == cine[4].size


def test_compressed_dicom_frame_is_decoded_alone(make_dicom, cine, bytes_read, monkeypatch):
    from uniultra.images.dicom import pixels as dicom_pixels

    frames = [encoded(frame, "JPEG2000", irreversible=False, no_jp2=True) for frame in cine]
    decoded, plain = [], dicom_pixels.decode
    monkeypatch.setattr(dicom_pixels, "decode", lambda *a: decoded.append(1) or plain(*a))
    image = read_image(make_dicom(cine, frames=frames, syntax=JPEG2000Lossless))
    opened = bytes_read()
    assert not decoded
    assert np.array_equal(image.read_frame(4), cine[4])
    assert len(decoded) == 1 and bytes_read() - opened == len(frames[4])


def test_metaimage_frame_is_read_alone(tmp_path):
    counter = Path("/proc/self/io")
    if not counter.is_file():
        pytest.skip("bytes read are counted under /proc on Linux only")
    volume = np.random.default_rng(0).integers(0, 255, (40, 256, 256), dtype=np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(volume), str(tmp_path / "a.mha"))
    image = read_image(tmp_path / "a.mha")
    before = int(counter.read_text().split()[1])
    assert np.array_equal(image.read_frame(31), volume[31])
    assert int(counter.read_text().split()[1]) - before < 4 * 256 * 256


def test_compressed_volume_is_decoded_once(tmp_path, cine, monkeypatch):
    from uniultra.images import itk_files

    sitk.WriteImage(sitk.GetImageFromArray(cine), str(tmp_path / "a.nrrd"), True)
    # how often it decodes shows neither in the frames nor, reliably, in the time
    loads, plain = [], itk_files._read_all
    monkeypatch.setattr(itk_files, "_read_all", lambda *a: loads.append(1) or plain(*a))
    image = read_image(tmp_path / "a.nrrd")
    assert not loads
    with ThreadPoolExecutor(2) as pool:
        frames = list(pool.map(image.read_frame, range(6)))
    assert np.array_equal(np.stack(frames), cine) and len(loads) == 1
    frames[0][:] = 0  # a frame is the caller's own
    assert np.array_equal(image.read_frame(0), cine[0])


def test_many_threads_get_their_own_frames(tmp_path, make_dicom, colour, cine):
    jpegs = [encoded(np.roll(colour, 4 * t, axis=0), quality=95) for t in range(6)]
    film = np.stack([colour] * 6)
    paths = [
        make_dicom(film, frames=jpegs, syntax=JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL_422"),
        make_dicom(cine.astype(np.uint16) * 9, name="deep.dcm"),
        tmp_path / "a.mha",
        tmp_path / "a.mp4",
    ]
    sitk.WriteImage(sitk.GetImageFromArray(cine), str(paths[2]))
    make_video(paths[3], cine)
    images = [read_image(path) for path in paths]
    expected = [read_image(path).frames for path in paths]
    wanted = [(n, t) for _ in range(8) for n in range(4) for t in (5, 0, 3, 1, 4, 2)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda w: images[w[0]].read_frame(w[1]), wanted))
    for (n, t), frame in zip(wanted, got, strict=True):
        assert np.array_equal(frame, expected[n][t])


def test_identity_is_the_hash_of_the_bytes(tmp_path, grey, make_dicom, cine):
    path = tmp_path / "a.png"
    Image.fromarray(grey).save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_image(path).content_hash == digest
    assert read_image(path).identity == f"sha256:{digest}"
    dicom = make_dicom(cine)
    assert read_image(dicom).content_hash == hashlib.sha256(dicom.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["a.mhd", "a.nhdr"])
def test_the_hash_covers_detached_pixels(tmp_path, cine, name):
    hashes = []
    for pixels in (cine, 255 - cine):
        sitk.WriteImage(sitk.GetImageFromArray(pixels), str(tmp_path / name))
        hashes.append(read_image(tmp_path / name).content_hash)
    assert hashes[0] != hashes[1]

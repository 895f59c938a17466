"""NRRD, NIfTI and MetaImage, and the phantom cines and volumes."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from factories import make_volume

from uniultra.errors import ImageError
from uniultra.images import AxisKind, Plane, read_image

SPACING, ORIGIN = (0.5, 0.25, 2.0), (1.0, -2.0, 3.0)
DIRECTION = (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def written(path, pixels, vector=False, compress=True):
    volume = pixels.ndim - vector == 3
    place = {"spacing": SPACING, "origin": ORIGIN, "direction": DIRECTION} if volume else {}
    return make_volume(path, pixels, vector=vector, compress=compress, **place)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.nii", "a.nii.gz", "a.mha", "a.mhd", "A.NRRD"])
def test_volume(tmp_path, cine, name, compress):
    image = read_image(written(tmp_path / name, cine, compress=compress))
    assert image.axis_kind is AxisKind.VOLUME and image.channels == 1
    assert np.array_equal(image.frames, cine)
    assert image.spacing_mm == pytest.approx((2.0, 0.25, 0.5))
    assert image.geometry.size == (72, 48, 6)
    assert image.geometry.spacing == pytest.approx(SPACING)
    assert image.geometry.origin == pytest.approx(ORIGIN)
    assert image.geometry.direction == pytest.approx(DIRECTION)
    assert np.array_equal(image.picture(Plane("j", 7)), cine[:, 7])


@pytest.mark.parametrize("name", ["a.nrrd", "a.nii.gz", "a.mha"])
def test_colour_volume(tmp_path, colour, name):
    volume = np.stack([colour, colour[::-1], colour])
    image = read_image(written(tmp_path / name, volume, vector=True))
    assert image.channels == 3 and image.shape == (3, 48, 72)
    assert np.array_equal(image.frames, volume)


@pytest.mark.parametrize("name", ["a.nrrd", "a.nii.gz", "a.mha", "a.igs.mha"])
def test_flat_file_is_a_still(tmp_path, grey, name):
    image = read_image(written(tmp_path / name, grey))
    assert image.axis_kind is AxisKind.STILL and image.geometry.size == (72, 48, 1)
    assert np.array_equal(image.read_frame(0), grey)
    assert image.spacing_mm is None


@pytest.mark.parametrize("number", [np.int8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_any_number_type_is_stretched_alike_in_all_slices(tmp_path, number):
    volume = np.stack([np.linspace(-100, 20 + 20 * t, 48 * 72).reshape(48, 72) for t in range(4)])
    shift = 100 if np.dtype(number).kind == "u" else 0
    image = read_image(written(tmp_path / "a.nrrd", (volume + shift).astype(number)))
    expected = (volume + 100) * 255 / 180
    assert np.abs(image.frames - expected).max() <= 4


def test_spacing_of_one_is_no_calibration(tmp_path, cine):
    picture = sitk.GetImageFromArray(cine)
    for name in ("a.nrrd", "a.nii.gz", "a.mha"):
        sitk.WriteImage(picture, str(tmp_path / name))
        assert read_image(tmp_path / name).spacing_mm is None
    picture.SetSpacing((1, 1, 2))
    sitk.WriteImage(picture, str(tmp_path / "b.nrrd"))
    assert read_image(tmp_path / "b.nrrd").spacing_mm == (2, 1, 1)
    assert read_image(tmp_path / "b.nrrd", axis_kind="cine").spacing_mm is None


def slicer_sequence(path, frames, colour):
    """A sequence as Slicer's storage node writes it: one-slice volumes along a last axis of time."""
    kinds = ("vector " if colour else "") + "domain domain domain list"
    sizes = ("3 " if colour else "") + f"72 48 1 {len(frames)}"
    directions = ("none " if colour else "") + "(-0.5,0,0) (0,-0.25,0) (0,0,2) none"
    blank = '"" ' * (4 if colour else 3)
    header = (
        f"NRRD0004\ntype: unsigned char\ndimension: {5 if colour else 4}\n"
        f"space: left-posterior-superior\nsizes: {sizes}\nspace directions: {directions}\nkinds: {kinds}\n"
        f'labels: {blank}"time"\nunits: {blank}"s"\nencoding: gzip\nspace origin: (-1,-2,3)\n'
        "axis 3 index type:=numeric\naxis 3 index values:="
        + " ".join(str(0.5 + t * 0.04) for t in range(len(frames)))
        + "\n\n"
    )
    path.write_bytes(header.encode() + gzip.compress(np.stack(frames).tobytes()))
    return path


@pytest.mark.parametrize("count", [3, 6])  # three grey frames are not the channels of one colour picture
def test_slicer_sequence(tmp_path, cine, colour, count):
    image = read_image(slicer_sequence(tmp_path / "a.seq.nrrd", cine[:count], colour=False))
    assert image.axis_kind is AxisKind.CINE and image.channels == 1
    assert np.array_equal(image.frames, cine[:count])
    frames = [np.roll(colour, t, axis=0) for t in range(count)]
    image = read_image(slicer_sequence(tmp_path / "b.seq.nrrd", frames, colour=True))
    assert image.axis_kind is AxisKind.CINE and image.channels == 3
    assert np.array_equal(image.frames, np.stack(frames))
    assert image.spacing_mm == (0.25, 0.5)
    assert image.frame_times_ms == pytest.approx([t * 40 for t in range(count)])
    assert image.geometry.size == (72, 48, count)
    assert image.geometry.spacing == (0.5, 0.25, 2) and image.geometry.origin == (-1, -2, 3)
    assert image.geometry.direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)


def test_plain_stack_named_as_a_sequence(tmp_path, cine):
    image = read_image(written(tmp_path / "a.seq.nrrd", cine))
    assert image.axis_kind is AxisKind.CINE and image.spacing_mm == (0.25, 0.5)
    assert read_image(tmp_path / "a.seq.nrrd", axis_kind="volume").spacing_mm == (2.0, 0.25, 0.5)


def test_one_slice_over_time_is_a_cine(tmp_path, cine):
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(cine[:, np.newaxis], isVector=False), str(path))
    image = read_image(path)
    assert image.axis_kind is AxisKind.CINE and np.array_equal(image.frames, cine)


def test_what_is_no_picture_is_refused(tmp_path, cine):
    sitk.WriteImage(sitk.GetImageFromArray(np.stack([cine, cine]), isVector=False), str(tmp_path / "a.nrrd"))
    with pytest.raises(ImageError, match="volumes over time"):
        read_image(tmp_path / "a.nrrd")
    for components, number in ((2, np.uint8), (5, np.uint8), (3, np.float32)):
        field = np.zeros((4, 48, 72, components), number)
        with pytest.raises(ImageError, match="components"):
            read_image(written(tmp_path / "b.mha", field, vector=True))
    with pytest.raises(ImageError, match="real numbers"):
        read_image(written(tmp_path / "c.nrrd", np.zeros((4, 48, 72), np.complex64)))


def test_phantom_volumes(shared_dir):
    spine = read_image(shared_dir / "phantom" / "SpinePhantomFreehandReconstructed.mha")
    assert spine.axis_kind is AxisKind.VOLUME and spine.shape == (104, 106, 147)
    assert spine.spacing_mm == (0.5, 0.5, 0.5)
    assert spine.geometry.origin == pytest.approx((-74.5217, 165.573, 29.072))
    other = read_image(shared_dir / "phantom" / "vtkVolumeReconstructorTestIMLiNvolumeRef.mha")
    assert other.shape == (23, 151, 334) and other.spacing_mm == (0.2, 0.1, 0.1)
    for image, name in (
        (spine, "SpinePhantomFreehandReconstructed"),
        (other, "vtkVolumeReconstructorTestIMLiNvolumeRef"),
    ):
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(shared_dir / "phantom" / f"{name}.mha")))
        assert np.array_equal(image.frames, pixels)


def test_phantom_cines(shared_dir):
    path = shared_dir / "phantom" / "UltrasonixCurvilinearScanConvertedData.igs.mha"
    image = read_image(path)
    assert image.axis_kind is AxisKind.CINE and image.shape == (5, 616, 820)
    assert image.spacing_mm is None
    assert image.frame_times_ms == pytest.approx((0, 10, 20, 1030, 1040))
    assert np.array_equal(image.frames, sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    flat = read_image(shared_dir / "phantom" / "BkCurvilinearScanConvertedData.igs.mha")
    assert flat.axis_kind is AxisKind.STILL and flat.shape == (1, 400, 600)
    assert flat.geometry.size == (600, 400, 1) and flat.read_frame(0).std() > 5

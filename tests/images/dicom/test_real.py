"""Real ultrasound DICOM against its manifest and against a second decoder."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image

from uniultra import demo
from uniultra.errors import ImageError
from uniultra.images import AxisKind, read_image

MANIFEST_NAMES = [
    "DIRW0007.dcm",
    "ExplVR_BigEnd.dcm",
    "JPGLosslessP14SV1_1s_1f_8b.dcm",
    "OBXXXX1A.dcm",
    "OBXXXX1A_2frame.dcm",
    "OBXXXX1A_rle_2frame.dcm",
    "US1_J2KR.dcm",
    "US1_RLE.dcm",
    "US1_UNCR.dcm",
    "color-pl.dcm",
    "color-px.dcm",
    "cs_no-pixel-spacing.dcm",
    "dcm4che_US-RGB-8-epicard.dcm",
    "dcm4che_will-jxl.dcm",
    "examples_jpeg2k.dcm",
    "examples_palette.dcm",
    "examples_rgb_color.dcm",
    "examples_ybr_color.dcm",
    "gdcm-US-ALOKA-16.dcm",
    "weasis_palette-multiframe-jpeg-ls.dcm",
]
JPEG_XL = "dcm4che_will-jxl.dcm"
ITK_CANNOT = {"DIRW0007.dcm", JPEG_XL}


@pytest.fixture(scope="module")
def dicom_dir(shared_dir: Path) -> Path:
    return shared_dir / "dicom"


@pytest.fixture(scope="module")
def manifest(dicom_dir: Path) -> dict[str, dict[str, str]]:
    with (dicom_dir / "manifest.csv").open() as handle:
        return {row["file"]: row for row in csv.DictReader(handle)}


def test_every_file_of_the_manifest_is_tested(manifest):
    assert sorted(manifest) == sorted(MANIFEST_NAMES)


@pytest.mark.parametrize("name", [n for n in MANIFEST_NAMES if n != JPEG_XL])
def test_file_matches_its_manifest(dicom_dir, manifest, name):
    image, row = read_image(dicom_dir / name), manifest[name]
    assert image.shape == (int(row["frames"]), int(row["rows"]), int(row["columns"]))
    assert image.channels == (1 if row["photometric"].startswith("MONO") else 3)
    assert image.axis_kind is (AxisKind.CINE if int(row["frames"]) > 1 else AxisKind.STILL)
    assert len(image.regions) == int(row["regions"])
    assert image.identity == pydicom.dcmread(dicom_dir / name, stop_before_pixels=True).SOPInstanceUID
    for t in {0, image.shape[0] - 1}:
        frame = image.read_frame(t)
        assert frame.shape == image.shape[1:] + ((3,) if image.channels == 3 else ())
        assert frame.dtype == np.uint8 and frame.flags.writeable
        assert frame.std() > 5


def test_jpeg_xl_is_refused_by_name(dicom_dir):
    with pytest.raises(ImageError, match=r"JPEG XL JPEG Recompression \(1\.2\.840\.10008\.1\.2\.4\.111\)"):
        read_image(dicom_dir / JPEG_XL)


@pytest.mark.parametrize("name", [n for n in MANIFEST_NAMES if n not in ITK_CANNOT])
def test_pixels_and_geometry_are_those_of_itk(dicom_dir, name):
    image, second = read_image(dicom_dir / name), sitk.ReadImage(str(dicom_dir / name))
    pixels = sitk.GetArrayFromImage(second)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    # The one grey file has a window of almost the whole range, which ITK does not apply.
    tolerance = 2 if image.channels == 1 else 0
    assert np.abs(image.frames.astype(int) - pixels).max() <= tolerance
    assert image.geometry.size == second.GetSize()
    assert image.geometry.spacing == second.GetSpacing()
    assert image.geometry.origin == second.GetOrigin()
    assert image.geometry.direction == second.GetDirection()


@pytest.mark.parametrize("name", ["DIRW0007.dcm", "examples_ybr_color.dcm"])
def test_jpeg_colours_are_those_of_libjpeg(dicom_dir, name):
    """Pillow converts a JFIF picture by itself; the DICOM's fragments are such pictures."""
    dataset = pydicom.dcmread(dicom_dir / name)
    data = next(pydicom.encaps.generate_pixel_data_frame(dataset.PixelData, int(dataset.NumberOfFrames)))
    picture = Image.open(io.BytesIO(data))
    picture.draft("YCbCr", picture.size)
    ybr = np.asarray(picture).astype(float) - (0, 128, 128)
    red = ybr[..., 0] + 1.402 * ybr[..., 2]
    green = ybr[..., 0] - 0.344136 * ybr[..., 1] - 0.714136 * ybr[..., 2]
    blue = ybr[..., 0] + 1.772 * ybr[..., 1]
    expected = np.clip(np.stack([red, green, blue], axis=-1), 0, 255)
    difference = np.abs(read_image(dicom_dir / name).read_frame(0) - expected)
    assert difference.max() <= 2.5 and difference.mean() < 0.5


def test_a_file_itk_cannot_read_has_the_identity_geometry(dicom_dir):
    geometry = read_image(dicom_dir / "DIRW0007.dcm").geometry
    assert geometry.size == (576, 456, 65)
    assert geometry.spacing == (1, 1, 1) and geometry.origin == (0, 0, 0)


def test_calibration_is_that_of_the_tissue_region(dicom_dir):
    image = read_image(dicom_dir / "DIRW0007.dcm")
    assert image.spacing_mm == pytest.approx((0.52478, 0.52478), rel=1e-4)  # the delta is negative
    assert image.regions[0].spacing_mm is None  # no units
    assert (image.regions[1].x0, image.regions[1].y1) == (27, 391)
    strip = read_image(dicom_dir / "OBXXXX1A.dcm").regions[1]
    assert strip.spatial_format == 4 and strip.spacing_mm is None  # seconds, not lengths


def test_files_without_calibration_get_none(dicom_dir):
    for name in ("US1_UNCR.dcm", "color-px.dcm", "examples_jpeg2k.dcm"):
        assert read_image(dicom_dir / name).spacing_mm is None


def test_frame_times(dicom_dir):
    vector = read_image(dicom_dir / "DIRW0007.dcm").frame_times_ms
    assert len(vector) == 65 and vector[:4] == pytest.approx((0, 33.333, 83.333, 116.666))
    even = read_image(dicom_dir / "examples_ybr_color.dcm").frame_times_ms
    assert even == pytest.approx([t * 33.333 for t in range(30)])
    assert read_image(dicom_dir / "US1_UNCR.dcm").frame_times_ms is None


def test_wheel_samples_are_read_and_fetched_once(wheel_samples, monkeypatch):
    shapes = [read_image(path).shape for path in wheel_samples]
    assert shapes == [(30, 240, 320), (1, 240, 320), (1, 350, 800), (1, 480, 640), (1, 60, 80)]
    monkeypatch.setattr(demo, "_wheel", lambda cache: pytest.fail("downloaded again"))
    assert demo.fetch_sample_dicom(wheel_samples[0].parent) == wheel_samples


def test_samples_that_cannot_be_fetched_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(demo.UniUltraError, match="registry"):
        demo.fetch_sample_dicom(tmp_path / "samples", cache=tmp_path / "cache")


def test_a_damaged_wheel_is_refused_and_removed(tmp_path):
    (tmp_path / demo.WHEEL).write_bytes(b"not a wheel")
    with pytest.raises(demo.UniUltraError, match="damaged"):
        demo.fetch_sample_dicom(tmp_path / "samples", cache=tmp_path)
    assert not (tmp_path / demo.WHEEL).exists()

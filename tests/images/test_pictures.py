"""PNG, JPEG, BMP and TIFF: upright, in their colours, at any depth."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from uniultra.errors import ImageError
from uniultra.images import AxisKind, Plane, read_image


def saved(folder, name, pixels, **options):
    path = folder / name
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "TIFF", "PNG"])
def test_lossless_pictures(tmp_path, grey, colour, ending):
    for pixels in (grey, colour):
        image = read_image(saved(tmp_path, f"a.{ending}", pixels))
        assert image.axis_kind is AxisKind.STILL and image.shape == (1, 48, 72)
        assert image.channels == (1 if pixels.ndim == 2 else 3)
        assert np.array_equal(image.picture(Plane("k", 0)), pixels)
        assert image.spacing_mm is None and image.frame_times_ms is None
        assert image.read_frame(0).flags.writeable


@pytest.mark.parametrize("ending", ["jpg", "jpeg"])
def test_jpeg(tmp_path, colour, ending):
    image = read_image(saved(tmp_path, f"a.{ending}", colour, quality=95, subsampling=0, dpi=(300, 300)))
    assert np.abs(image.read_frame(0).astype(int) - colour).mean() < 2
    assert image.spacing_mm is None  # dots per inch are no calibration


def test_cmyk_jpeg_keeps_its_colours(tmp_path, colour):
    image = read_image(saved(tmp_path, "a.jpg", Image.fromarray(colour).convert("CMYK"), quality=95))
    assert np.abs(image.read_frame(0).astype(int) - colour).mean() < 4


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_is_stretched(tmp_path, grey, name):
    deep = grey.astype(np.uint16) * 4
    picture = read_image(saved(tmp_path, name, deep)).read_frame(0)
    expected = (grey.astype(float) - 10) * 255 / 245
    assert picture.dtype == np.uint8 and np.abs(picture - expected).max() <= 2


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_colour_keeps_its_balance(tmp_path, colour, name):
    path = tmp_path / name
    sitk.WriteImage(sitk.GetImageFromArray(colour.astype(np.uint16) * 257, isVector=True), str(path))
    image = read_image(path)
    expected = (colour.astype(float) - 10) * 255 / 245
    assert image.channels == 3
    assert np.abs(image.read_frame(0) - expected).max() <= 2


def test_float_tiff_with_what_is_no_number(tmp_path, grey):
    values = grey.astype(np.float32) / 255
    values[0, 0] = np.nan
    picture = read_image(saved(tmp_path, "a.tif", values)).read_frame(0)
    assert picture[0, 0] == 0 and picture[0, 1] == 255


def test_palette(tmp_path, colour):
    indexed = Image.fromarray(colour).convert("P", palette=Image.Palette.ADAPTIVE)
    for name in ("a.png", "a.bmp", "a.tif"):
        image = read_image(saved(tmp_path, name, indexed))
        assert image.channels == 3
        assert np.array_equal(image.read_frame(0), np.asarray(indexed.convert("RGB")))


def test_transparent_is_black(tmp_path, grey, colour):
    alpha = np.full(grey.shape, 255, np.uint8)
    alpha[:24] = 0
    for pixels in (grey, colour):
        stored = np.dstack([pixels, alpha])
        image = read_image(saved(tmp_path, "a.png", stored))
        assert image.channels == (1 if pixels.ndim == 2 else 3)
        assert not image.read_frame(0)[:24].any()
        assert np.array_equal(image.read_frame(0)[24:], pixels[24:])


def test_one_bit(tmp_path, grey):
    for name in ("a.png", "a.bmp", "a.tif"):
        picture = read_image(saved(tmp_path, name, Image.fromarray(grey > 200))).read_frame(0)
        assert np.array_equal(picture, np.where(grey > 200, 255, 0))


def test_grey_stored_as_colour_stays_colour(tmp_path, grey):
    assert read_image(saved(tmp_path, "a.png", np.dstack([grey] * 3))).channels == 3


def test_exif_orientation_keeps_the_stored_order(tmp_path, grey):
    exif = Image.Exif()
    exif[274] = 6
    image = read_image(saved(tmp_path, "a.jpg", grey, quality=95, exif=exif))
    assert image.shape == (1, 48, 72)
    assert np.abs(image.read_frame(0).astype(int) - grey).mean() < 2


def test_turned_tiff_is_what_itk_sees(tmp_path, grey):
    path = saved(tmp_path, "a.tif", grey, tiffinfo={274: 4})
    second = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert np.array_equal(read_image(path).read_frame(0), second)


def test_pages_of_a_tiff_are_a_volume(tmp_path, cine):
    pages = [Image.fromarray(frame) for frame in cine]
    image = read_image(saved(tmp_path, "a.tif", pages[0], save_all=True, append_images=pages[1:]))
    assert image.axis_kind is AxisKind.VOLUME and np.array_equal(image.frames, cine)
    assert image.geometry.size == (72, 48, 6)
    assert np.array_equal(image.picture(Plane("i", 3)), cine[:, :, 3])
    odd = [pages[0], pages[1].resize((10, 10))]
    with pytest.raises(ImageError, match="pages"):
        read_image(saved(tmp_path, "b.tif", odd[0], save_all=True, append_images=odd[1:]))


def test_geometry_is_that_of_itk(tmp_path, grey):
    path = saved(tmp_path, "a.jpg", grey, dpi=(254, 254))
    geometry = read_image(path).geometry
    assert geometry.size == (72, 48, 1)
    assert geometry.spacing == (*sitk.ReadImage(str(path)).GetSpacing(), 1.0)
    assert geometry.spacing[0] == pytest.approx(0.1)
    assert geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)

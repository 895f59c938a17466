"""Label files on the pixels of their images."""

import numpy as np
import pytest
from factories import make_volume
from PIL import Image

from uniultra.errors import ImageError
from uniultra.images import read_image
from uniultra.store.labels.labelmap import read_labelmap

VALUES = np.arange(48, dtype=np.uint8).reshape(6, 8) % 5


@pytest.fixture
def still(studies):
    return read_image(studies / "one.png")


@pytest.fixture
def volume(tmp_path):
    pixels = np.zeros((3, 6, 8), np.uint8)
    place = {"spacing": (0.5, 0.25, 2.0), "origin": (10.0, 20.0, -30.0)}
    return read_image(make_volume(tmp_path / "volume.nrrd", pixels, **place))


def save(path, values, like=None, **header):
    place = {} if like is None else {"spacing": like.geometry.spacing, "origin": like.geometry.origin}
    return make_volume(path, values, **{**place, **header})


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "LA", "I;16"])
def test_pictures_give_their_values(still, tmp_path, mode):
    path = tmp_path / "mask.png"
    picture = Image.fromarray(VALUES.astype(np.uint16) if mode == "I;16" else VALUES)
    if mode == "P":
        picture.putpalette([200, 10, 10] * 256)  # one colour for all: the indices count
    elif mode != "I;16":
        picture = picture.convert(mode)
    picture.save(path)
    assert (read_labelmap(path, still) == VALUES).all()


@pytest.mark.parametrize("ext", [".png", ".bmp", ".tif"])
def test_black_and_white_is_nothing_and_one(still, tmp_path, ext):
    white = (VALUES > 2) * np.uint8(255)
    Image.fromarray(white).save(tmp_path / f"mask{ext}")
    assert (read_labelmap(tmp_path / f"mask{ext}", still) == white // 255).all()
    Image.fromarray(VALUES > 2).save(tmp_path / f"bit{ext}")
    assert (read_labelmap(tmp_path / f"bit{ext}", still) == (VALUES > 2)).all()


@pytest.mark.parametrize("ext", [".nrrd", ".nii.gz", ".nii", ".mha"])
def test_volumes_in_their_images_place(volume, tmp_path, ext):
    values = np.stack([VALUES, VALUES * 2, VALUES * 0])
    assert (read_labelmap(save(tmp_path / f"l{ext}", values, volume), volume) == values).all()


def test_a_flat_label_of_a_still_needs_no_third_axis(still, tmp_path):
    assert (read_labelmap(save(tmp_path / "flat.nii.gz", VALUES), still) == VALUES).all()


@pytest.mark.parametrize(
    "header",
    [
        {"origin": (10.0, 20.0, -29.0)},
        {"spacing": (0.5, 0.26, 2.0)},
        {"direction": (-1, 0, 0, 0, 1, 0, 0, 0, 1)},
    ],
)
def test_a_label_that_lies_elsewhere_is_refused_unless_told(volume, tmp_path, header):
    path = save(tmp_path / "l.nrrd", np.stack([VALUES] * 3), volume, **header)
    with pytest.raises(ImageError, match="geometry"):
        read_labelmap(path, volume)
    assert read_labelmap(path, volume, as_stored=True).shape == (3, 6, 8)


@pytest.mark.parametrize("shape", [(5, 8), (8, 6), (2, 6, 8)])
def test_another_size_is_refused_with_both_sizes(still, tmp_path, shape):
    path = save(tmp_path / "l.nrrd", np.zeros(shape, np.uint8))
    with pytest.raises(ImageError, match="1 x 6 x 8"):
        read_labelmap(path, still)


def test_pages_of_another_size_are_refused_before_they_are_kept(still, tmp_path):
    Image.fromarray(np.zeros((60, 80), np.uint8)).save(tmp_path / "large.png")
    with pytest.raises(ImageError, match="60 x 80"):
        read_labelmap(tmp_path / "large.png", still)


@pytest.mark.parametrize("values", [VALUES + 0.5, VALUES - 1.0, VALUES * 300.0])
def test_values_that_are_no_indices_are_refused(still, tmp_path, values):
    with pytest.raises(ImageError, match="whole numbers"):
        read_labelmap(save(tmp_path / "l.nrrd", values.astype(np.float32)), still)


def test_whole_numbers_of_another_type_are_fine(still, tmp_path):
    for dtype in (np.float32, np.int16, np.uint32):
        assert (read_labelmap(save(tmp_path / "l.nrrd", VALUES.astype(dtype)), still) == VALUES).all()


def test_colour_and_junk_are_refused(still, tmp_path):
    Image.fromarray(np.dstack([VALUES, VALUES * 0, VALUES])).save(tmp_path / "colour.png")
    with pytest.raises(ImageError, match="in colour"):
        read_labelmap(tmp_path / "colour.png", still)
    for name in ("junk.png", "junk.nrrd", "junk.nii.gz"):
        (tmp_path / name).write_bytes(b"no label at all")
        with pytest.raises(ImageError, match="damaged"):
            read_labelmap(tmp_path / name, still)
    with pytest.raises(ImageError, match="file type"):
        read_labelmap(tmp_path / "label.jpg", still)

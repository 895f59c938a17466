"""A mask lands on the image in any client: its header is the one ITK gives the image."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from factories import make_volume, raising
from PIL import Image

from uniultra.errors import ImageError
from uniultra.images import MASK_ENDINGS, read_image, write_mask

OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def still(tmp_path, grey):
    """A PNG of the grey picture."""
    Image.fromarray(grey).save(tmp_path / "a.png")
    return read_image(tmp_path / "a.png")


@pytest.mark.parametrize("ending", MASK_ENDINGS)
@pytest.mark.parametrize("source", ["a.nrrd", "a.mha", "a.nii.gz"])
def test_volume_mask_round_trip(tmp_path, cine, source, ending):
    place = {"spacing": (0.5, 0.25, 2), "origin": (10, -20, 30), "direction": OBLIQUE}
    image = read_image(make_volume(tmp_path / source, cine, **place))
    mask = np.zeros(image.shape, bool)
    mask[2, :12, 30:50] = True
    write_mask(mask, image, tmp_path / f"mask{ending}")
    back = sitk.ReadImage(str(tmp_path / f"mask{ending}"))
    stored = sitk.ReadImage(str(tmp_path / source))
    assert back.GetPixelID() == sitk.sitkUInt8
    assert back.GetSize() == stored.GetSize()
    assert back.GetSpacing() == pytest.approx(stored.GetSpacing())
    assert back.GetOrigin() == pytest.approx(stored.GetOrigin(), abs=1e-5)
    assert back.GetDirection() == pytest.approx(stored.GetDirection(), abs=1e-6)
    assert np.array_equal(sitk.GetArrayFromImage(back), mask)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source, f"mask{ending}"])


@pytest.mark.parametrize("ending", MASK_ENDINGS)
def test_still_mask_has_a_third_axis(tmp_path, grey, ending):
    Image.fromarray(grey).save(tmp_path / "a.jpg", dpi=(254, 254))
    image = read_image(tmp_path / "a.jpg")
    write_mask(grey > 250, image, tmp_path / f"mask{ending}")
    back = sitk.ReadImage(str(tmp_path / f"mask{ending}"))
    assert back.GetSize()[:2] == (72, 48) and np.prod(back.GetSize()) == 72 * 48
    if not ending.startswith(".nii"):  # NIfTI drops a last axis of one
        assert back.GetSize() == (72, 48, 1)
    assert back.GetSpacing()[:2] == pytest.approx((0.1, 0.1))
    assert np.array_equal(sitk.GetArrayFromImage(back).reshape(48, 72), grey > 250)


def test_dicom_cine_mask(tmp_path, make_dicom, cine):
    image = read_image(make_dicom(cine))
    labels = np.zeros(image.shape, np.uint8)
    labels[4, 3:9, 5:60] = 7
    write_mask(labels, image, tmp_path / "mask.nrrd")
    back = sitk.ReadImage(str(tmp_path / "mask.nrrd"))
    assert back.GetSize() == (72, 48, 6) and back.GetSpacing() == (1, 1, 1)
    assert np.array_equal(sitk.GetArrayFromImage(back), labels)
    assert b"encoding: gzip" in (tmp_path / "mask.nrrd").read_bytes()[:600]


def test_an_older_mask_is_replaced_whole_or_kept(tmp_path, grey, still, monkeypatch):
    target = tmp_path / "mask.nrrd"
    write_mask(np.zeros(grey.shape, bool), still, target)
    write_mask(grey > 250, still, target)
    good = target.read_bytes()
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(target))).any()
    monkeypatch.setattr(type(tmp_path), "replace", raising(OSError("disk full")))
    with pytest.raises(ImageError, match="written"):
        write_mask(np.zeros(grey.shape, bool), still, target)
    assert target.read_bytes() == good
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "mask.nrrd"]


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (lambda grey: grey > 0, "mask.png", "ending"),
        (lambda grey: (grey > 0).T, "mask.nrrd", "48 x 72.*72 x 48"),
        (lambda grey: grey / 255, "mask.nrrd", "uint8.*float64"),
        (lambda grey: grey > 0, "nowhere/mask.nrrd", "written"),
    ],
)
def test_an_invalid_mask_is_refused(tmp_path, grey, still, change, name, words):
    with pytest.raises(ImageError, match=words):
        write_mask(change(grey), still, tmp_path / name)

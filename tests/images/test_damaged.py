"""Damaged, truncated and hostile files end in a clear error that tells nothing of the patient."""

from __future__ import annotations

import random
import struct
import traceback
import tracemalloc

import pytest
import SimpleITK as sitk
from factories import encoded
from PIL import Image
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit

from uniultra.errors import ImageError
from uniultra.images import is_ultrasound_file, read_image
from uniultra.images.files import ENDINGS


@pytest.fixture
def samples(tmp_path, make_dicom, grey, colour, cine):
    """One small file per format and way of storing."""
    folder = tmp_path / "samples"
    folder.mkdir()
    for name in ("a.png", "a.jpg", "a.bmp", "a.tif"):
        Image.fromarray(colour).save(folder / name)
    for name in ("c.nrrd", "c.nii.gz", "c.mha"):
        sitk.WriteImage(sitk.GetImageFromArray(cine), str(folder / name), True)
    for name in ("r.nrrd", "r.nii", "r.mha"):
        sitk.WriteImage(sitk.GetImageFromArray(cine), str(folder / name), False)
    make_dicom(cine, name="samples/native.dcm")
    make_dicom(cine, frames=[encoded(f) for f in cine], syntax=JPEGBaseline8Bit, name="samples/jpeg.dcm")
    make_dicom(cine, rle=True, name="samples/rle.dcm")
    make_dicom(grey, syntax="1.2.840.10008.1.2.1.99", name="samples/deflated.dcm")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.9])
def test_truncated_files_are_refused(samples, share):
    for path in samples:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ImageError):
            assert read_image(path).frames is None, path.name


def test_random_damage_never_escapes(samples):
    """Bytes flipped, put in or cut out: the file is read or refused, and nothing else is raised."""
    dice = random.Random(7)
    refused = 0
    for path in samples:
        original = path.read_bytes()
        for _ in range(25):
            data = bytearray(original)
            for _ in range(dice.choice((1, 4, 16))):
                data[dice.randrange(min(len(data), 1500))] = dice.choice((0, 57, 255, dice.randrange(256)))
            if dice.random() < 0.3:
                place = dice.randrange(len(data))
                data[place:place] = bytes(dice.randrange(256) for _ in range(9))
            path.write_bytes(data)
            try:
                image = read_image(path)
                image.read_frame(image.shape[0] - 1)
            except ImageError as error:
                refused += 1
                assert str(path.parent) not in str(error) and path.name not in str(error)
    assert refused > 50


def test_other_bytes_under_a_known_ending(tmp_path):
    for ending in ENDINGS:
        path = tmp_path / f"a{ending}"
        path.write_bytes(b"These are no pixels.\n" * 40)
        with pytest.raises(ImageError):
            read_image(path)


def test_missing_and_unknown_files(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    for name in ("a.txt", "none.png", "."):
        with pytest.raises(ImageError):
            read_image(tmp_path / name)


def no_large_allocation(path):
    tracemalloc.start()
    try:
        with pytest.raises(ImageError):
            image = read_image(path)
            image.read_frame(0)
        return tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_forged_sizes_allocate_nothing(tmp_path, make_dicom, cine, grey):
    huge = {
        "a.mha": b"NDims = 3\nDimSize = 60000 60000 60000\nElementType = MET_UCHAR\n"
        b"ElementDataFile = LOCAL\n",
        "b.mha": b"NDims = 3\nCompressedData = True\nCompressedDataSize = 99999999999\nDimSize = 9 9 9\n"
        b"ElementType = MET_UCHAR\nElementDataFile = LOCAL\n",
        "c.mha": b"NDims = 900\nDimSize = 9 9 9\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n",
        "d.nrrd": b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 6000 6000 6000\nencoding: gzip\n\n",
    }
    for name, data in huge.items():
        (tmp_path / name).write_bytes(data + bytes(1000))
        assert no_large_allocation(tmp_path / name)
    nifti = tmp_path / "e.nii"
    sitk.WriteImage(sitk.GetImageFromArray(cine), str(nifti))
    data = bytearray(nifti.read_bytes())
    data[42:48] = struct.pack("<3h", 32000, 32000, 32000)
    nifti.write_bytes(data)
    assert no_large_allocation(nifti)
    assert no_large_allocation(make_dicom(cine, NumberOfFrames=2000000))
    assert no_large_allocation(make_dicom(grey, Rows=65535, Columns=65535))
    assert no_large_allocation(
        make_dicom(grey, frames=[encoded(grey)], syntax=JPEGBaseline8Bit, Rows=65535, Columns=65535)
    )


def test_a_compressed_frame_of_another_size_is_refused(make_dicom, grey):
    """Before decoding: a codestream may claim more memory than there is."""
    data = bytearray(encoded(grey, "JPEG2000", no_jp2=True))
    data[8:16] = struct.pack(">2I", 2**31, 2**31)
    for syntax, frame in ((JPEG2000Lossless, bytes(data)), (JPEGBaseline8Bit, encoded(grey[:40, :40]))):
        image = read_image(make_dicom(grey, frames=[frame], syntax=syntax))
        with pytest.raises(ImageError, match="48 x 72"):
            image.read_frame(0)


def test_a_forged_element_length_allocates_nothing(make_dicom, grey):
    path = make_dicom(grey, ImageComments="x" * 20)
    data = path.read_bytes().replace(b"LT\x14\x00", b"UT\x00\x00", 1)
    place = data.index(b"UT\x00\x00") + 4
    path.write_bytes(data[:place] + struct.pack("<I", 0xFFFFFFF0) + data[place:])
    assert no_large_allocation(path)


def test_fewer_compressed_frames_than_declared(make_dicom, cine):
    path = make_dicom(cine, frames=[encoded(f) for f in cine[:4]], syntax=JPEGBaseline8Bit)
    with pytest.raises(ImageError, match="6 compressed"):
        read_image(path)


@pytest.mark.parametrize(
    "target", ["/etc/hostname", "../secret.raw", "sub/secret.raw", "LIST", "a%03d.raw 1 9 1"]
)
def test_pixels_outside_the_folder_are_refused(tmp_path, cine, target):
    folder = tmp_path / "inside"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path, folder / "sub"):
        (place / "secret.raw").write_bytes(cine.tobytes())
    meta = f"NDims = 3\nDimSize = 72 48 6\nElementType = MET_UCHAR\nElementDataFile = {target}\n"
    nrrd = f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 72 48 6\nencoding: raw\ndata file: {target}\n\n"
    for name, text in (("a.mhd", meta), ("a.mha", meta), ("a.nhdr", nrrd), ("a.nrrd", nrrd)):
        (folder / name).write_text(text)
        with pytest.raises(ImageError, match="beside the header"):
            read_image(folder / name)


def test_a_link_beside_the_header_is_refused(tmp_path, cine):
    (tmp_path / "secret").write_bytes(cine.tobytes())
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "a.raw").symlink_to(tmp_path / "secret")
    (folder / "a.mhd").write_text(
        "NDims = 3\nDimSize = 72 48 6\nElementType = MET_UCHAR\nElementDataFile = a.raw\n"
    )
    with pytest.raises(ImageError, match="beside the header"):
        read_image(folder / "a.mhd")


def test_errors_tell_nothing_of_the_patient(make_dicom, cine, recwarn, capfd):
    """Neither the text nor its traceback nor a warning holds a value of the file or its folder."""
    broken = {
        "NumberOfFrames": 7,
        "SamplesPerPixel": 4,
        "PhotometricInterpretation": "SECRET",
        "BitsAllocated": 7,
    }
    for keyword, value in broken.items():
        path = make_dicom(cine, name="Secret_Name.dcm", **{keyword: value})
        with pytest.raises(ImageError) as caught:
            read_image(path)
        text = "".join(traceback.format_exception(caught.value, chain=True))
        assert "SECRET" not in text and str(path.parent) not in str(caught.value)
        assert "Secret" not in str(caught.value)
    path = make_dicom(cine)
    path.write_bytes(path.read_bytes().replace(b"US", b"\xff\xfe", 3).replace(b"PN", b"DS"))
    try:
        read_image(path)
    except ImageError as error:
        assert "Secret" not in str(error)
    assert not any("Secret" in str(w.message) for w in recwarn)
    assert "Secret" not in "".join(capfd.readouterr())


def test_objects_without_pixels(make_dicom):
    with pytest.raises(ImageError, match="pixel"):
        read_image(make_dicom(Modality="SR"))


def test_frame_that_does_not_exist(make_dicom, cine):
    image = read_image(make_dicom(cine))
    for t in (-1, 6):
        with pytest.raises(ImageError, match="frames 0 to 5"):
            image.read_frame(t)


def test_a_file_that_vanishes_is_an_error(make_dicom, cine):
    path = make_dicom(cine)
    image = read_image(path)
    path.unlink()
    with pytest.raises(ImageError, match="no longer"):
        image.read_frame(0)


def test_is_ultrasound_file(tmp_path, make_dicom, cine):
    dicom = make_dicom(cine)
    plain = tmp_path / "IM_0001"
    plain.write_bytes(dicom.read_bytes())
    dotted = tmp_path / "1.2.840.1234"
    dotted.write_bytes(dicom.read_bytes())
    for name in ("a.PNG", "a.nii.gz", "a.seq.nrrd", "a.igs.mha", "a.MOV", "a.jpeg"):
        (tmp_path / name).touch()
        assert is_ultrasound_file(tmp_path / name)
    assert is_ultrasound_file(dicom) and is_ultrasound_file(str(plain)) and is_ultrasound_file(dotted)
    assert read_image(plain).shape == read_image(dotted).shape == cine.shape
    for name in ("a.json", "noending", "a.gz"):
        (tmp_path / name).write_bytes(b"x" * 300)
        assert not is_ultrasound_file(tmp_path / name)
    assert not is_ultrasound_file(tmp_path) and not is_ultrasound_file(tmp_path / "none.png")

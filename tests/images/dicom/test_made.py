"""Every way to store a DICOM picture, made here, comes out as the picture that went in."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from factories import encoded, raising
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from uniultra.errors import ImageError
from uniultra.images import AxisKind, read_image


def to_ybr(rgb):
    r, g, b = (rgb[..., n].astype(float) for n in range(3))
    y = 0.299 * r + 0.587 * g + 0.114 * b
    ybr = np.stack([y, 128 + (b - y) / 1.772, 128 + (r - y) / 1.402], axis=-1)
    return np.rint(np.clip(ybr, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize(
    ("syntax", "implicit", "little"),
    [
        (ImplicitVRLittleEndian, True, True),
        ("1.2.840.10008.1.2.1", False, True),
        (ExplicitVRBigEndian, False, False),
        (DeflatedExplicitVRLittleEndian, False, True),
    ],
)
def test_uncompressed_syntaxes(make_dicom, colour, cine, syntax, implicit, little):
    image = read_image(make_dicom(colour, syntax=syntax, implicit=implicit, little=little))
    assert np.array_equal(image.read_frame(0), colour)
    image = read_image(make_dicom(cine, syntax=syntax, implicit=implicit, little=little))
    assert image.axis_kind is AxisKind.CINE and np.array_equal(image.frames, cine)


@pytest.mark.parametrize("columns", [72, 71])
def test_big_endian_bytes_stored_as_words(make_dicom, cine, columns):
    """The pairs of bytes are swapped, across frames of an odd number of bytes too."""
    pixels = np.ascontiguousarray(cine[:, :47, :columns])
    raw = pixels.tobytes() + b"\0" * (pixels.size % 2)
    path = make_dicom(
        pixels, syntax=ExplicitVRBigEndian, little=False, data=np.frombuffer(raw, "<u2").byteswap().tobytes()
    )
    dataset = pydicom.dcmread(path)
    dataset["PixelData"].VR = "OW"
    dataset.save_as(path)
    assert np.array_equal(read_image(path).frames, pixels)


def test_planar_colour(make_dicom, colour):
    planes = np.moveaxis(colour, -1, 0).tobytes()
    path = make_dicom(colour, data=planes, PlanarConfiguration=1)
    assert np.array_equal(read_image(path).read_frame(0), colour)


def test_ybr_full(make_dicom, colour):
    path = make_dicom(colour, data=to_ybr(colour).tobytes(), PhotometricInterpretation="YBR_FULL")
    picture = read_image(path).read_frame(0)
    assert np.abs(picture.astype(int) - colour).max() <= 2
    second = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0]
    assert np.abs(picture.astype(int) - second).max() <= 2


def test_ybr_full_422_uncompressed(make_dicom, colour):
    ybr = to_ybr(colour)
    pairs = np.concatenate([ybr[:, 0::2, :1], ybr[:, 1::2, :1], ybr[:, 0::2, 1:]], axis=-1)
    path = make_dicom(colour, data=pairs.tobytes(), PhotometricInterpretation="YBR_FULL_422")
    assert np.abs(read_image(path).read_frame(0).astype(int) - colour).max() <= 2


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_jpeg_colour_even_when_the_header_forgets_ybr(make_dicom, colour, photometric):
    data = encoded(colour, "JPEG", quality=95, subsampling=0 if photometric == "YBR_FULL" else 1)
    path = make_dicom(colour, frames=[data], syntax=JPEGBaseline8Bit, PhotometricInterpretation=photometric)
    picture = read_image(path).read_frame(0).astype(int)
    # Away from the edges, where subsampling smears colour.
    for y, x in ((44, 10), (20, 68), (30, 30), (5, 5)):
        assert np.abs(picture[y, x] - colour[y, x]).max() <= 6


def test_pydicom_takes_over_where_itk_fails(make_dicom, colour, monkeypatch):
    from uniultra.images.dicom import codec

    data = encoded(colour, "JPEG", quality=95, subsampling=0)
    path = make_dicom(
        colour, frames=[data], syntax=JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL_422"
    )
    first = read_image(path).read_frame(0)
    # which decoder answers is not visible from outside
    monkeypatch.setattr(codec, "_by_itk", raising(RuntimeError()))
    second = read_image(path).read_frame(0)
    assert np.abs(first.astype(int) - second).max() <= 2


@pytest.mark.parametrize("photometric", ["YBR_RCT", "RGB"])
def test_jpeg_2000(make_dicom, colour, photometric):
    data = encoded(colour, "JPEG2000", irreversible=False, no_jp2=True)
    path = make_dicom(colour, frames=[data], syntax=JPEG2000Lossless, PhotometricInterpretation=photometric)
    assert np.array_equal(read_image(path).read_frame(0), colour)


def test_rle(make_dicom, cine, colour):
    for pixels in (cine, np.stack([colour, colour[::-1]])):
        assert np.array_equal(read_image(make_dicom(pixels, rle=True)).frames, pixels)


def test_frames_split_into_fragments(make_dicom, cine):
    """With an offset table, and without one by the marks at which pictures begin."""
    frames = [encoded(frame, "JPEG", quality=95) for frame in cine]
    path = make_dicom(cine, frames=frames, syntax=JPEGBaseline8Bit)
    whole = read_image(path).frames
    for table in (True, False):
        dataset = pydicom.dcmread(path)
        dataset.PixelData = pydicom.encaps.encapsulate(frames, fragments_per_frame=3, has_bot=table)
        dataset.save_as(path)
        assert np.array_equal(read_image(path).frames, whole)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("depth", [8, 16])
def test_palette(make_dicom, bits, depth):
    entries = np.arange(256)
    red, green, blue = entries, 255 - entries, (entries * 3) % 256
    scale = 257 if depth == 16 else 1
    index = np.tile(np.arange(72), (48, 1)).astype(np.uint8 if bits == 8 else np.uint16)
    tables = {}
    for name, values in (("Red", red), ("Green", green), ("Blue", blue)):
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, depth]
        numbers = (values * scale).astype("<u2" if depth == 16 else np.uint8)
        tables[f"{name}PaletteColorLookupTableData"] = numbers.tobytes()
    image = read_image(make_dicom(index, PhotometricInterpretation="PALETTE COLOR", **tables))
    expected = np.stack([red[index], green[index], blue[index]], axis=-1)
    assert image.channels == 3 and np.array_equal(image.read_frame(0), expected)


def test_monochrome1_is_turned_to_white_on_black(make_dicom, grey):
    image = read_image(make_dicom(255 - grey, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(image.read_frame(0), grey)


@pytest.mark.parametrize("signed", [False, True])
def test_window(make_dicom, grey, signed):
    stored = (grey.astype(np.int16) * 16 - 1000).astype(np.int16) if signed else grey.astype(np.uint16) * 16
    intercept = 1000 if signed else 0
    path = make_dicom(
        stored,
        WindowCenter=[2040.5, 10],
        WindowWidth=[4081, 10],
        RescaleIntercept=intercept,
        RescaleSlope=1,
    )
    picture = read_image(path).read_frame(0)
    assert np.abs(picture.astype(int) - grey).max() <= 1


def test_voi_lut(make_dicom, grey):
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.add_new("LUTData", "OW", ((255 - np.arange(256)) * 257).astype("<u2").tobytes())
    path = make_dicom(grey, VOILUTSequence=[table])
    assert np.array_equal(read_image(path).read_frame(0), 255 - grey)


def test_bits_beside_the_stored_ones_are_ignored(make_dicom, grey):
    noise = np.random.default_rng(0).integers(0, 16, grey.shape).astype(np.uint16) << 12
    deep = grey.astype(np.uint16) * 16
    clean, noisy = (
        read_image(make_dicom(pixels, BitsStored=12, HighBit=11)).read_frame(0)
        for pixels in (deep, deep | noise)
    )
    assert np.array_equal(clean, noisy)


def test_deep_frames_share_one_window(make_dicom):
    cine = np.stack([np.linspace(0, 1000 * (t + 1), 48 * 72).reshape(48, 72) for t in range(4)])
    image = read_image(make_dicom(cine.astype(np.uint16)))
    means = [image.read_frame(t).mean() for t in range(4)]
    assert means == pytest.approx([means[3] * (t + 1) / 4 for t in range(4)], rel=0.03)
    assert image.frames.max() == 255


def region(**elements):
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = 1, 1
    item.RegionLocationMinX0 = item.RegionLocationMinY0 = 0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = 40, 30
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = 0.02, -0.03
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def test_regions_that_disagree_leave_no_single_calibration(make_dicom, grey):
    two = [region(), region(PhysicalDeltaX=0.05)]
    image = read_image(make_dicom(grey, SequenceOfUltrasoundRegions=two, PixelSpacing=[1, 1]))
    assert image.spacing_mm is None
    assert [r.spacing_mm for r in image.regions] == [
        pytest.approx((0.3, 0.2)),
        pytest.approx((0.3, 0.5)),
    ]
    image = read_image(make_dicom(grey, SequenceOfUltrasoundRegions=[region(), region()]))
    assert image.spacing_mm == pytest.approx((0.3, 0.2))


def test_a_region_over_the_border_says_that_the_picture_was_resized(make_dicom, grey):
    columns = grey.shape[-1]
    wide = [region(RegionLocationMaxX1=2 * columns)]
    image = read_image(make_dicom(grey, SequenceOfUltrasoundRegions=wide, PixelSpacing=[0.25, 0.5]))
    assert image.spacing_mm is None and len(image.regions) == 1


def test_spacing_attributes_calibrate_when_no_region_does(make_dicom, grey):
    spectral = [region(RegionSpatialFormat=3)]
    path = make_dicom(grey, SequenceOfUltrasoundRegions=spectral, PixelSpacing=[0.25, 0.5])
    assert read_image(path).spacing_mm == (0.25, 0.5)
    assert read_image(make_dicom(grey, NominalScannedPixelSpacing=[0.1, 0.2])).spacing_mm == (0.1, 0.2)


@pytest.mark.parametrize(
    "elements",
    [
        {"PixelSpacing": [0.25, 0.5]},
        {"PixelSpacing": [0.25, 0.5], "SpacingBetweenSlices": 2},
        {"NominalScannedPixelSpacing": [0.1, 0.2]},
        {"PixelAspectRatio": [4, 3]},
        {"SequenceOfUltrasoundRegions": [region()]},
        {"ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [0, 1, 0, 1, 0, 0]},
    ],
)
@pytest.mark.parametrize(
    "sop_class", ["1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.6.2"]
)
def test_geometry_is_what_itk_says_of_the_whole_file(make_dicom, cine, elements, sop_class):
    path = make_dicom(cine, SOPClassUID=sop_class, **elements)
    geometry, second = read_image(path).geometry, sitk.ReadImage(str(path))
    assert geometry.size == second.GetSize()
    assert geometry.spacing == pytest.approx(second.GetSpacing())
    assert geometry.origin == pytest.approx(second.GetOrigin())
    assert geometry.direction == pytest.approx(second.GetDirection())


def test_frame_rate_elements(make_dicom, cine):
    assert read_image(make_dicom(cine, CineRate=25)).frame_times_ms == pytest.approx(range(0, 240, 40))
    assert read_image(make_dicom(cine, RecommendedDisplayFrameRate=50)).frame_times_ms[-1] == 100
    assert read_image(make_dicom(cine, FrameTimeVector=[0, 1, 2, 3, 4, 5])).frame_times_ms[-1] == 15
    assert read_image(make_dicom(cine, FrameTime=0)).frame_times_ms is None


def test_axis_kind(make_dicom, cine, grey):
    enhanced = make_dicom(
        cine,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.6.2",
        PixelSpacing=[0.2, 0.3],
        SpacingBetweenSlices=0.5,
    )
    image = read_image(enhanced)
    assert image.axis_kind is AxisKind.VOLUME and image.spacing_mm == (0.5, 0.2, 0.3)
    assert image.frame_times_ms is None
    assert read_image(make_dicom(cine, Modality="MR")).axis_kind is AxisKind.VOLUME
    assert read_image(make_dicom(cine), axis_kind="volume").axis_kind is AxisKind.VOLUME
    assert read_image(make_dicom(grey), axis_kind="still").axis_kind is AxisKind.STILL
    for wrong in ("still", "film"):
        with pytest.raises(ImageError, match="axis_kind"):
            read_image(make_dicom(cine), axis_kind=wrong)


def test_volumes_over_time_are_refused(make_dicom, cine):
    groups = []
    for t in range(6):
        group, position = Dataset(), Dataset()
        position.ImagePositionVolume = [0, 0, t % 3]
        group.PlanePositionVolumeSequence = [position]
        groups.append(group)
    path = make_dicom(
        cine, SOPClassUID="1.2.840.10008.5.1.4.1.1.6.2", PerFrameFunctionalGroupsSequence=groups
    )
    with pytest.raises(ImageError, match="3 positions"):
        read_image(path)


def test_identity_falls_back_to_the_hash(make_dicom, grey):
    image = read_image(make_dicom(grey, SOPInstanceUID=""))
    assert image.identity == f"sha256:{image.content_hash}"


def test_deflate_bomb_is_refused(make_dicom, grey, monkeypatch):
    from uniultra.images.dicom import file

    path = make_dicom(grey, syntax=DeflatedExplicitVRLittleEndian, ImageComments="x" * 5000)
    assert read_image(path).shape[0] == 1
    monkeypatch.setattr(file, "MAX_INFLATED", 4000)
    with pytest.raises(ImageError, match="deflated"):
        read_image(path)


@pytest.mark.parametrize(
    ("syntax", "shown"),
    [
        ("1.2.840.10008.1.2.4.102", r"MPEG-?4 AVC/H\.264 .*\(1\.2\.840\.10008\.1\.2\.4\.102\)"),
        ("1.2.840.10008.1.2.4.203", r"High-Throughput JPEG 2000 \(1\.2\.840\.10008\.1\.2\.4\.203\)"),
        ("1.2.3.4.5", r"1\.2\.3\.4\.5 \(unknown\)"),
    ],
)
def test_a_syntax_nobody_decodes_is_named(make_dicom, grey, syntax, shown):
    # pydicom refuses to write what it does not know, so the UID is exchanged afterwards.
    written = "1.2.840.10008.1.2.4.102"
    path = make_dicom(grey, frames=[b"\0\0"], syntax=written)
    new = syntax.encode().ljust(len(written), b"\0")
    path.write_bytes(path.read_bytes().replace(written.encode(), new))
    with pytest.raises(ImageError, match=shown):
        read_image(path)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR", [0, 0, 127.5 * 255 / 255, 255, 255]),
        ("LINEAR_EXACT", [0, 0, 127.5, 255, 255]),
        ("SIGMOID", [0, 255 / (1 + np.exp(2)), 127.5, 255 / (1 + np.exp(-2)), 255]),
    ],
)
def test_window_functions(make_dicom, function, expected):
    """Far below, at the lower end, in the middle, at the upper end and far above a window."""
    stored = np.tile(np.array([0, 872, 1000, 1128, 4000], np.uint16), (4, 1))
    path = make_dicom(stored, WindowCenter=1000, WindowWidth=256, VOILUTFunction=function)
    assert read_image(path).read_frame(0)[0] == pytest.approx(expected, abs=1.1)


def test_shallow_and_very_deep_pixels(make_dicom, grey):
    shallow = make_dicom(grey >> 4, BitsStored=4, HighBit=3)
    assert np.array_equal(read_image(shallow).read_frame(0), (grey >> 4) * 17)
    deep = make_dicom(grey.astype(np.uint32) * 100000)
    expected = (grey.astype(float) - 10) * 255 / 245
    assert np.abs(read_image(deep).read_frame(0) - expected).max() <= 2


def test_deep_colour_keeps_its_highest_bits(make_dicom, colour):
    path = make_dicom(colour.astype(np.uint16) << 4, BitsStored=12, HighBit=11)
    assert np.array_equal(read_image(path).read_frame(0), colour)

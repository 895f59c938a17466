"""Public layouts: tiny copies go in, and what training reads has their masks, patients, pitch and splits."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image, ImageDraw
from public_layouts import MAKERS, SHAPE, camus, picture, png

from uniultra.datasets.importing import import_set
from uniultra.datasets.manifest import load_pair, read_manifest
from uniultra.datasets.readers import layout, names
from uniultra.datasets.readers.hc18 import fill
from uniultra.errors import ImageError

EVERY = ["train", "val", "test"]


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def bring(source, tmp_path):
    """Import the layout of a name; rows by data set and id."""

    def run(name, **options):
        import_set(layout(name), source, tmp_path / "out", **options)
        return {(row.dataset, row.id): row for row in read_manifest(tmp_path / "out", None, EVERY)}

    return run


def splits_of(rows):
    found = {}
    for row in rows.values():
        found.setdefault(row.group, set()).add(row.split)
    return found


def test_every_reader_has_a_copy_to_read():
    assert set(names()) == set(MAKERS)
    datasets = [label.dataset for name in names() for label in layout(name).labels]
    assert len(set(datasets)) == len(datasets)


@pytest.mark.parametrize("name", names())
def test_masks_and_pictures_come_out_as_they_went_in(name, source, bring):
    made = MAKERS[name](source)
    rows = bring(name)
    assert rows.keys() == made.masks.keys()
    for (dataset, case), row in rows.items():
        pixels, mask = load_pair(row)
        assert np.array_equal(mask, made.masks[dataset, case])
        if case in made.pictures:
            assert np.array_equal(pixels, made.pictures[case])
        with Image.open(row.mask) as stored:
            assert stored.mode == "1"
    assert all(len(found) == 1 for found in splits_of(rows).values()), "a patient in two splits"
    for row in rows.values():
        assert row.image.is_file() and row.group.startswith(f"{name}-")


@pytest.mark.parametrize("name", names())
def test_a_folder_of_something_else_is_refused(name, source, bring, tmp_path):
    (source / "notes.txt").write_text("nothing")
    with pytest.raises(ImageError, match=r"Expected .*found (none|0)"):
        bring(name)
    with pytest.raises(ImageError, match="Expected the folder"):
        import_set(layout(name), tmp_path / "absent", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_mask_is_refused_where_the_release_has_all(source, bring):
    for name, spoil in (("busi", "benign (2)_mask.png"), ("tn3k", "trainval-mask/0003.jpg")):
        MAKERS[name](source)
        next(source.rglob(spoil)).unlink()
        with pytest.raises(ImageError, match="Expected a"):
            bring(name)


def test_busi_keeps_lesions_apart_and_healthy_breasts_empty(source, bring):
    MAKERS["busi"](source)
    rows = bring("busi")
    from scipy import ndimage

    assert ndimage.label(load_pair(rows["busi_breast", "benign_2"])[1])[1] == 2
    assert not load_pair(rows["busi_breast", "normal_3"])[1].any()


def test_the_sources_own_splits_are_kept(source, bring):
    MAKERS["tn3k"](source)
    rows = bring("tn3k", shares=(0.0, 0.0, 1.0))
    split = {case: row.split for (_, case), row in rows.items()}
    assert {split[f"test_{n:04d}"] for n in range(3)} == {"test"}
    assert {case for case, one in split.items() if one == "val"} == {"trainval_0003", "trainval_0005"}
    (source / "tn3k" / "tn3k-trainval-fold0.json").unlink()
    later = {case: row.split for (_, case), row in bring("tn3k").items()}
    assert {case for case, one in later.items() if one == "test"} == {f"test_{n:04d}" for n in range(3)}


def test_a_fold_of_other_pictures_is_refused(source, bring):
    MAKERS["tn3k"](source)
    for told in ('{"train": [0, 1, 99], "val": [2]}', '{"train": [0, 1], "val": [1]}', '{"train": 3}', "no"):
        (source / "tn3k" / "tn3k-trainval-fold0.json").write_text(told)
        with pytest.raises(ImageError, match="fold0"):
            bring("tn3k")


def test_an_outline_nobody_drew_is_no_empty_label(source, tmp_path):
    MAKERS["ddti"](source)
    (source / "7.xml").write_text("<case><mark><image>1</image><svg>[{broken</svg></mark></case>")
    made = import_set(layout("ddti"), source, tmp_path / "out")
    assert made.pictures == 2 and made.left_out == 2 and made.groups == 1
    (source / "7.xml").write_text("<case><mark>")
    with pytest.raises(ImageError, match="no XML"):
        import_set(layout("ddti"), source, tmp_path / "out")


@pytest.mark.parametrize("ending", [".nii.gz", ".mhd"])
def test_camus_has_patients_views_and_its_own_division(ending, source, bring):
    camus(source, ending=ending)
    rows = bring("camus")
    assert len(rows) == 3 * 6 * 4
    assert {row.spacing_mm for row in rows.values()} == {0.2}
    assert splits_of(rows)["camus-patient0004"] == {"val"}
    assert splits_of(rows)["camus-patient0006"] == {"test"}


def test_pixels_that_are_not_square_are_made_so(source, bring):
    made = camus(source, spacing=(0.3, 0.15))  # twice as wide as high
    rows = bring("camus", labels=["la"])
    pixels, mask = load_pair(rows["camus_la", "patient0001_2CH_ED"])
    assert pixels.shape == mask.shape == (40, 120)
    assert {row.spacing_mm for row in rows.values()} == {0.15}
    before = made.masks["camus_la", "patient0001_2CH_ED"].sum() * 0.3 * 0.15
    assert mask.sum() * 0.15**2 == pytest.approx(before, rel=0.01), "the area in mm stays"


@pytest.mark.parametrize("spacing", [(1.0, 1.0), None])
def test_an_unknown_pitch_stays_unknown(spacing, source, bring):
    if spacing:
        camus(source, spacing=spacing)
        assert {row.spacing_mm for row in bring("camus").values()} == {None}
    else:
        MAKERS["hc18"](source)
        (source / "training_set_pixel_size_and_HC.csv").unlink()
        assert {row.spacing_mm for row in bring("hc18").values()} == {None}


def test_strange_labels_are_refused(source, bring):
    camus(source)
    path = source / "database_nifti" / "patient0003" / "patient0003_2CH_ES_gt.nii.gz"
    labels = np.zeros(SHAPE, np.uint8)
    labels[3, 3] = 4
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(path))
    with pytest.raises(ImageError, match=r"Picture 10 of 24.*0, 1, 2, 3; got 4") as refusal:
        bring("camus")
    assert "patient" not in str(refusal.value) and str(source) not in str(refusal.value)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ImageError, match="cannot be decoded"):
        bring("camus")


def test_a_patient_in_two_subgroups_is_refused(source, bring):
    camus(source)
    with (source / "database_split" / "subgroup_testing.txt").open("a") as stream:
        stream.write("patient0001\n")
    with pytest.raises(ImageError, match="a patient is in two"):
        bring("camus")


def test_hc18_has_pitch_circumference_and_women(source, bring, tmp_path):
    MAKERS["hc18"](source)
    rows = bring("hc18", side=30)
    assert rows["hc18_fetal_head", "000_HC"].spacing_mm == pytest.approx(0.2), "60 columns became 30"
    assert load_pair(rows["hc18_fetal_head", "000_HC"])[0].shape == (20, 30)
    groups = {case: row.group for (_, case), row in rows.items()}
    assert groups["001_HC"] == groups["001_2HC"] == groups["001_3HC"] == "hc18-0001" != groups["002_HC"]
    lines = (tmp_path / "out" / "manifest.csv").read_text().splitlines()
    fields = dict(zip(lines[0].split(","), lines[1].split(","), strict=False))
    assert (
        fields["hc_mm"] == "100.5" and fields["original_width"] == "60" and fields["licence"] == "CC BY 4.0"
    )
    table = source / "training_set_pixel_size_and_HC.csv"
    for wrong in ("000_HC.png,none,3", "000_HC.png,-0.1,3"):
        table.write_text(f"filename,pixel size(mm),head circumference (mm)\n{wrong}\n")
        with pytest.raises(ImageError, match="Expected"):
            bring("hc18")


def test_an_outline_that_the_border_cuts_is_completed():
    ring, whole = Image.new("L", (200, 120)), Image.new("1", (200, 120))
    ImageDraw.Draw(ring).ellipse((-20, 10, 120, 140), outline=255)
    ImageDraw.Draw(whole).ellipse((-20, 10, 120, 140), fill=1)
    filled, truth = fill(np.asarray(ring) > 0), np.asarray(whole)
    assert (filled & truth).sum() / (filled | truth).sum() > 0.98
    scattered = np.zeros((120, 200), bool)
    scattered[::17, ::23] = True
    for wrong in (scattered, np.zeros((120, 200), bool)):
        with pytest.raises(ImageError, match="outline"):
            fill(wrong)


def test_videos_of_one_day_stay_together(source, bring):
    MAKERS["jnu_ifm"](source)
    assert set(splits_of(bring("jnu_ifm"))) == {"jnu_ifm-20190909", "jnu_ifm-20190916"}


def test_frames_of_nobody_knows_whom_go_to_one_split(source, bring):
    MAKERS["psfhs"](source)
    rows = bring("psfhs", shares=(0.0, 0.0, 1.0))
    assert splits_of(rows) == {"psfhs-all": {"test"}}
    assert {row.spacing_mm for row in rows.values()} == {None}


def test_a_mask_of_another_size_is_refused(source, bring):
    MAKERS["jnu_ifm"](source)
    png(source / "20190909T155747" / "mask" / "20190909T155747_1_mask.png", np.zeros((40, 59), np.uint8))
    with pytest.raises(ImageError, match=r"Picture 2 of 9.*\(40, 60\); got \(40, 59\)"):
        bring("jnu_ifm")


def test_a_dark_mask_is_no_empty_one(source, bring):
    MAKERS["busi"](source)
    mask = np.zeros(SHAPE, np.uint8)
    mask[5:9, 5:9] = 1
    png(source / "Dataset_BUSI_with_GT" / "benign" / "benign (1)_mask.png", mask)
    with pytest.raises(ImageError, match="brightest value is 1"):
        bring("busi")


def test_a_damaged_picture_is_refused(source, bring):
    MAKERS["busi"](source)
    (source / "Dataset_BUSI_with_GT" / "benign" / "benign (1).png").write_bytes(picture(0).tobytes())
    with pytest.raises(ImageError, match=r"Picture 1 of 24.*cannot be decoded"):
        bring("busi")

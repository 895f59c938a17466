"""Exports, read back by others' decoders and by this library's own training reader."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from factories import make_dicom, make_picture, make_volume, training_label
from PIL import Image
from sam2.utils.amg import rle_to_mask

from uniultra.datasets.manifest import load_pair, read_manifest
from uniultra.errors import RequestError
from uniultra.images import read_image, write_mask
from uniultra.store.exports import ExportChoices, LabelStructure, export
from uniultra.store.exports.coco import run_lengths
from uniultra.store.exports.manifest import split_of

NODULE, CYST = LabelStructure("nodule", 3, (255, 0, 0)), LabelStructure("cyst", 7, (0, 128, 255))
SPACING, ORIGIN = (0.2, 0.3, 1.0), (5.0, -7.0, 2.0)


def choices(kind, **others):
    return ExportChoices(kind, "My Campaign", (NODULE, CYST), **others)


@pytest.fixture
def label(studies):
    """Writes a label of an image and gives the record of it that an export takes."""

    def make(name, values, *, frames=None, names=None, group="patient-a"):
        [source] = [path for path in studies.rglob(f"{name}.*") if ".uniultra" not in path.parts]
        file = studies / ".uniultra" / "versions" / name / "1.nrrd"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_mask(np.asarray(values, np.uint8), read_image(source), file)
        return training_label(
            studies,
            source.relative_to(studies).as_posix(),
            file.relative_to(studies).as_posix(),
            image=name,
            frames=frames,
            names=names or {3: "nodule", 7: "cyst"},
            group=group,
        )

    return make


@pytest.fixture
def cine(studies):
    """A cine of 5 frames of 6 x 8 pixels, frame t of value 40 t, in a place of its own."""
    pixels = np.stack([np.full((6, 8), 40 * t, np.uint8) for t in range(5)])
    make_volume(studies / "beat.seq.nrrd", pixels, spacing=SPACING, origin=ORIGIN)
    return pixels


def marks():
    """A mask of 6 x 8 with two nodules, one of them with a hole, and a cyst at the border."""
    values = np.zeros((6, 8), np.uint8)
    values[0:3, 0:3] = 3
    values[1, 1] = 0
    values[5, 4] = 3
    values[3:, 6:] = 7
    return values


@pytest.mark.parametrize("seed", range(8))
def test_run_lengths_say_the_mask_to_another_decoder(seed):
    mask = np.random.default_rng(seed).random((5 + seed, 9)) > 0.5
    told = run_lengths(mask)
    assert (rle_to_mask(told) == mask).all() and sum(told["counts"]) == mask.size
    assert told["counts"][0] == 0 if mask[0, 0] else told["counts"][0] > 0


@pytest.mark.parametrize("value", [False, True])
def test_run_lengths_of_all_and_nothing(value):
    mask = np.full((3, 4), value)
    assert (rle_to_mask(run_lengths(mask)) == mask).all()


def test_coco_holds_every_component_exactly_and_empty_pictures(studies, label, tmp_path):
    values = marks()
    empty = label("two", np.zeros((6, 8)))
    done = export(studies, [label("one", values), empty], tmp_path / "out", choices("coco"))
    assert (done.images, done.written, done.left_out) == (2, 2, {})
    body = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [(c["id"], c["name"], c["color"]) for c in body["categories"]] == [
        (3, "nodule", [255, 0, 0]),
        (7, "cyst", [0, 128, 255]),
    ]
    first, second = body["images"]
    assert (first["file_name"], first["width"], first["height"]) == ("one.png", 8, 6)
    assert [a["category_id"] for a in body["annotations"]] == [3, 3, 7]
    assert all(a["image_id"] == first["id"] != second["id"] for a in body["annotations"])
    rebuilt = np.zeros((6, 8), np.uint8)
    for one in body["annotations"]:
        mask = rle_to_mask(one["segmentation"])
        x, y, width, height = one["bbox"]
        assert mask.sum() == one["area"] == mask[y : y + height, x : x + width].sum()
        assert (
            mask[y].any() and mask[:, x].any() and mask[y + height - 1].any() and mask[:, x + width - 1].any()
        )
        rebuilt[mask] = one["category_id"]
    assert (rebuilt == values).all()


def test_mask_pictures_have_the_indices_and_the_colours(studies, label, tmp_path):
    export(studies, [label("one", marks())], tmp_path / "out", choices("coco"))
    with Image.open(tmp_path / "out" / "masks" / "one.png") as mask:
        assert mask.mode == "P" and (np.asarray(mask) == marks()).all()
        assert np.asarray(mask.convert("RGB"))[5, 7].tolist() == [0, 128, 255]
    with Image.open(tmp_path / "out" / "images" / "one.png") as picture:
        assert (np.asarray(picture) == 90).all() and not picture.info


def test_of_a_cine_only_frames_that_are_done_go_out(studies, label, cine, tmp_path):
    values = np.zeros((5, 6, 8), np.uint8)
    values[1:4] = marks()
    done = export(studies, [label("beat", values, frames=(3, 1))], tmp_path / "out", choices("coco"))
    assert done.written == 2
    body = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [(i["file_name"], i["frame"]) for i in body["images"]] == [
        ("beat__f0001.png", 1),
        ("beat__f0003.png", 3),
    ]
    with Image.open(tmp_path / "out" / "images" / "beat__f0003.png") as picture:
        assert (np.asarray(picture) == 120).all()


@pytest.mark.parametrize(("kind", "ext"), [("nifti", ".nii.gz"), ("nrrd", ".nrrd")])
def test_volumes_lie_on_their_image(studies, label, cine, tmp_path, kind, ext):
    values = np.zeros((5, 6, 8), np.uint8)
    values[2] = marks()
    export(studies, [label("beat", values, frames=(2,))], tmp_path / "out", choices(kind))
    mask, image = sitk.ReadImage(str(tmp_path / "out" / f"beat{ext}")), read_image(studies / "beat.seq.nrrd")
    assert mask.GetSpacing() == pytest.approx(image.geometry.spacing, rel=1e-6)
    assert mask.GetOrigin() == pytest.approx(image.geometry.origin, rel=1e-6)
    assert (sitk.GetArrayFromImage(mask) == values).all()
    told = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert told["files"][f"beat{ext}"]["frames"] == [2]
    assert told["structures"][1] == {"name": "cyst", "index": 7, "colour": [0, 128, 255]}


def test_values_follow_the_names_that_the_campaign_has_now(studies, label, tmp_path):
    old = label("one", marks(), names={3: "cyst", 7: "given up"})
    export(studies, [old], tmp_path / "out", choices("nrrd"))
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "one.nrrd")))[0]
    assert (values == np.where(marks() == 3, 7, 0)).all()


def test_the_manifest_is_read_by_training(studies, label, cine, tmp_path):
    values = np.zeros((5, 6, 8), np.uint8)
    values[2] = marks()
    labels = [
        label("one", marks(), group="patient-a"),
        label("two", np.zeros((6, 8)), names={3: "nodule"}, group="patient-b"),
        label("beat", values, frames=(2, 4), group="patient-c"),
    ]
    export(studies, labels, tmp_path / "out", choices("manifest", keep_names=True))
    rows = read_manifest(tmp_path / "out", None, ["train", "val", "test"])
    assert {row.dataset for row in rows} == {"my_campaign_nodule", "my_campaign_cyst"}
    found = {(row.dataset, row.id): row for row in rows}
    # nobody was asked about cysts in `two`, and nothing is known of the other frames of `beat`
    assert {i for d, i in found if d.endswith("cyst")} == {"one", "beat__f0002", "beat__f0004"}
    assert {i for d, i in found if d.endswith("nodule")} == {"one", "two", "beat__f0002", "beat__f0004"}
    picture, mask = load_pair(found["my_campaign_cyst", "beat__f0002"])
    assert (picture == 80).all() and (mask == (marks() == 7)).all()
    assert not load_pair(found["my_campaign_nodule", "beat__f0004"])[1].any()
    for row in rows:
        assert row.split == split_of(row.group, (0.7, 0.1, 0.2))
    assert found["my_campaign_cyst", "beat__f0002"].spacing_mm is None  # 0.3 by 0.2 mm


def test_the_manifest_names_nobody(studies, label, tmp_path):
    (studies / "one.png").rename(studies / "Doe_Jane.png")
    export(studies, [label("Doe_Jane", marks(), group="5e1f")], tmp_path / "out", choices("manifest"))
    written = [path for path in (tmp_path / "out").rglob("*")]
    assert not [path for path in written if "doe" in path.name.lower()]
    assert not [path for path in written if path.is_file() and b"doe" in path.read_bytes().lower()]
    [nodule, cyst] = list(csv.DictReader((tmp_path / "out" / "manifest.csv").open()))
    assert nodule["image"] == cyst["image"] and nodule["burned_in"] == "unknown" and nodule["group"] == "5e1f"


def test_patients_are_shared_out_as_asked_and_for_good():
    groups = [f"{n:x}" for n in range(2000)]
    drawn = [split_of(group, (0.7, 0.1, 0.2)) for group in groups]
    assert drawn == [split_of(group, (0.7, 0.1, 0.2)) for group in groups]
    assert 1330 < drawn.count("train") < 1470 and 150 < drawn.count("val") < 250
    assert {split_of(group, (1.0, 0.0, 0.0)) for group in groups} == {"train"}


@pytest.mark.parametrize("said", ["YES", "NO", None])
def test_burned_in_identity_is_told_for_each_picture(studies, label, tmp_path, said):
    burned_in = {"BurnedInAnnotation": said} if said else {}
    make_dicom(studies / "scan.dcm", PatientName="Doe^Jane", PatientID="12345", **burned_in)
    done = export(studies, [label("scan", marks())], tmp_path / "out", choices("manifest"))
    expected = {"YES": "yes", "NO": "no", None: "unknown"}[said]
    rows = list(csv.DictReader((tmp_path / "out" / "manifest.csv").open()))
    assert {row["burned_in"] for row in rows} == {expected}
    assert done.burned_in == ({} if said == "NO" else {"scan": expected})
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"Doe" not in everything and b"12345" not in everything


def test_what_cannot_be_opened_is_named_and_the_rest_goes_out(studies, label, tmp_path):
    labels = [label("one", marks()), label("two", marks())]
    (studies / labels[0].file).write_bytes(b"half a file")
    done = export(studies, labels, tmp_path / "out", choices("coco"))
    assert done.images == 1 and "changed since" in done.left_out["one"]
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["two.png"]
    assert json.loads((tmp_path / "out" / "export.json").read_text())["left_out"] == 1


def test_an_export_is_whole_or_not_there(studies, label, tmp_path, monkeypatch):
    target = tmp_path / "out"
    monkeypatch.setattr("uniultra.store.exports.coco.CocoFolder.finish", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(studies, [label("one", marks())], target, choices("coco"))
    assert not target.exists() and {path.name for path in tmp_path.iterdir()} == {"studies"}


def test_nothing_that_is_there_is_replaced(studies, label, tmp_path):
    one, target = label("one", marks()), tmp_path / "out"
    target.mkdir()
    export(studies, [one], target, choices("coco"))
    before = sorted(path.name for path in target.rglob("*"))
    with pytest.raises(RequestError, match="new or empty"):
        export(studies, [one], target, choices("nrrd"))
    assert sorted(path.name for path in target.rglob("*")) == before
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="new or empty"):
        export(studies, [one], tmp_path / "link", choices("coco"))


def test_nothing_to_export_is_said(studies, label, tmp_path):
    with pytest.raises(RequestError, match="--all"):
        export(studies, [], tmp_path / "out", choices("coco"))
    broken = label("one", marks())
    (studies / "one.png").unlink()
    with pytest.raises(RequestError, match="None of the labels"):
        export(studies, [broken], tmp_path / "out", choices("coco"))
    assert not (tmp_path / "out").exists()


def test_names_that_meet_are_kept_apart(studies, label, cine, tmp_path):
    make_picture(studies / "beat__f0001.png", 7)
    values = np.stack([marks()] * 5)
    labels = [label("beat__f0001", marks()), label("beat", values, frames=(1,))]
    export(studies, labels, tmp_path / "out", choices("coco"))
    images = {
        path.name: int(np.asarray(Image.open(path))[0, 0]) for path in (tmp_path / "out" / "images").iterdir()
    }
    assert images == {"beat__f0001.png": 7, "beat__f0001__2.png": 40}

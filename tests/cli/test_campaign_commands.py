"""`uniultra campaign …` and `uniultra label import`, run as a person would."""

import csv
import json
import os
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from uniultra.datasets.manifest import load_pair, read_manifest
from uniultra.store.campaign.file import load
from uniultra.store.store import LabelStore
from uniultra.store.types import Unit


@pytest.fixture
def studies(tmp_path):
    """Three stills of two patients, by name, and a cine of four frames."""
    root = tmp_path / "studies"
    root.mkdir()
    for n, name in enumerate(("p1_a", "p1_b", "p2_a")):
        Image.fromarray(np.full((20, 24), 40 + 50 * n, np.uint8)).save(root / f"{name}.png")
    frames = np.stack([np.full((20, 24), 60 * t, np.uint8) for t in range(4)])
    sitk.WriteImage(sitk.GetImageFromArray(frames), str(root / "p3_beat.seq.nrrd"))
    return root


@pytest.fixture
def run(run, studies):
    """Runs `uniultra …` on the studies folder."""
    return lambda *arguments, here=True: run(*arguments, *(["--studies", studies] if here else []))


@pytest.fixture
def masks(tmp_path):
    """A folder of masks: two that fit, one too large, one of nobody's, one that is none."""
    folder = tmp_path / "masks"
    folder.mkdir()
    mask = np.zeros((20, 24), np.uint8)
    mask[4:9, 6:12] = 255
    Image.fromarray(mask).save(folder / "p1_a_mask.png")
    Image.fromarray(mask * 0).save(folder / "p2_a_mask.png")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "p1_b_mask.png")
    Image.fromarray(mask).save(folder / "p9_a_mask.png")
    (folder / "p3_beat_mask.nrrd").write_bytes(b"NRRD0004\nnothing more")
    return folder


def init(run, *more):
    return run("campaign", "init", "--label", "nodule", "--patients", "path", "--pattern", r"^(p\d)", *more)


def bring(run, masks, *more):
    return run("label", "import", masks, "--suffix", "_mask", "--annotator", "ann", *more)


@pytest.fixture
def imported(run, studies, masks):
    """The store of a campaign with the two masks that fit."""
    init(run)
    bring(run, masks)
    return LabelStore(studies)


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_init_says_what_it_found_and_explains_each_setting(run, studies):
    code, said, _ = init(run, "--readers", 2, "--name", "Thyroid", "--frames", "every 2")
    assert code == 0 and "images: 4, 1 of them cines of 4 frames" in said and "patients: 3, by path" in said
    made = load(studies)
    assert (made.name, made.readers, made.frames) == ("Thyroid", 2, "every 2")
    assert [(one.name, one.index) for one in made.labels] == [("nodule", 1)]
    text = (studies / "campaign.yaml").read_text()
    for setting in type(made).model_fields.keys() - {"schema_version"}:
        before = text[: text.index(f"\n{setting}:")].splitlines()[-1]
        assert before.startswith("# "), setting


def test_init_never_replaces_a_campaign(run, studies):
    init(run)
    before = (studies / "campaign.yaml").read_bytes()
    code, _, said = init(run, "--name", "other")
    assert code == 2 and "already" in said and (studies / "campaign.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--patients", "path"], "pattern"),
        (["--patients", "path", "--pattern", "("], "regular expression"),
        (["--pattern", "x"], "--patients"),
        (["--patients", "manifest", "--file", "../x.csv"], "relative"),
        (["--patients", "manifest", "--file", "no.csv"], "CSV"),
        (["--readers", "0"], "readers"),
        (["--frames", "some"], "frames"),
        (["--label", "a", "--label", "a"], "name of its own"),
    ],
)
def test_init_refuses_what_cannot_be_and_writes_nothing(run, studies, arguments, text):
    code, _, said = run("campaign", "init", *arguments)
    assert code == 2 and text in said and not (studies / "campaign.yaml").exists()


def test_init_without_a_rule_warns_that_folders_are_no_patients(run, studies):
    code, said, warned = run("campaign", "init", "--label", "x")
    assert code == 0 and "by folder" in said and "4 images have no patient" in warned
    assert load(studies).patients.by == "folder"


def test_init_groups_by_a_manifest(run, studies):
    (studies / "who.csv").write_text("path,patient\np1_a.png,7\np1_b.png,7\np2_a.png,8\n")
    code, said, warned = run("campaign", "init", "--patients", "manifest", "--file", "who.csv")
    assert code == 0 and "patients: 3" in said and "1 images have no patient" in warned


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("l.yaml", "[lesion, cyst]", [("lesion", 1), ("cyst", 2)]),
        ("l.json", '{"labels": {"lesion": 4}}', [("lesion", 4)]),
        ("l.yaml", "labels:\n- {name: head, index: 9, color: '#010203', instructions: outer}", [("head", 9)]),
        ("l.ctbl", "# colours\n0 background 0 0 0 0\n3 fetal_head 255 0 16 255\n", [("fetal head", 3)]),
    ],
)
def test_init_takes_a_schema_from_elsewhere(run, studies, tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    assert run("campaign", "init", "--schema", tmp_path / name)[0] == 0
    labels = load(studies).labels
    assert [(one.name, one.index) for one in labels] == expected
    assert "ctbl" not in name or labels[0].color == "#ff0010"


@pytest.mark.parametrize("content", ["7", "{a: 0}", "[{name: a}]", "{a: 300}", "[", "- 1\n- 2"])
def test_a_schema_that_is_none_is_refused(run, studies, tmp_path, content):
    (tmp_path / "l.yaml").write_text(content)
    code, _, said = run("campaign", "init", "--schema", tmp_path / "l.yaml")
    assert code == 2 and "colour table" in said and not (studies / "campaign.yaml").exists()


def test_import_takes_what_fits_and_names_the_rest(run, studies, masks):
    init(run)
    code, said, warned = bring(run, masks)
    assert code == 1 and "2 masks imported, 3 left out" in said
    assert "p1_b_mask.png: Expected a label of 1 x 20 x 24; got 1 x 9 x 9" in warned
    assert "p9_a_mask.png: No image" in warned and "p3_beat_mask.nrrd: " in warned
    assert str(masks) not in warned
    store = LabelStore(studies)
    [full, empty] = store.versions()
    assert (full.image, full.annotator, full.tag, full.labels) == ("p1_a", "ann", "final", {"nodule": 1})
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(store.path(full))))
    assert values.sum() == 30 and values.max() == 1
    assert empty.image == "p2_a" and not sitk.GetArrayFromImage(sitk.ReadImage(str(store.path(empty)))).any()


def test_import_replaces_nothing(run, imported, studies, masks):
    before = LabelStore(studies).versions()
    code, said, warned = bring(run, masks)
    assert code == 1 and "0 masks imported" in said and "already" in warned and "kept" in warned
    assert run("label", "import", masks, "--suffix", "_mask", "--annotator", "bob")[0] == 1
    assert LabelStore(studies).versions() == before
    code, said, _ = run("label", "import", masks, "--suffix", "_mask", "--annotator", "bob", "--beside")
    assert "2 masks imported" in said and len(LabelStore(studies).versions()) == 4


def test_import_by_a_list_of_pairs(run, studies, masks, tmp_path):
    init(run, "--label", "cyst")
    listing = tmp_path / "pairs.csv"
    listing.write_text(
        "image,mask\np1_b.png,masks/p1_a_mask.png\nnobody,masks/p1_a_mask.png\np1_a,none.png\n"
    )
    code, said, warned = run(
        "label", "import", listing, "--annotator", "ann", "--label", "cyst", "--tag", "draft"
    )
    assert code == 1 and "1 masks imported, 2 left out" in said and "no such mask" in warned
    store = LabelStore(studies)
    [version] = store.versions()
    assert (version.image, version.tag) == ("p1_b", "draft")
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(store.path(version)))).max() == 2


def test_import_refuses_values_that_are_no_structures(run, masks):
    init(run, "--label", "cyst")
    Image.fromarray(np.full((20, 24), 5, np.uint8)).save(masks / "p1_b_mask.png")
    _, _, warned = bring(run, masks)
    assert "p1_b_mask.png: Expected the values of the campaign's structures (1, 2); got 5" in warned
    assert "campaign (nodule, cyst)" in bring(run, masks, "--label", "liver")[2]


def test_import_of_a_cine_takes_the_marked_frames_as_done(run, studies, masks):
    init(run)
    values = np.zeros((4, 20, 24), np.uint8)
    values[2, 3:6, 3:6] = 1
    sitk.WriteImage(sitk.GetImageFromArray(values), str(masks / "p3_beat_mask.nrrd"))
    bring(run, masks)
    assert [v.frames for v in LabelStore(studies).versions("p3_beat")] == [(2,)]


def test_status_counts_what_there_is(run, imported):
    imported.claim([Unit("p1_b", 0)], "bob")
    imported.skip(Unit("p3_beat", 0), "bob", "unsure")
    code, said, _ = run("campaign", "status", "--json")
    found = json.loads(said)
    assert code == 0
    expected = {"images": 4, "units": 4, "labelled": 2, "leased": 1, "started": 0, "left": 1, "skipped": 1}
    assert {key: found[key] for key in expected} == expected
    assert found["trainable"] == 2 and found["states"] == {"final": 2} and found["problems"] == []
    people = [(one["name"], one["labelled"], one["leased"]) for one in found["annotators"]]
    assert people == [("ann", 2, 0), ("bob", 0, 1)]
    code, said, _ = run("campaign", "status")
    assert "2 labelled, 1 in work, 0 started, 1 left; 1 skipped" in said


def test_status_of_a_damaged_label_names_it_and_fails(run, imported, studies):
    first = imported.versions()[0]
    imported.path(first).write_bytes(b"torn")
    (studies / "labels" / first.tag / f"{first.image}{first.ext}").unlink()
    code, said, _ = run("campaign", "status")
    assert code == 1 and "p1_a revision 1: mask has another checksum" in said


def test_status_of_double_reading_has_the_agreement(run, studies, masks):
    init(run, "--readers", 2)
    bring(run, masks)
    found = json.loads(run("campaign", "status", "--json")[1])
    assert (found["labelled"], found["started"]) == (0, 2) and found["agreement"]["images"] == 0
    run("label", "import", masks, "--suffix", "_mask", "--annotator", "bob")
    found = json.loads(run("campaign", "status", "--json")[1])
    assert found["labelled"] == 2
    assert found["agreement"]["images"] == 2 and found["agreement"]["dice"] == 1.0
    assert found["agreement"]["hd95"] == {"px": 0.0}


def test_a_manifest_goes_from_the_campaign_into_training(run, imported, tmp_path):
    code, said, warned = run("campaign", "export", "--format", "manifest", "-o", tmp_path / "out")
    assert code == 0 and "2 images" in said and "look at them" in warned
    rows = read_manifest(tmp_path / "out", None, ["train", "val", "test"])
    pixels = sorted((int(picture[0, 0]), int(mask.sum())) for picture, mask in map(load_pair, rows))
    assert pixels == [(40, 30), (140, 0)]
    groups = {label.image: label.group for label in imported.trainable()}
    assert {row.group for row in rows} == set(groups.values()) and len(set(groups.values())) == 2
    assert not any("p1" in row.id or "p2" in row.id for row in rows)


def test_export_takes_what_trains_or_all(run, studies, masks, tmp_path):
    init(run)
    bring(run, masks, "--tag", "draft")
    code, _, said = run("campaign", "export", "-o", tmp_path / "out")
    assert code == 2 and "--all" in said and not (tmp_path / "out").exists()
    assert run("campaign", "export", "--all", "--format", "nifti", "-o", tmp_path / "out")[0] == 0
    assert names(tmp_path / "out") == {"p1_a.nii.gz", "p2_a.nii.gz", "labels.json", "export.json"}


def test_of_two_readers_both_labels_go_out_under_their_revisions(run, studies, masks, tmp_path):
    init(run, "--readers", 2)
    for annotator in ("ann", "bob"):
        run("label", "import", masks, "--suffix", "_mask", "--annotator", annotator)
    run("campaign", "export", "--all", "--format", "nrrd", "-o", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").glob("*.nrrd")} == {
        f"{image}__r{revision}.nrrd" for image in ("p1_a", "p2_a") for revision in (1, 2)
    }


def test_a_cine_in_parts_goes_out_as_one(run, studies, tmp_path):
    init(run)
    store, done = LabelStore(studies), np.zeros((4, 20, 24), np.uint8)
    for frame in (0, 3):
        values = np.zeros_like(done)
        values[frame, 2:5, 2 : 5 + frame] = 1
        done |= values
        sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "l.nrrd"))
        store.save("p3_beat", tmp_path / "l.nrrd", annotator=f"a{frame}", frames=[frame])
    run("campaign", "export", "--format", "nrrd", "-o", tmp_path / "out")
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "p3_beat.nrrd")))
    assert (written == done).all()
    listed = json.loads((tmp_path / "out" / "labels.json").read_text())["files"]
    assert listed["p3_beat.nrrd"]["frames"] == [0, 3]
    run("campaign", "export", "-o", tmp_path / "coco")
    assert names(tmp_path / "coco" / "images") == {"p3_beat__f0000.png", "p3_beat__f0003.png"}


def test_a_structure_that_was_renamed_is_not_exported_as_empty(run, imported, studies, tmp_path):
    text = (studies / "campaign.yaml").read_text()
    (studies / "campaign.yaml").write_text(text.replace("name: nodule", "name: lump"))
    code, _, said = run("campaign", "export", "-o", tmp_path / "out")
    assert code == 2 and "old name" in said and not (tmp_path / "out").exists()


def test_a_backup_brings_everything_back(run, studies, masks, tmp_path):
    init(run, "--readers", 2)
    bring(run, masks)
    store = LabelStore(studies)
    store.review("p1_a", 1, "approved", "chief", "good")
    store.skip(Unit("p1_b", 0), "bob", "unsure")
    bundle = studies / ".uniultra" / "adapters" / "0123456789-1"
    bundle.mkdir(parents=True)
    (bundle / "config.json").write_text("{}")
    (bundle.parent / "current.json").write_text('{"models": {"uniultra_mini": "0123456789-1"}}')
    code, said, _ = run("campaign", "backup", "-o", tmp_path / "b.zip")
    assert code == 0 and "2 versions of labels" in said
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        assert not [name for name in packed.namelist() if "index" in name or name.endswith(".png")]
    assert (tmp_path / "b.zip").stat().st_mode & 0o077 == 0
    code, said, _ = run("campaign", "restore", tmp_path / "b.zip", "--into", tmp_path / "new", here=False)
    assert code == 0 and "2 versions" in said and "2 of their images are not in the folder" in said
    for image in studies.glob("p*"):
        (tmp_path / "new" / image.name).write_bytes(image.read_bytes())
    back = LabelStore(tmp_path / "new")
    assert back.versions() == store.versions() and back.reviews("p1_a") == store.reviews("p1_a")
    assert back.skipped() == {Unit("p1_b", 0): {"bob": "unsure"}}
    assert back.state(back.versions()[0]) == "approved" and back.campaign == store.campaign
    assert [label.group for label in back.trainable()] == [label.group for label in store.trainable()]
    new = tmp_path / "new" / ".uniultra" / "adapters"
    assert (new / "0123456789-1" / "config.json").is_file() and (new / "current.json").is_file()


def test_a_backup_leaves_a_damaged_label_out_and_says_so(run, imported, tmp_path):
    mask = imported.path(imported.versions()[0])
    stat = mask.stat()
    data = bytearray(mask.read_bytes())
    data[-1] ^= 1
    mask.write_bytes(data)
    os.utime(mask, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # rot that no date shows
    code, said, warned = run("campaign", "backup", "-o", tmp_path / "b.zip")
    assert code == 1 and "1 versions" in said and "p1_a 1: its label is damaged" in warned
    assert run("campaign", "restore", tmp_path / "b.zip", "--into", tmp_path / "new", here=False)[0] == 0


def test_backup_and_restore_replace_nothing(run, imported, masks, tmp_path):
    assert run("campaign", "backup", "-o", tmp_path / "b.zip")[0] == 0
    before = (tmp_path / "b.zip").read_bytes()
    assert run("campaign", "backup", "-o", tmp_path / "b.zip")[0] == 2
    assert (tmp_path / "b.zip").read_bytes() == before
    code, _, said = run("campaign", "restore", tmp_path / "b.zip")
    assert code == 2 and "--into" in said
    code, _, said = run("campaign", "restore", tmp_path / "b.zip", "--into", masks, here=False)
    assert code == 2 and "new or empty" in said


def test_without_a_campaign_there_is_no_backup(run, tmp_path):
    code, _, said = run("campaign", "backup", "-o", tmp_path / "b.zip")
    assert code == 2 and "neither" in said and not (tmp_path / "b.zip").exists()
    code, _, said = run("campaign", "status", "--studies", tmp_path / "none", here=False)
    assert code == 2 and "Expected --studies" in said and str(tmp_path) not in said


def test_the_exported_manifest_names_its_structures(run, studies, masks, tmp_path):
    init(run, "--name", "Thyroid 1")
    bring(run, masks)
    run("campaign", "export", "--format", "manifest", "--keep-names", "-o", tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "manifest.csv").open()))
    assert {row["dataset"] for row in rows} == {"thyroid_1_nodule"}
    assert {row["id"] for row in rows} == {"p1_a", "p2_a"}

"""Archives that are no backups, or hostile ones: refused, and nothing is changed."""

import hashlib
import json
import stat
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest

from uniultra.errors import UniUltraError
from uniultra.images import read_image, write_mask
from uniultra.store.backups import restore
from uniultra.store.campaign.folder_identity import new
from uniultra.store.types import LabelVersion, Review

MADE = datetime(2026, 11, 21, tzinfo=UTC)
VERSION = ".uniultra/versions/one/1"


@pytest.fixture
def files(studies, tmp_path):
    """The files of a good backup: a campaign, an identity, one version with a review, an adapter."""
    write_mask(np.ones((6, 8), np.uint8), read_image(studies / "one.png"), tmp_path / "mask.nrrd")
    mask = (tmp_path / "mask.nrrd").read_bytes()
    version = LabelVersion(
        image="one",
        revision=1,
        tag="final",
        annotator="ann",
        made=MADE,
        ext=".nrrd",
        sha256=hashlib.sha256(mask).hexdigest(),
        source="one.png",
    )
    review = Review(image="one", revision=1, state="approved", reviewer="rev", made=MADE)
    return {
        "campaign.yaml": b"name: study\n",
        ".uniultra/store.json": new().model_dump_json().encode(),
        ".uniultra/journal.jsonl": b"",
        f"{VERSION}.nrrd": mask,
        f"{VERSION}.json": version.model_dump_json().encode(),
        f"{VERSION}.review-1.json": review.model_dump_json().encode(),
        ".uniultra/adapters/b1/config.json": b"{}",
    }


def pack(path, files, *, sums=None, entries=None, manifest=None):
    """An archive of `files`; `sums` changes what its manifest says, `entries` is added beside it."""
    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()
    }
    body = {
        "format": "uniultra campaign backup",
        "schema_version": 1,
        "uniultra": "0",
        "made": MADE.isoformat(),
        "files": listed | (sums or {}),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
        for entry, data in entries or ():
            packed.writestr(entry, data)
        packed.writestr("manifest.json", json.dumps(body) if manifest is None else manifest)
    return path


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def refused(archive, tmp_path, text="", **options):
    target = tmp_path / "target"
    target.mkdir(exist_ok=True)
    before = tree(tmp_path)
    with pytest.raises(UniUltraError, match=text or None) as raised:
        restore(archive, target, **options)
    assert tree(tmp_path) == before and str(tmp_path) not in str(raised.value)


def test_a_good_one_is_put_in_place_beside_the_images(files, studies, tmp_path):
    done = restore(pack(tmp_path / "b.zip", files), studies)
    assert (done.versions, done.files) == (1, len(files))
    assert all((studies / name).read_bytes() == data for name, data in files.items())
    left = [name for name in tree(studies) if name.endswith((".part", ".restore"))]
    assert not left and (studies / "one.png").is_file()


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json",
        ".uniultra/versions/../../evil.json",
        "/evil.json",
        "C:/evil.json",
        ".uniultra\\versions\\one\\2.nrrd",
        ".uniultra/versions/one/sub/2.nrrd",
        ".uniultra/versions/one/evil.py",
        ".uniultra/training/job.json",
        ".uniultra/index.sqlite",
        ".uniultra/adapters/b1/.hidden",
        ".uniultra/adapters/a/b/c/d/e/f",
        "labels/final/one.nrrd",
        "one.png",
        ".uniultra/versions/one /2.nrrd",
        ".uniultra/versions/one\n/2.nrrd",
    ],
)
def test_files_where_no_backup_has_one_are_refused(files, tmp_path, name):
    refused(pack(tmp_path / "b.zip", {**files, name: b"x"}), tmp_path, "Expected a backup")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR, stat.S_IFCHR])
def test_links_and_devices_are_refused(files, tmp_path, kind):
    name, data = ".uniultra/adapters/b1/weights.safetensors", b"/etc/passwd"
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (kind | 0o777) << 16
    sums = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}}
    refused(pack(tmp_path / "b.zip", files, sums=sums, entries=[(entry, data)]), tmp_path, "no file")


def test_a_bomb_is_refused_before_it_is_unpacked(files, tmp_path):
    name, data = ".uniultra/adapters/b1/weights.safetensors", bytes(32 << 20)
    archive = pack(tmp_path / "b.zip", {**files, name: data})
    assert archive.stat().st_size < 1 << 20
    refused(archive, tmp_path, "--limit-gb", limit=16 << 20)


def test_an_entry_that_says_less_than_it_holds_is_refused(files, tmp_path):
    archive = pack(tmp_path / "b.zip", {**files, ".uniultra/adapters/b1/w.bin": bytes(1 << 20)})
    raw = bytearray(archive.read_bytes())
    true, forged = (1 << 20).to_bytes(4, "little"), (16).to_bytes(4, "little")
    assert raw.count(true) >= 2  # in the entry's own header and in the directory
    archive.write_bytes(raw.replace(true, forged))
    refused(archive, tmp_path, "Expected a backup")


def test_two_files_of_one_name_are_refused(files, tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        archive = pack(tmp_path / "b.zip", files, entries=[("campaign.yaml", b"name: other\n")])
    refused(archive, tmp_path, "not those of its manifest")
    refused(pack(tmp_path / "c.zip", {**files, "Campaign.yaml": b"name: other\n"}), tmp_path, "manifest")


@pytest.mark.parametrize("change", ["bit", "cut", "sum", "missing", "extra", "manifest", "format", "none"])
def test_what_is_not_whole_is_refused(files, tmp_path, change):
    archive = tmp_path / "b.zip"
    if change == "bit":
        raw = bytearray(pack(archive, files).read_bytes())
        place = raw.index(b"NRRD") if b"NRRD" in raw else raw.index(b"one/1.nrrd") + 40
        raw[place] ^= 0x10
        archive.write_bytes(raw)
    elif change == "cut":
        pack(archive, files)
        archive.write_bytes(archive.read_bytes()[:-300])
    elif change == "sum":
        pack(archive, files, sums={"campaign.yaml": {"sha256": "0" * 64, "bytes": 12}})
    elif change == "missing":
        pack(archive, files, sums={f"{VERSION}.review-2.json": {"sha256": "0" * 64, "bytes": 1}})
    elif change == "extra":
        pack(archive, files, entries=[(".uniultra/adapters/b1/more.json", b"{}")])
    elif change == "manifest":
        pack(archive, files, manifest="{}")
    elif change == "format":
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("readme.txt", "hello")
    else:
        archive.write_bytes(b"no archive")
    refused(archive, tmp_path, "Expected a backup")


def test_a_missing_archive_is_said(tmp_path):
    refused(tmp_path / "none.zip", tmp_path, "cannot be read")


@pytest.mark.parametrize(
    "change",
    [
        {"source": "../../outside.png"},
        {"source": "/etc/hosts"},
        {"image": "two"},
        {"revision": 2},
        {"sha256": "1" * 64},
        {"ext": ".nii.gz"},
        {"ext": "/../../../x.nrrd"},
        {"schema_version": 99},
        {"surplus": 1},
        {"tag": "../../x"},
        {"ext": ".py"},
    ],
)
def test_records_that_the_store_did_not_write_are_refused(files, tmp_path, change):
    record = {**json.loads(files[f"{VERSION}.json"]), **change}
    bad = {**files, f"{VERSION}.json": json.dumps(record).encode()}
    refused(pack(tmp_path / "b.zip", bad), tmp_path, "record")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("campaign.yaml", b"labels: 7\n"),
        ("campaign.yaml", b"!!python/object/apply:os.system [id]\n"),
        (".uniultra/store.json", b"{}"),
        (".uniultra/store.json", b'{"id": "a\\"; DROP SCHEMA public; --", "salt": "ab"}'),
        (".uniultra/journal.jsonl", b'{"kind": "image", "image": "../../evil", "path": "one.png"}\n'),
        (".uniultra/journal.jsonl", b'{"kind": "image", "image": "x", "path": "../../../etc/passwd"}\n'),
        (".uniultra/journal.jsonl", b'{"kind": "image", "image": "x", "path": "/etc/passwd"}\n'),
        (
            ".uniultra/journal.jsonl",
            b'{"kind": "label removed", "image": "one", "tag": "../..", "revision": 1}\n',
        ),
        (".uniultra/journal.jsonl", b'{"kind": "skip", "image": ["one"], "frame": 0}\n'),
        (f"{VERSION}.review-1.json", b"[]"),
        (".uniultra/versions/one/2.nrrd", b"alone"),
        (".uniultra/versions/one/2.review-1.json", b'{"image": "one", "revision": 2}'),
    ],
)
def test_content_that_the_store_cannot_use_is_refused(files, tmp_path, name, data):
    refused(pack(tmp_path / "b.zip", {**files, name: data}), tmp_path)


def test_a_label_that_names_another_file_is_refused(files, tmp_path):
    header = b"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 8 6\nencoding: raw\ndata file: /etc/hostname\n\n"
    record = {**json.loads(files[f"{VERSION}.json"]), "sha256": hashlib.sha256(header).hexdigest()}
    bad = {**files, f"{VERSION}.nrrd": header, f"{VERSION}.json": json.dumps(record).encode()}
    refused(pack(tmp_path / "b.zip", bad), tmp_path, "label map")


@pytest.mark.parametrize("taken", ["campaign.yaml", "labels/final/one.nrrd", ".uniultra/versions/x/1.json"])
def test_a_campaign_is_never_replaced(files, studies, tmp_path, taken):
    (studies / taken).parent.mkdir(parents=True, exist_ok=True)
    (studies / taken).write_bytes(b"mine")
    before = tree(studies)
    with pytest.raises(UniUltraError, match="--into"):
        restore(pack(tmp_path / "b.zip", files), studies)
    assert tree(studies) == before and (studies / taken).read_bytes() == b"mine"

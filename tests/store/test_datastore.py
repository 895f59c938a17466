from __future__ import annotations

import json
import tempfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from factories import make_label, make_picture, raising
from PIL import Image

from uniultra.errors import ImageError, RequestError
from uniultra.store.catalogue import images as module
from uniultra.store.datastore import StudiesDatastore
from uniultra.store.errors import NotFoundError, ProtectedError


@pytest.fixture
def store(studies: Path, monkeypatch: pytest.MonkeyPatch) -> StudiesDatastore:
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    return StudiesDatastore(studies)


@pytest.fixture
def labelled(store: StudiesDatastore, label: Path) -> StudiesDatastore:
    """The store with a final label of `one`."""
    store.save_label("one", str(label), "final", {})
    return store


def test_images_of_all_folders_are_listed_by_id(store: StudiesDatastore, studies: Path) -> None:
    assert store.list_images() == ["deep__er__two", "one"]
    assert store.get_image_uri("deep__er__two") == str(studies / "deep" / "er" / "two.png")
    assert store.status() == {"total": 2, "completed": 0, "label_tags": {}}


def test_constructing_reads_and_writes_nothing(tmp_path: Path) -> None:
    StudiesDatastore(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_image_is_not_a_sample(store: StudiesDatastore, studies: Path, tmp_path: Path) -> None:
    outside = make_picture(tmp_path / "outside" / "secret.png")
    for name in ("labels/final/x.png", "deep/labels/y.png", ".dot/z.png", ".hidden.png", "s.seg.nrrd"):
        make_picture(studies / name) if name.endswith("png") else (studies / name).write_text("no image")
    (studies / "notes.txt").write_text("no image")
    (studies / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (studies / "link.png").symlink_to(outside)
    (studies / "folder").symlink_to(outside.parent, target_is_directory=True)
    (studies / "dangling.png").symlink_to(tmp_path / "nothing.png")
    assert store.list_images() == ["deep__er__two", "one"]


def test_dicom_is_known_by_its_magic(store: StudiesDatastore, studies: Path) -> None:
    (studies / "1.2.840.99").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 8)
    (studies / "readme").write_text("plain text, long enough to hold a preamble " * 9)
    assert "1.2.840.99" in store.list_images()
    assert "readme" not in store.list_images()


def test_files_that_come_and_go_are_seen(store: StudiesDatastore, studies: Path) -> None:
    store.list_images()
    make_picture(studies / "three.png")
    make_picture(studies / "deep" / "er" / "four.png")
    assert {"three", "deep__er__four"} <= set(store.list_images())
    (studies / "three.png").unlink()
    assert "three" not in store.list_images()
    with pytest.raises(NotFoundError, match="gone"):
        store.get_image_uri("three")


def test_an_id_once_given_stays(studies: Path, store: StudiesDatastore) -> None:
    store.list_images()
    Image.new("L", (4, 4)).save(studies / "one.bmp")
    assert {"one", "one.bmp"} <= set(store.list_images())
    again = StudiesDatastore(studies)
    assert again.get_image_uri("one").endswith("one.png")
    (studies / "one.png").unlink()
    assert "one" not in StudiesDatastore(studies).list_images()
    make_picture(studies / "one.png")
    assert StudiesDatastore(studies).get_image_uri("one").endswith("one.png")


@pytest.mark.parametrize("bad", ["/etc/hostname", "../one", "one.png", "", ".", "deep/er/two", None, 5, {}])
def test_only_an_id_finds_an_image(store: StudiesDatastore, bad: object) -> None:
    with pytest.raises(NotFoundError):
        store.get_image_uri(bad)  # type: ignore[arg-type]


def test_a_file_swapped_for_a_link_is_not_handed_out(
    store: StudiesDatastore, studies: Path, tmp_path: Path
) -> None:
    store.list_images()
    (studies / "one.png").unlink()
    (studies / "one.png").symlink_to(make_picture(tmp_path / "outside.png"))
    with pytest.raises(NotFoundError):
        store.get_image_uri("one")


def test_a_label_is_kept_where_monai_label_keeps_it(
    store: StudiesDatastore, studies: Path, label: Path
) -> None:
    assert store.save_label("one", str(label), "final", {"client_id": "anna"}) == "one"
    assert (studies / "labels" / "final" / "one.png").read_bytes() == label.read_bytes()
    again = StudiesDatastore(studies)
    assert again.get_label_info("one", "final")["client_id"] == "anna"
    assert again.datalist() == [
        {"image": str(studies / "one.png"), "label": str(studies / "labels" / "final" / "one.png")}
    ]
    assert again.get_labeled_images() == ["one"]
    assert again.get_unlabeled_images() == ["deep__er__two"]
    assert again.status() == {"total": 2, "completed": 1, "label_tags": {"final": 1}}
    assert again.get_labels_by_image_id("one") == {"final": "one"}


def test_a_newer_label_of_another_format_takes_the_place_of_the_old(
    labelled: StudiesDatastore, studies: Path, tmp_path: Path
) -> None:
    bmp = tmp_path / "label.bmp"
    Image.new("L", (8, 6)).save(bmp)
    labelled.save_label("one", str(bmp), "final", {})
    assert [p.name for p in (studies / "labels" / "final").iterdir()] == ["one.bmp"]


@pytest.mark.parametrize("name", ["label.bin", "label.jpg", "label.py", "label", "label.nrrd.exe"])
def test_a_label_of_another_format_is_refused(store: StudiesDatastore, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(RequestError, match="A label is one of"):
        store.save_label("one", str(tmp_path / name), "final", {})


@pytest.mark.parametrize("name", ["bad.nrrd", "bad.nii.gz", "bad.png", "bad.mha"])
def test_a_label_that_cannot_be_decoded_is_refused_and_the_old_one_stays(
    labelled: StudiesDatastore, studies: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"NRRD0004\nnonsense")
    with pytest.raises(RequestError, match="decoded") as refusal:
        labelled.save_label("one", str(tmp_path / name), "final", {})
    assert str(tmp_path) not in str(refusal.value)
    assert [p.name for p in (studies / "labels" / "final").iterdir()] == ["one.png"]


@pytest.mark.parametrize(
    "header",
    [
        "NRRD0004\ntype: uchar\ndimension: 2\nsizes: 8 6\nencoding: raw\ndata file: {0}\n\n",
        "NRRD0004\ntype: uchar\ndimension: 2\nsizes: 8 6\nencoding: raw\ndatafile: {0}\n\n",
        "ObjectType = Image\nNDims = 2\nDimSize = 8 6\nElementType = MET_UCHAR\nElementDataFile = {0}\n",
    ],
)
def test_a_label_cannot_borrow_a_file_of_the_server(
    store: StudiesDatastore, tmp_path: Path, header: str
) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes(48))
    path = tmp_path / ("label.mha" if "NDims" in header else "label.nrrd")
    path.write_text(header.format(secret))
    with pytest.raises(RequestError, match="decoded"):
        store.save_label("one", str(path), "final", {})


@pytest.mark.parametrize("ext", [".nrrd", ".nii.gz", ".nii", ".mha", ".tif", ".seg.nrrd"])
def test_labels_of_every_usual_format_are_taken(store: StudiesDatastore, tmp_path: Path, ext: str) -> None:
    import itk

    path = tmp_path / f"label{ext}"
    for compressed in (False, True):
        voxels = np.random.default_rng(1).integers(0, 2, (6, 8), np.uint8)
        itk.imwrite(itk.image_from_array(voxels), str(path), compressed)
        store.save_label("one", str(path), "final", {})
        assert store.get_label("one", "final").read() == path.read_bytes()


def test_a_header_that_asks_for_terabytes_is_refused_unread(store: StudiesDatastore, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.nrrd"
    bomb.write_text("NRRD0004\ntype: uchar\ndimension: 3\nsizes: 30000 30000 3000\nencoding: raw\n\n")
    with pytest.raises(RequestError, match="voxels"):
        store.save_label("one", str(bomb), "final", {})


@pytest.mark.parametrize("tag", ["../../evil", "/tmp", "..", "a/b", "", "a\0b"])
def test_a_tag_never_leaves_the_labels_folder(
    store: StudiesDatastore, studies: Path, label: Path, tag: str
) -> None:
    before = sorted(p for p in studies.parent.rglob("*") if ".uniultra" not in p.parts)
    for call in (
        lambda: store.save_label("one", str(label), tag, {}),
        lambda: store.get_label_uri("one", tag),
        lambda: store.remove_label("one", tag),
    ):
        with pytest.raises(RequestError):
            call()
    assert sorted(p for p in studies.parent.rglob("*") if ".uniultra" not in p.parts) == before


def test_originals_are_never_deleted(store: StudiesDatastore, studies: Path) -> None:
    with pytest.raises(ProtectedError, match="original"):
        store.remove_image("one")
    assert (studies / "one.png").is_file()


def test_an_added_image_can_be_deleted_with_its_labels(
    store: StudiesDatastore, studies: Path, tmp_path: Path, label: Path
) -> None:
    source = make_picture(tmp_path / "upload.png")
    assert store.add_image("new", str(source), {"probe": "C5-1"}) == "new"
    assert store.get_image_info("new")["probe"] == "C5-1"
    store.save_label("new", str(label), "final", {})
    again = StudiesDatastore(studies)
    again.remove_image("new")
    assert not (studies / "new.png").exists()
    assert not (studies / "labels" / "final" / "new.png").exists()
    assert "new" not in again.list_images()


def test_an_added_image_never_takes_a_place(store: StudiesDatastore, tmp_path: Path) -> None:
    source = make_picture(tmp_path / "upload.png", 3)
    for taken in ("one", "ONE", "deep__er__two"):
        with pytest.raises(ProtectedError, match="Choose another"):
            store.add_image(taken, str(source), {})


@pytest.mark.parametrize("bad", ["../x", "a/b", "/tmp/x", "..", "x\0"])
def test_an_added_image_stays_in_the_folder(store: StudiesDatastore, tmp_path: Path, bad: str) -> None:
    with pytest.raises(RequestError, match="plain name"):
        store.add_image(bad, str(make_picture(tmp_path / "upload.png")), {})


def test_an_added_file_must_be_ultrasound_that_can_be_read(store: StudiesDatastore, tmp_path: Path) -> None:
    script, broken = tmp_path / "a.py", tmp_path / "b.png"
    script.write_text("print()")
    broken.write_bytes(b"\x89PNG nonsense")
    with pytest.raises(RequestError, match="Expected an image"):
        store.add_image("a", str(script), {})
    with pytest.raises(ImageError):
        store.add_image("b", str(broken), {})


def test_information_lasts(store: StudiesDatastore, studies: Path, label: Path) -> None:
    store.update_image_info("one", {"strategy": {"random": {"ts": 1}}})
    store.save_label("one", str(label), "final", {})
    store.update_label_info("one", "final", {"reviewed": True})
    again = StudiesDatastore(studies)
    assert again.get_image_info("one")["strategy"] == {"random": {"ts": 1}}
    assert again.get_label_info("one", "final")["reviewed"] is True


@pytest.mark.parametrize("bad", [[1], "text", {"a": "x" * 70_000}, {"a": float("nan")}, {"a": object()}])
def test_information_that_is_no_small_json_object_is_refused(store: StudiesDatastore, bad: object) -> None:
    with pytest.raises(RequestError, match="JSON object"):
        store.update_image_info("one", bad)  # type: ignore[arg-type]


def test_the_listing_has_the_shape_of_monai_labels_own(labelled: StudiesDatastore) -> None:
    body = json.loads(json.dumps(labelled.json()))
    assert set(body) == {"name", "description", "images_dir", "labels_dir", "objects"}
    assert body["objects"]["one"]["image"]["ext"] == ".png"
    assert body["objects"]["one"]["labels"]["final"]["ext"] == ".png"


def test_a_write_that_fails_leaves_the_old_label(
    labelled: StudiesDatastore, studies: Path, label: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = label.read_bytes()
    Image.new("L", (8, 6), 1).save(label)
    monkeypatch.setattr("uniultra.files.atomic.os.fsync", raising(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="space"):
        labelled.save_label("one", str(label), "final", {})
    monkeypatch.undo()
    folder = studies / "labels" / "final"
    assert [p.name for p in folder.iterdir()] == ["one.png"]
    assert (folder / "one.png").read_bytes() == before


def test_two_processes_do_not_lose_each_others_labels(studies: Path, label: Path) -> None:
    # two stores share nothing but the folder, as two processes do
    stores = [StudiesDatastore(studies), StudiesDatastore(studies)]

    def save(who: int) -> None:
        for n in range(8):
            stores[who].save_label("one", str(label), f"w{who}-{n}", {"n": n})

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(save, range(2)))  # raises what one of them raised
    assert len(StudiesDatastore(studies).get_labels_by_image_id("one")) == 16


def test_the_archive_holds_images_and_labels(store: StudiesDatastore, label: Path) -> None:
    with pytest.raises(NotFoundError, match="final label"):
        store.get_dataset_archive(None)
    store.save_label("one", str(label), "final", {})
    path = Path(store.get_dataset_archive(-3))
    with zipfile.ZipFile(path) as archive:
        assert set(archive.namelist()) == {"image/one.png", "label/one.png", "metadata.json"}
    path.unlink()


def test_an_archive_that_cannot_be_made_leaves_nothing_behind(
    labelled: StudiesDatastore, studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for file in (studies / "labels/final/one.png", studies / ".uniultra/versions/one/1.png"):
        file.unlink()
    with pytest.raises(FileNotFoundError):
        labelled.get_dataset_archive(None)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_counts_are_given_while_the_folder_is_busy(store: StudiesDatastore) -> None:
    assert store.status()["total"] == 2
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with store.store.images.turn:
            held.set()
            free.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    try:
        assert store.status()["total"] == 2
    finally:
        free.set()
        holder.join()


def test_a_folder_at_rest_is_not_walked_again(
    store: StudiesDatastore, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uniultra.store.catalogue.scan.SETTLED_NS", 0)
    store.list_images()
    time.sleep(0.02)
    store.list_images()  # the first look wrote the index, beside the images
    walks: list[Path] = []
    monkeypatch.setattr("uniultra.store.catalogue.scan.os.walk", lambda root: walks.append(root) or iter(()))
    for _ in range(5):
        store.list_images()
        store.status()
    assert walks == []


def test_a_listed_image_is_found_without_a_look_at_every_folder(
    studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = StudiesDatastore(studies)
    store.list_images()
    looks: list[bool] = []
    monkeypatch.setattr(store.store.images.scanner, "changed", lambda: bool(looks.append(True)))
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now if looks else now + 1.5)
    for _ in range(5):
        store.get_image_uri("one")
    assert len(looks) == 1  # a second had gone by once
    make_picture(studies / "new.png")
    monkeypatch.setattr(store.store.images.scanner, "changed", lambda: True)
    assert store.get_image_uri("new") == str(studies / "new.png")  # an id nobody knows is looked for at once


def test_a_label_stays_with_an_image_whose_name_ends_like_half_an_extension(
    store: StudiesDatastore, studies: Path, tmp_path: Path
) -> None:
    label = make_label(tmp_path / "label.nrrd")
    for name in ("scan.seg.png", "scan.png", "echo.igs.png"):
        make_picture(studies / name)
    ids = [image_id for image_id in store.list_images() if image_id.startswith(("scan", "echo"))]
    assert ids == ["echo_igs", "scan", "scan_seg"]
    for image_id in ids:
        store.save_label(image_id, str(label), "final", {})
    store.refresh()
    assert store.get_labeled_images("final") == ids
    with pytest.raises(RequestError, match="at its end"):
        store.add_image("new.seg", str(studies / "one.png"), {})

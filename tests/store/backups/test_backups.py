"""A backup while others write: one state of the campaign, whole."""

import os
import shutil
import threading

import numpy as np
import pytest
from factories import write_campaign

from uniultra.images import read_image, write_mask
from uniultra.store.backups import restore, save
from uniultra.store.store import LabelStore


@pytest.fixture(autouse=True)
def a_campaign(studies, store):
    write_campaign(studies, name="study", labels=[{"name": "nodule", "index": 1}])
    store.ready()


@pytest.fixture
def mask(studies, tmp_path):
    write_mask(np.ones((6, 8), np.uint8), read_image(studies / "one.png"), tmp_path / "mask.nrrd")
    return tmp_path / "mask.nrrd"


@pytest.fixture
def place(studies, tmp_path):
    """Another folder with one of the pictures."""
    (tmp_path / "back").mkdir()
    shutil.copy(studies / "one.png", tmp_path / "back")
    return tmp_path / "back"


def test_a_backup_while_people_work_is_whole(store, mask, tmp_path):
    for _ in range(3):
        store.save("one", mask, annotator="ann")
    stop, saved = threading.Event(), []

    def work():
        while not stop.is_set():
            saved.append(store.save("one", mask, annotator="ann"))
            store.review("one", saved[-1].revision, "approved", "chief")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        done = [save(store.studies, tmp_path / f"{n}.zip", store.lock) for n in range(4)]
    finally:
        stop.set()
        worker.join()
    assert saved and not any(one.left_out for one in done)
    for n, one in enumerate(done):
        place = tmp_path / f"back{n}"
        assert restore(tmp_path / f"{n}.zip", place).versions == one.versions >= 3
        back = LabelStore(place)
        back.rebuild()
        # what was there when it began, without a gap
        assert [v.revision for v in back.versions()] == list(range(1, one.versions + 1))
        assert back.problems() == []


def test_a_restored_campaign_goes_on_where_it_was(store, mask, studies, place, tmp_path):
    store.save("one", mask, annotator="ann")
    store.save("deep__er__two", mask, annotator="ann", tag="draft")
    salt = store.identity.salt
    save(studies, tmp_path / "b.zip", store.lock)
    LabelStore(place).units()  # a server that was started on the empty folder
    restore(tmp_path / "b.zip", place)
    back = LabelStore(place)
    back.rebuild()
    assert back.identity.salt == salt
    assert (place / "labels" / "final" / "one.nrrd").read_bytes() == mask.read_bytes()
    assert back.save("one", mask, annotator="ann", base=1).revision == 2
    assert {unit.image for unit in back.unlabelled()} == set()


def test_a_server_that_runs_on_the_folder_sees_what_was_restored(store, mask, studies, place, tmp_path):
    store.save("one", mask, annotator="ann")
    save(studies, tmp_path / "b.zip", store.lock)
    running = LabelStore(place)
    assert running.versions() == []
    restore(tmp_path / "b.zip", place)
    assert [version.revision for version in running.versions()] == [1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_images_may_have_any_name_that_the_system_takes(store, mask, studies, tmp_path):
    (studies / 'at 10:30 "again".png').write_bytes((studies / "one.png").read_bytes())
    store.images.refresh()
    [image] = [name for name in store.images.listed() if "again" in name]
    store.save(image, mask)
    save(studies, tmp_path / "b.zip", store.lock)
    assert restore(tmp_path / "b.zip", tmp_path / "back").versions == 1

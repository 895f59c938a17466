"""The next sample while hundreds of new files wait to be opened."""

import threading

import numpy as np
from factories import files_opened, make_cine, make_picture, write_campaign
from in_process import until

from uniultra.active.registry import FILES
from uniultra.active.score_store import Scored, ScoreStore
from uniultra.active.scoring import UnitScore
from uniultra.active.summary import Summary
from uniultra.serve.scoring.rankings import Rankings
from uniultra.serve.tasks.next_sample import next_sample
from uniultra.store.catalogue import frames
from uniultra.store.datastore import StudiesDatastore
from uniultra.store.types import Unit

STILL = Unit("still", 0)
STRATEGY = next(name for name in FILES if name not in ("random", "default"))


def test_after_200_new_cines_next_opens_none_of_them_and_all_are_counted_in_the_background(tmp_path):
    studies = tmp_path / "studies"
    make_picture(studies / "still.png")
    write_campaign(studies, frames="all")
    datastore = StudiesDatastore(studies)
    store = datastore.store
    ids = {"still": datastore.get_image_uri("still")}
    scores = ScoreStore(tmp_path / "scores")
    scores.begin("g")
    summary = Summary(entropy=1, boundary=1, iou=1, foreground=1, disagreement=1, classes={})
    scores.put(Scored("content", 0), "g", UnitScore(np.ones(2, np.float32), summary))
    scored = {STILL: Scored("content", 0)}
    ranking = Rankings(scores, scored.get, store.finished)
    for n in range(200):
        make_cine(studies / f"c{n:03}.seq.nrrd", 2 + n % 3)
    store.images.refresh()

    given = []
    with files_opened(studies) as opened:
        for who in ("anna", "ben", "anna", "ben"):
            sample = next_sample({"client_id": who, "strategy": STRATEGY}, datastore, ranking)
            given.append(Unit(sample["id"], sample["frame"]))
            ids[sample["id"]] = sample["path"]
        units = 1 + sum(2 + n % 3 for n in range(200)) - len(given)
        until(lambda: len(store.unlabelled(wait=False)) >= units)

    cines = [(thread, path.name) for thread, path in opened if path.suffix == ".nrrd"]
    assert [name for thread, name in cines if thread == threading.get_ident()] == [], (
        "a request hashed a cine"
    )
    assert {name for _, name in cines} == {f"c{n:03}.seq.nrrd" for n in range(200)}, "not all were counted"
    assert given[0] == STILL, "a strategy ranks what has a score before what has none"
    assert len(set(given)) == len(given), "a unit was given twice"
    assert set(given) <= set(store.units()), "a unit was given that is none"
    assert {image: datastore.get_image_uri(image) for image in ids} == ids, "an id changed"
    with files_opened(studies) as opened:
        assert len(store.units()) == 1 + sum(2 + n % 3 for n in range(200))
    assert [path for _, path in opened if path.suffix == ".nrrd"] == [], "a file was opened twice"


def test_a_file_that_cannot_be_counted_stops_none_of_the_others(tmp_path, monkeypatch):
    studies = tmp_path / "studies"
    make_picture(studies / "still.png")
    write_campaign(studies, frames="all")
    for name in ("a", "b", "c"):
        make_cine(studies / f"{name}.seq.nrrd", 2)
    real = frames.cine_frames

    def cine_frames(path):
        if path.name.startswith("b"):
            raise OSError("the disk fails here")
        return real(path)

    monkeypatch.setattr(frames, "cine_frames", cine_frames)
    store = StudiesDatastore(studies).store
    until(lambda: {Unit("a", 1), Unit("c", 1)} <= set(store.unlabelled(wait=False)))

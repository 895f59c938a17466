"""Units are scored while nobody clicks, and ordered without waiting for anybody."""

import logging
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image

from uniultra.active.registry import FILES
from uniultra.active.score_store import FILE, Scored, ScoreStore
from uniultra.active.scoring import UnitScore
from uniultra.active.summary import Summary
from uniultra.adapt.pictures import Labelled
from uniultra.errors import ModelError, RequestError
from uniultra.images import read_image
from uniultra.models import build, entry
from uniultra.predict.device import worker
from uniultra.predict.embedding_cache import EmbeddingCache
from uniultra.predict.shared_networks import Loaded
from uniultra.serve.scoring import background as scoring
from uniultra.serve.scoring.background import BackgroundScores
from uniultra.serve.scoring.rankings import Rankings
from uniultra.serve.tasks.cancellation import StoppedError
from uniultra.store.errors import CampaignError, NotFoundError, StoreError
from uniultra.store.types import Unit

CPU = torch.device("cpu")


def score(value=0.5, features=(0.0, 1.0), **classes):
    summary = Summary(
        entropy=value, boundary=value, iou=value, foreground=value, disagreement=value, classes=classes
    )
    return UnitScore(np.asarray(features, np.float32), summary)


@dataclass
class Folder:
    """A campaign of stills in a folder."""

    root: object
    marked: list = field(default_factory=list)
    opened: list = field(default_factory=list)

    def units(self):
        return [Unit(path.name, 0) for path in sorted(self.root.glob("*.png"))]

    def file(self, image):
        return self.root / image

    def open(self, image):
        if not (self.root / image).is_file():
            raise NotFoundError("The image is gone.")
        self.opened.append(image)
        return read_image(self.root / image)

    def labels(self):
        return len(self.marked)

    def labelled(self, most):
        return self.marked[:most]


class Served:
    """A network that answers; `publish` puts another in its place."""

    def __init__(self):
        torch.manual_seed(0)
        self.entry, self.device = entry("uniultra_mini"), CPU
        self.cache = EmbeddingCache(1 << 24)
        self.network = build("uniultra_mini", 32).eval()
        self.now = Loaded(self.network, ("uniultra_mini", "first"))

    def publish(self, name):
        self.now = Loaded(self.network, ("uniultra_mini", "first"), name)

    def loaded(self):
        if self.now is None:
            raise ModelError("No weights here.")
        return self.now


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for n in range(5):
        Image.fromarray(rng.integers(0, 255, (24, 32), np.uint8)).save(tmp_path / f"{n}.png")
    return Folder(tmp_path)


@pytest.fixture
def quick(monkeypatch):
    """No pauses between pieces."""
    monkeypatch.setattr(scoring, "QUIET_S", 0.0)
    monkeypatch.setattr(scoring, "REST_S", 0.0)


@pytest.fixture
def served():
    return Served()


def scorer(folder, served):
    scores = ScoreStore(folder.root / ".uniultra" / "scores")
    return BackgroundScores(folder, lambda: served, scores), scores


def ranked(scores, background, labelled=(), **more):
    return Rankings(scores, background.scored, lambda: labelled, **more)


def test_everything_is_scored_once(folder, served, quick):
    background, scores = scorer(folder, served)
    assert background.look() == 5 and background.look() == 0
    for unit in folder.units():
        found = scores.get(background.scored(unit), "uniultra_mini@first@#0")
        assert found.features.shape == (512,) and 0 <= found.summary.iou <= 1
        assert found.summary.disagreement is not None


def test_scoring_goes_on_after_a_restart(folder, served, quick, monkeypatch):
    background, _ = scorer(folder, served)
    real, done = scoring.score_unit, []

    def failing(*args):
        if len(done) == 3:
            raise StoppedError("killed")
        done.append(1)
        return real(*args)

    monkeypatch.setattr(scoring, "score_unit", failing)
    with pytest.raises(StoppedError):
        background.look()
    monkeypatch.setattr(scoring, "score_unit", real)
    folder.opened.clear()
    again, scores = scorer(folder, served)
    assert again.look() == 2
    assert sorted(folder.opened) == ["3.png", "4.png"], "files known by their time are not read again"
    rankings = ranked(scores, again)
    assert {rankings.score(unit) is None for unit in folder.units()} == {False}


def test_a_new_adapter_makes_scores_stale(folder, served, quick):
    background, _ = scorer(folder, served)
    background.look()
    served.publish("adapter-2")
    assert background.look() == 5
    served.publish("adapter-3")
    assert background.look() == 5
    kept = ScoreStore(folder.root / ".uniultra" / "scores")
    place = background.scored(folder.units()[0])
    known = [kept.get(place, f"uniultra_mini@first@{name}#0") for name in ("", "adapter-2", "adapter-3")]
    assert [one is None for one in known] == [True, False, False], "the oldest is forgotten"


def test_until_half_is_scored_anew_the_old_scores_count():
    scores = ScoreStore.__new__(ScoreStore)
    scores._lock, scores._files, scores._kept = threading.Lock(), {}, {}
    scores._write = lambda *_: None
    units = [Scored(str(n), 0) for n in range(4)]
    for unit in units:
        scores.put(unit, "old", score())
    scores.put(units[0], "new", score())
    assert scores.generation(units) == "old"
    scores.put(units[1], "new", score())
    assert scores.generation(units) == "new"
    assert scores.generation([Scored("9", 0)]) is None and scores.generation([]) is None


def test_first_labels_make_scores_anew_with_a_prototype(folder, served, quick):
    background, scores = scorer(folder, served)
    background.look()
    mask = np.zeros((24, 32), bool)
    mask[6:14, 8:20] = True
    picture = read_image(folder.root / "0.png").read_frame(0)
    folder.marked.append(Labelled(picture, mask, "head", "patient"))
    assert background.look() == 5
    found = scores.get(background.scored(Unit("1.png", 0)), "uniultra_mini@first@#1")
    assert list(found.summary.classes) == ["head"]
    folder.marked.append(folder.marked[0])
    assert background.look() == 0, "not at every label"


def test_changed_and_lost_files(folder, served, quick):
    background, _ = scorer(folder, served)
    background.look()
    before = background.scored(Unit("2.png", 0))
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(folder.root / "2.png")
    (folder.root / "4.png").write_bytes(b"damaged")
    assert background.look() == 1
    assert background.scored(Unit("2.png", 0)).content != before.content
    assert background.look() == 0


def test_an_adapter_published_on_the_way_ends_the_look(folder, served, quick, monkeypatch):
    background, _ = scorer(folder, served)
    real = scoring.score_unit

    def publishing(*args):
        served.publish("adapter-2")
        return real(*args)

    monkeypatch.setattr(scoring, "score_unit", publishing)
    assert background.look() == 1
    assert background.look() == 5


def test_people_come_first(folder, served, monkeypatch):
    monkeypatch.setattr(scoring, "PATIENCE_S", 60.0)
    background, _ = scorer(folder, served)
    clicking = threading.Event()

    def click():
        while not clicking.is_set():
            worker(CPU).submit(lambda: None).result()
            time.sleep(0.01)

    person = threading.Thread(target=click)
    person.start()
    background.start()
    deadline = time.monotonic() + 50
    while background._scores._kept is None and time.monotonic() < deadline:
        time.sleep(0.02)  # it has not begun to look yet
    time.sleep(0.4)
    clicking.set()
    person.join()
    assert served.cache.bytes == 0
    assert background._scores._kept is not None
    assert not any(background._scores._kept.values()), "but asked nothing of the network"
    background.stop()


def test_a_server_without_weights_stays_quiet_and_tries_again(folder, served, quick, caplog):
    served.now, kept = None, served.now
    background, scores = scorer(folder, served)
    background.start()
    deadline = time.monotonic() + 20
    while "cannot be scored" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "cannot be scored" in caplog.text and "weights" not in caplog.text
    served.now = kept
    rankings = ranked(scores, background, asked=background.start)
    while any(rankings.score(u) is None for u in folder.units()) and time.monotonic() < deadline:
        rankings.order("default", folder.units())
        time.sleep(0.05)
    background.stop()
    assert all(rankings.score(unit) for unit in folder.units())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [StoreError("no index"), CampaignError("no patients"), KeyError("defect")])
def test_scoring_outlives_an_index_that_fails_for_a_moment(folder, served, quick, monkeypatch, caplog, error):
    real = folder.units
    monkeypatch.setattr(scoring, "LOOK_S", 0.05)

    def failing():
        monkeypatch.setattr(folder, "units", real)
        raise error

    monkeypatch.setattr(folder, "units", failing)
    background, _ = scorer(folder, served)
    background.start()
    deadline = time.monotonic() + 60
    if isinstance(error, KeyError):  # what nobody foresaw ends the thread; the next question begins another
        background._thread.join(60)
        background.start()
    while any(background.scored(unit) is None for unit in real()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(background.scored(unit) for unit in real())
    background.stop()
    thread = background._thread
    background.start()
    assert background._thread is thread, "it was told to stop"
    assert str(error) not in caplog.text


def memory(values, root):
    """A store of made-up scores and where units find them."""
    scores = ScoreStore(root)
    for name, value in values.items():
        scores.put(Scored(name, 0), "g", value)
    return scores, lambda unit: Scored(unit.image, unit.frame)


@pytest.mark.parametrize("strategy", FILES)
def test_every_strategy_orders_all_units(strategy, tmp_path):
    rng = np.random.default_rng(0)
    values = {str(n): score(rng.uniform(), rng.normal(size=6), head=rng.uniform()) for n in range(12)}
    scores, place = memory(values, tmp_path)
    units = [Unit(str(n), 0) for n in range(20)]
    rankings = Rankings(scores, place, lambda: [Unit("3", 0)], batch=4)
    asked = [unit for unit in units if unit.image != "3"]
    found = rankings.order(strategy, asked)
    assert sorted(found) == sorted(asked)
    if strategy != "random":
        assert {int(unit.image) for unit in found[:11]} == set(range(12)) - {3}
    assert Rankings(scores, place, lambda: [Unit("3", 0)], batch=4).order(strategy, asked) == found


def test_a_batch_stays_while_it_is_labelled(tmp_path):
    rng = np.random.default_rng(0)
    scores, place = memory({str(n): score(rng.uniform(), rng.normal(size=4)) for n in range(40)}, tmp_path)
    done = []
    rankings = Rankings(scores, place, lambda: done, batch=5)
    units = [Unit(str(n), 0) for n in range(40)]
    first = rankings.order("default", units)
    for count in range(1, 5):
        done = first[:count]
        left = [unit for unit in units if unit not in done]
        assert rankings.order("default", left) == first[count:]
    done = first[:5]
    left = [unit for unit in units if unit not in done]
    assert rankings.order("default", left) != first[5:], "after a batch it is chosen anew"


def test_unscored_units_follow_by_chance(tmp_path):
    scores, place = memory({"a": score(0.1), "b": score(0.9)}, tmp_path)
    units = [Unit(name, 0) for name in "xyzab"]
    found = Rankings(scores, place, tuple).order("entropy", units)
    assert [unit.image for unit in found[:2]] == ["b", "a"]
    nothing = Rankings(ScoreStore(tmp_path / "none"), lambda unit: None, tuple)
    assert sorted(nothing.order("default", units)) == sorted(units)
    assert nothing.order("default", []) == [] and nothing.score(units[0]) is None
    with pytest.raises(RequestError, match="typiclust"):
        nothing.order("best", units)


def test_a_new_image_gets_its_place(tmp_path):
    scores, place = memory({"a": score(0.1), "b": score(0.9)}, tmp_path)
    rankings = Rankings(scores, place, tuple)
    assert len(rankings.order("entropy", [Unit("a", 0), Unit("b", 0)])) == 2
    scores.put(Scored("c", 0), "g", score(0.5))
    found = rankings.order("entropy", [Unit(name, 0) for name in "abc"])
    assert [unit.image for unit in found] == ["b", "c", "a"]


@pytest.mark.parametrize("damage", [b"not a database", b""])
def test_damaged_scores_are_made_again(tmp_path, damage, caplog):
    memory({"a": score(0.1)}, tmp_path)
    (tmp_path / FILE).write_bytes(damage)
    again = ScoreStore(tmp_path)
    assert again.get(Scored("a", 0), "g") is None
    again.put(Scored("a", 0), "g", score(0.2))
    assert ScoreStore(tmp_path).get(Scored("a", 0), "g").summary.entropy == 0.2


def test_scores_survive_on_the_disk(tmp_path):
    memory({"a": score(0.1, (1.0, 2.0, 3.0), head=0.4)}, tmp_path)
    found = ScoreStore(tmp_path).get(Scored("a", 0), "g")
    assert found.summary == score(0.1, head=0.4).summary
    assert found.features.tolist() == [1, 2, 3]


def test_a_folder_that_takes_no_writes(tmp_path):
    (tmp_path / "scores").write_text("a file where the folder should be")
    scores = ScoreStore(tmp_path / "scores")
    scores.put(Scored("a", 0), "g", score(0.1))
    assert scores.get(Scored("a", 0), "g") is not None


def test_a_thousand_frames_are_ordered_by_everyone(tmp_path, monkeypatch):
    """The times are told, not judged: `pytest --log-cli-level=INFO -k thousand`."""
    monkeypatch.setattr(ScoreStore, "_write", lambda *_: None)
    rng = np.random.default_rng(0)
    scores, place = memory(
        {str(n): score(rng.uniform(), rng.normal(size=512), head=rng.uniform()) for n in range(1000)},
        tmp_path,
    )
    units = [Unit(str(n), 0) for n in range(1000)]
    for name in FILES:
        rankings = Rankings(scores, place, lambda: units[:20], batch=10)
        began = time.perf_counter()
        found = rankings.order(name, units[20:])
        took = time.perf_counter() - began
        assert len(set(found)) == 980
        logging.getLogger(__name__).info("%s: %.2f s", name, took)

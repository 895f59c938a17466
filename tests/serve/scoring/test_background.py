"""Units are scored in the background, alone and in a running server, with a real network."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from in_process import app_store, serving, until
from PIL import Image

from uniultra.active.score_store import ScoreStore
from uniultra.adapt.pictures import Labelled
from uniultra.errors import ModelError
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


@pytest.fixture
def scores(folder):
    return ScoreStore(folder.root / ".uniultra" / "scores")


@pytest.fixture
def background(folder, served, scores):
    return BackgroundScores(folder, lambda: served, scores)


def ranked(scores, background, labelled=(), **more):
    return Rankings(scores, background.scored, lambda: labelled, **more)


def scoring_threads(before):
    return [thread for thread in threading.enumerate() if thread.name == "scoring" and thread not in before]


def test_everything_is_scored_once(background, scores, folder, quick):
    assert background.look() == 5 and background.look() == 0
    for unit in folder.units():
        found = scores.get(background.scored(unit), "uniultra_mini@first@#0")
        assert found.features.shape == (512,) and 0 <= found.summary.iou <= 1
        assert found.summary.disagreement is not None


def test_scoring_goes_on_after_a_restart(background, folder, served, quick, monkeypatch):
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
    scores = ScoreStore(folder.root / ".uniultra" / "scores")
    again = BackgroundScores(folder, lambda: served, scores)
    assert again.look() == 2
    assert sorted(folder.opened) == ["3.png", "4.png"], "files known by their time are not read again"
    rankings = ranked(scores, again)
    assert {rankings.score(unit) is None for unit in folder.units()} == {False}


def test_a_new_adapter_makes_scores_stale(background, folder, served, quick):
    background.look()
    served.publish("adapter-2")
    assert background.look() == 5
    served.publish("adapter-3")
    assert background.look() == 5
    kept = ScoreStore(folder.root / ".uniultra" / "scores")
    place = background.scored(folder.units()[0])
    known = [kept.get(place, f"uniultra_mini@first@{name}#0") for name in ("", "adapter-2", "adapter-3")]
    assert [one is None for one in known] == [True, False, False], "the oldest is forgotten"


def test_first_labels_make_scores_anew_with_a_prototype(background, scores, folder, quick):
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


def test_changed_and_lost_files(background, folder, quick):
    background.look()
    before = background.scored(Unit("2.png", 0))
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(folder.root / "2.png")
    (folder.root / "4.png").write_bytes(b"damaged")
    assert background.look() == 1
    assert background.scored(Unit("2.png", 0)).content != before.content
    assert background.look() == 0


def test_an_adapter_published_on_the_way_ends_the_look(background, served, quick, monkeypatch):
    real = scoring.score_unit

    def publishing(*args):
        served.publish("adapter-2")
        return real(*args)

    monkeypatch.setattr(scoring, "score_unit", publishing)
    assert background.look() == 1
    assert background.look() == 5


def test_people_come_first(background, scores, folder, served, monkeypatch):
    monkeypatch.setattr(scoring, "PATIENCE_S", 60.0)
    clicking = threading.Event()

    def click():
        while not clicking.is_set():
            worker(CPU).submit(lambda: None).result()
            time.sleep(0.01)

    person = threading.Thread(target=click)
    person.start()
    background.start()
    until(lambda: len(set(folder.opened)) == 5)  # it has looked at all files
    time.sleep(0.4)
    clicking.set()
    person.join()
    assert served.cache.bytes == 0
    places = [background.scored(unit) for unit in folder.units()]
    assert scores.generation(places) is None, "it has asked nothing of the network"
    background.stop()


def test_a_server_without_weights_stays_quiet_and_tries_again(
    background, scores, folder, served, quick, caplog
):
    served.now, kept = None, served.now
    background.start()
    until(lambda: "cannot be scored" in caplog.text)
    assert "weights" not in caplog.text
    served.now = kept
    rankings = ranked(scores, background, asked=background.start)
    rankings.order("default", folder.units())
    until(lambda: all(rankings.score(unit) for unit in folder.units()))
    background.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [StoreError("no index"), CampaignError("no patients"), KeyError("defect")])
def test_scoring_outlives_an_index_that_fails_for_a_moment(
    background, folder, quick, monkeypatch, caplog, error
):
    real, before = folder.units, threading.enumerate()
    monkeypatch.setattr(scoring, "LOOK_S", 0.05)

    def failing():
        monkeypatch.setattr(folder, "units", real)
        raise error

    monkeypatch.setattr(folder, "units", failing)
    background.start()
    if isinstance(error, KeyError):  # what nobody foresaw ends the thread; the next question begins another
        for thread in scoring_threads(before):
            thread.join(60)
        background.start()
    until(lambda: all(background.scored(unit) for unit in real()))
    background.stop()
    background.start()
    assert not scoring_threads(before), "a stopped scorer does not start again"
    assert str(error) not in caplog.text


@pytest.mark.parametrize("asked", [True, False])
def test_scores_come_from_the_served_network(tmp_path, tasks_folder, monkeypatch, asked):
    """With a campaign scoring begins by itself, elsewhere at the first question."""
    monkeypatch.setattr(scoring, "QUIET_S", 0.0)
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tasks_folder))
    studies = tmp_path / "studies"
    studies.mkdir()
    if not asked:
        (studies / "campaign.yaml").write_text("name: scored\n")
    for n in range(2):
        pixels = np.random.default_rng(n).integers(0, 255, (24, 32), np.uint8)
        Image.fromarray(pixels).save(studies / f"{n}.png")
    with serving(tmp_path, studies, monkeypatch, models="uniultra_mini", device="cpu") as client:
        from monailabel.interfaces.utils.app import app_instance

        app = app_instance()
        if asked:
            assert client.post("/activelearning/default", json={}).json()["id"] in ("0", "1")
        units = app_store().units()
        assert len(units) == 2
        until(lambda: all(app.rankings.score(unit) for unit in units))
        app.scoring.stop()
    assert (studies / ".uniultra" / "scores" / "scores.sqlite").is_file()

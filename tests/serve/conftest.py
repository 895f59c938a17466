"""A studies folder of tiny generated images, and the real application over it with a predictor that waits."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import itk
import numpy as np
import pytest
from in_process import make_base, make_task, serving
from PIL import Image
from started_server import APP, CANARY, Running, free_port, started

from uniultra.errors import ModelError
from uniultra.images.types import FrameSource, Plane
from uniultra.predict import Prediction
from uniultra.predict.shared_networks import Loaded
from uniultra.prompts import PromptSet

WIDTH, HEIGHT = 80, 60


def make_studies(root: Path) -> Path:
    """Grey and colour stills, one of them nested, a cine and a volume with a geometry of its own."""
    rng = np.random.default_rng(7)
    (root / "ward 3").mkdir(parents=True)
    grey = rng.integers(0, 255, (HEIGHT, WIDTH), np.uint8)
    Image.fromarray(grey).save(root / "grey.png")
    Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)).save(root / "ward 3" / "colour.png")
    volume = itk.image_from_array(rng.integers(0, 255, (5, HEIGHT, WIDTH), np.uint8))
    volume.SetSpacing((0.5, 0.6, 2.0))
    volume.SetOrigin((1.0, -2.0, 3.0))
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    volume.SetDirection(itk.matrix_from_array(turn))
    itk.imwrite(volume, str(root / "volume.nii.gz"))
    cine = itk.image_from_array(rng.integers(0, 255, (4, HEIGHT, WIDTH), np.uint8))
    itk.imwrite(cine, str(root / "cine.seq.nrrd"))
    return root


@pytest.fixture(scope="session")
def tiny_studies() -> Callable[[Path], Path]:
    """Makes such a folder."""
    return make_studies


class WaitingPredictor:
    """Stands in for the network: masks a disk around the first click, when `gate` is open.

    Without a prompt it finds nothing, when `alone` is open.
    """

    gate = threading.Event()
    alone = threading.Event()
    waiting = threading.Semaphore(0)
    failure: BaseException | None = None
    warmed = threading.Event()
    adapter = None
    problem = None

    def __init__(self, model: str, **_: Any) -> None:
        self._model = model

    def predict(
        self, source: FrameSource, plane: Plane, prompts: Sequence[PromptSet], *, keep: bool = True
    ) -> list[Prediction]:
        for each in prompts if self._model != "autosamus_mini" else ():
            each.check(source.plane_shape(plane.axis))
        if not prompts[0]:
            assert self.alone.wait(60)
            return [Prediction(np.zeros(source.plane_shape(plane.axis), bool), 0.5, self._model, None, {})]
        self.waiting.release()
        assert self.gate.wait(60)
        if self.failure is not None:
            raise self.failure
        rows, columns = source.plane_shape(plane.axis)
        y, x = np.ogrid[:rows, :columns]
        found = []
        for one in prompts:
            centre = one.points[0]
            mask = (x - centre.x) ** 2 + (y - centre.y) ** 2 <= 25
            found.append(Prediction(mask, 0.5, self._model, None, {"total": 0.1, "cached": 0.0}))
        return found

    def warm_up(self) -> None:
        self.warmed.set()

    def loaded(self) -> Loaded:
        raise ModelError("There is no network here.")


@pytest.fixture(scope="session")
def without_networks() -> Callable[[pytest.MonkeyPatch], None]:
    """Puts `WaitingPredictor` in the place of the networks, its gate open."""

    def put(patch: pytest.MonkeyPatch) -> None:
        patch.setattr("uniultra.serve.app.Predictor", WaitingPredictor)
        patch.setattr("uniultra.serve.tasks.infer.ModelTask.is_valid", lambda self: True)
        WaitingPredictor.gate.set()
        WaitingPredictor.alone.set()

    return put


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, without_networks: Any) -> Iterator[Any]:
    """A client of the application with `WaitingPredictor`, in this process."""
    folder = tmp_path_factory.mktemp("served")
    conf = {"models": "uniultra_mini,autosamus_mini", "labels": "head,femur"}
    with pytest.MonkeyPatch.context() as patch:
        without_networks(patch)
        with serving(folder, make_studies(folder / "studies"), patch, **conf) as running:
            yield running


@pytest.fixture(scope="session")
def tasks_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with the default model and autosamus_mini, both of random numbers."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIULTRA_WEIGHTS", str(folder))
        make_base(folder)
        make_task(folder, "")
    return folder


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory, tasks_folder: Path) -> Iterator[Any]:
    """A client of the application with all models and real networks, in this process."""
    folder = tmp_path_factory.mktemp("tasks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIULTRA_WEIGHTS", str(tasks_folder))
        with serving(folder, make_studies(folder / "studies"), patch, models="all", device="cpu") as running:
            yield running


@pytest.fixture(scope="module")
def studies(tasks: Any) -> Path:
    """The studies folder of `tasks`."""
    from monailabel.config import settings

    return Path(settings.MONAI_LABEL_STUDIES)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tasks_folder: Path) -> Iterator[Running]:
    """Stock `start_server` at its most talkative, over tiny images, one of them with a telling name.

    One of its models has no weights.
    """
    folder = tmp_path_factory.mktemp("stock")
    studies = make_studies(folder / "studies")
    shutil.copy(studies / "grey.png", studies / f"{CANARY}.png")
    port = free_port()
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--host", "127.0.0.1"]
    command += ["--app", str(APP), "--studies", str(studies), "--port", str(port)]
    command += ["--conf", "models", "uniultra_mini,autosamus_mini,sam2_t", "--verbose", "DEBUG"]
    with started([*command, "--access_log"], studies, folder / "home", port, tasks_folder) as running:
        yield running
    assert not list((folder / "home" / ".cache" / "monailabel" / "sessions").glob("*evil*"))


@pytest.fixture
def predictor() -> Iterator[type[WaitingPredictor]]:
    """The predictor of `client`: its gate is open and nothing fails, before and after each test."""
    yield WaitingPredictor
    WaitingPredictor.failure = None
    WaitingPredictor.gate.set()
    WaitingPredictor.alone.set()

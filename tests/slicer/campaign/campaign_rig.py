"""A person at the panel: scene, controller, campaign, review and training, over the real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import requests
from panel_rig import Rig
from PIL import Image
from server_process import ROOT
from slicer_harness import slicer, volume_node
from UniUltraLib.campaign.campaign import CampaignWork
from UniUltraLib.campaign.review import ReviewWork
from UniUltraLib.campaign.state import CampaignState
from UniUltraLib.campaign.training import TrainingWork
from UniUltraLib.errors import SceneError
from UniUltraLib.prompts import nrrd
from UniUltraLib.scene import files

BENCHMARKS = ROOT / "training" / "benchmark"
# The server with trainings of twelve steps in the place of a hundred; their process is the real one.
LAUNCH = """
import functools, sys
sys.path.insert(0, sys.argv.pop(1))
from crashes.made import TINY
from uniultra.adapt import job, settings
settings.FitSettings.of = classmethod(lambda cls, model: TINY)
job.create = functools.partial(job.create, folds=2, scenes=2)
from uniultra.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHARED = {"labels": [{"name": "head", "index": 1, "color": "#ff0000"}, {"name": "femur", "index": 5}]}
WIDTH, HEIGHT = 64, 48


class Reader(Rig):
    """One person; `scene` is theirs alone, though the MRML scene is not."""

    def __init__(self, scene: Any, folder: Path, name: str, clock: Any = None) -> None:
        super().__init__(scene)
        self.name, self.folder = name, folder
        self.spool = folder / "unsent"
        more = {"clock": clock} if clock is not None else {}
        self.loaded: list[Path] = []
        self.cannot_load = False
        self.work = CampaignWork(
            self.controller,
            self.scene,
            load=self.load,
            downloads=folder / "downloads",
            spool=self.spool,
            unload=slicer.mrmlScene.RemoveNode,
            **more,
        )
        self.review = ReviewWork(self.work)
        self.training = TrainingWork(self.controller)

    def load(self, file: Path, image: str, kind: str) -> Any:
        """As the desktop does; slicer-core itself reads no PNG and JPEG."""
        if self.cannot_load:
            raise SceneError("Slicer cannot read this file.")
        self.loaded.append(file)
        if file.suffix in (".png", ".jpg"):
            array = np.asarray(Image.open(file))
            return volume_node(array[None], LPS, image)
        if not file.is_file():
            raise SceneError("The file is gone.")
        return files.load_image(slicer.mrmlScene, file, image, kind)

    @property
    def now(self) -> CampaignState:
        """What the campaign part shows."""
        return self.work.state

    def at(self, address: str) -> Reader:
        """Connected to a server."""
        self.controller.connect(address, "", self.name)
        self.until(lambda: self.state.connection == "online")
        return self

    def until(self, condition: Any, seconds: float = 60.0) -> None:
        def checked() -> Any:
            self.work.tick()
            self.training.tick()
            return condition()

        super().until(checked, seconds)

    def next(self) -> CampaignState:
        """Take the next unit and wait for it."""
        self.work.units.next()
        self.until(lambda: not self.now.opening and not self.controller.state.can_cancel)
        return self.now

    def take(self, image: str, frame: int = 0, **more: Any) -> CampaignState:
        """Open an image and wait for it."""
        self.work.units.open(image, frame, **more)
        self.until(lambda: not self.now.opening and not self.controller.state.can_cancel)
        return self.now

    def begin(self, image: str, mask: np.ndarray | None = None) -> Reader:
        """Open an image; draw a head where a mask is given."""
        self.take(image)
        if mask is not None:
            self.draw("head", mask)
        return self

    def sent(self) -> None:
        """Wait until nothing is left to be sent."""
        self.until(lambda: self.now.unsent == 0)

    def send(self, tag: str = "final") -> CampaignState:
        """Submit, and wait until the server has it or says no."""
        assert self.work.submit(tag), self.state.problem
        self.until(lambda: self.now.unsent == 0 or self.now.conflict is not None)
        self.until(lambda: not self.controller.state.can_cancel)
        return self.now

    def draw(self, name: str, mask: np.ndarray, frame: int = 0) -> None:
        """Put a mask into the segment of a structure, on a frame or slice."""
        place = self.work.current.place
        assert place is not None
        self.scene.write(self.segment(name), place.plane(frame), mask)

    def drawn(self, name: str, frame: int = 0) -> np.ndarray:
        """What the segment holds."""
        place = self.work.current.place
        assert place is not None
        return self.scene.read(self.segment(name), place.plane(frame))

    def segment(self, name: str) -> str:
        return next(one.id for one in self.scene.segments() if one.name == name)

    def names(self) -> list[str]:
        return [one.name for one in self.scene.segments()]

    def close(self) -> None:
        for part in (self.work, self.review, self.training):
            part.close()
        super().close()


Make = Callable[..., Reader]


def versions(address: str, image: str, name: str = "") -> list[dict[str, Any]]:
    """An image's versions, or one person's, asked of the server itself."""
    kept = requests.get(f"{address}/labels/{image}", timeout=30).json()["versions"]
    return [version for version in kept if not name or version["annotator"] == name]


def disk(x: int, y: int, radius: int = 8, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    rows, columns = np.indices(shape)
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def make_studies(folder: Path, stills: int = 8) -> Path:
    """Stills, one of them grey in colours, a cine of four frames, a volume that lies askew."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    for n in range(stills):
        picture = rng.integers(0, 255, (HEIGHT, WIDTH), np.uint8)
        Image.fromarray(picture).save(folder / f"still{n}.png")
    cine = rng.integers(0, 255, (4, HEIGHT, WIDTH), np.uint8)
    (folder / "cine.seq.nrrd").write_bytes(sequence_bytes(cine))
    askew = np.array([[-0.4, 0.1, 0, 30], [-0.1, -0.4, 0.05, 20], [0, 0.02, 0.6, -9], [0, 0, 0, 1]])
    volume = rng.integers(0, 255, (6, HEIGHT, WIDTH), np.uint8)
    (folder / "volume.nrrd").write_bytes(nrrd.nrrd_bytes(volume, askew))
    return folder


def sequence_bytes(frames: np.ndarray) -> bytes:
    """(T,J,I) as a Slicer sequence file."""
    t, j, i = frames.shape
    head = [
        "NRRD0005", "type: uint8", "dimension: 4", "space: left-posterior-superior", f"sizes: {t} {i} {j} 1",
        "space directions: none (1,0,0) (0,1,0) (0,0,1)", "kinds: list domain domain domain",
        "endian: little", "encoding: raw", "space origin: (0,0,0)",
    ]  # fmt: skip
    body = np.ascontiguousarray(np.moveaxis(frames, 0, -1)[None]).tobytes()
    return "\n".join([*head, "", ""]).encode() + body

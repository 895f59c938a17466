"""A campaign that might have been: drawn pictures, people who label and get better tools, trainings.

Everything goes through the real store, jobs and published bundles; only the people are simulated.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from uniultra.adapt.gate import Dice, Old, Verdict
from uniultra.adapt.job import FOLDER, Ended, Job, JobFolder, Progress
from uniultra.adapt.settings import FitSettings
from uniultra.files import atomic
from uniultra.store.campaign import file as campaign
from uniultra.store.campaign.file import Campaign, LabelName, Patients
from uniultra.store.errors import NotFoundError
from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion, Origin
from uniultra.synthesis.scene import scene
from uniultra.weights import bundle, loading, tensors
from uniultra.weights.deployed import Published

MODEL = "uniultra_mini"
TRAINED = ("iou_prediction_head",)  # enough for a bundle
PEOPLE = {"Amina": (1.0, 7.5), "Jonas": (1.6, 9.5), "Mei": (0.7, 6.0)}  # how far off, seconds per click
OLD = Old(name="scenes", n=40, before=Dice(click=0.842, box=0.93), after=Dice(click=0.839, box=0.929))
Mask = NDArray[np.bool_]


@dataclass
class Made:
    """A campaign in the making; `now` is its clock."""

    studies: Path
    rng: np.random.Generator
    now: datetime
    truth: dict[str, Mask] = field(default_factory=dict)
    adapter: str | None = None
    trained: int = 0

    def __post_init__(self) -> None:
        self.store = LabelStore(self.studies, now=lambda: self.now)

    def label(self, image: str, name: str, *, tag: str = "final") -> LabelVersion:
        """One person labels one image now."""
        off, pace = PEOPLE[name]
        clicks = 1 + int(self.rng.poisson(7.5 * 0.62**self.trained))
        seconds = 9 + pace * clicks * float(self.rng.lognormal(0, 0.3))
        file = self.studies.parent / "drawn.png"
        Image.fromarray(unsteady(self.truth[image], off, self.rng).astype(np.uint8)).save(file)
        origin = Origin(model=MODEL, adapter=self.adapter, clicks=clicks, seconds=round(seconds, 1))
        return self.store.save(image, file, tag=tag, annotator=name, origin=origin)

    def work(self, name: str, until: datetime) -> None:
        """One person takes what comes next until the time is over."""
        order = self.store.units()
        while self.now < until:
            lease = self.store.claim(order, name)
            if lease is None:
                return
            version = self.label(lease.unit.image, name)
            took = timedelta(seconds=float(version.origin.seconds or 0) + self.rng.exponential(260))
            self.now += took

    def train(self, now: float, new: float, *, publish: bool, why: str) -> None:
        """A training that ended now, with the Dice of what answered and of its result."""
        folder = self._job()
        labels = folder.job().labels
        self.tell(folder, 90, 90)
        low, high = sorted((new - now - 0.024, new - now + 0.022))
        verdict = Verdict(
            publish=publish, why=why, rule="folds", n=len(labels), patients=max(2, len(labels) // 2),
            now=Dice(click=now, box=round(now + 0.04, 4)), new=Dice(click=new, box=round(new + 0.031, 4)),
            gain=round(new - now, 4), low=round(low, 4), high=round(high, 4),
            old=(OLD,),
        )  # fmt: skip
        if publish:
            self.adapter = self._publish(folder)
            self.trained += 1
        folder.end(
            Ended(status="DONE", when=self.now, verdict=verdict, adapter=self.adapter if publish else None)
        )

    def running(self, epoch: int = 47) -> JobFolder:
        """A training that is this far; whoever holds its lock is working on it."""
        folder = self._job()
        self.tell(folder, epoch, 90)
        return folder

    def tell(self, folder: JobFolder, epoch: int, total: int) -> None:
        """The log of a training up to an epoch."""
        best = None
        for n in range(epoch + 1):
            loss = 0.24 + 0.62 * np.exp(-(n % 30) / 9) + float(self.rng.normal(0, 0.012))
            if n and n % 30 == 0:
                best = round(0.872 + 0.006 * (n // 30), 4)
            left = round(4.1 * (total - n), 1)
            progress = Progress(
                phase=f"fold-{n // 30}", epoch=n, total_epochs=total, loss=round(loss, 4) if n else None,
                best_metric=best, total_time=4.1 * n, seconds_left=left,
            )  # fmt: skip
            folder.note(**progress.model_dump(exclude_none=True))
        folder.tell(progress)

    def _job(self) -> JobFolder:
        found = loading.find(MODEL)
        assert found is not None
        number = sum(1 for _ in (self.studies / FOLDER).glob("*")) + 1
        job = Job(
            id=f"{self.now:%Y%m%d-%H%M%S}-{number:06x}", model=MODEL, made=self.now - timedelta(minutes=6),
            base_sha256=tensors.file_sha256(found), settings=FitSettings(model=MODEL), seed=number,
            labels=tuple(self.store.trainable()),
        )  # fmt: skip
        folder = JobFolder(self.studies / FOLDER / job.id)
        atomic.write(folder.path / "job.json", job.model_dump_json().encode())
        return folder

    def _publish(self, folder: JobFolder) -> str:
        network, digest = loading.load(MODEL)
        for name, parameter in network.named_parameters():
            if any(part in name for part in TRAINED):
                parameter.data += 0.001 * (self.trained + 1)
        bundle.save(folder.path / "bundle", network, MODEL, over=(digest, TRAINED))
        return Published(self.studies).publish(folder.path / "bundle")


def begin(studies: Path, images: int, *, days: int = 10, readers: int = 2, size: int = 256) -> Made:
    """A campaign with drawn pictures that began some days ago at midnight: no hour of today is to come."""
    studies.mkdir(parents=True)
    rng = np.random.default_rng(5)
    start = (datetime.now(UTC) - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    made = Made(studies, rng, start)
    while len(made.truth) < images:
        drawn = scene(rng, size)
        large = [one for one in drawn.targets if 0.04 < one.mean() < 0.3]
        if large:
            name = f"thyroid_{len(made.truth) + 1:03d}"
            Image.fromarray(drawn.picture).save(studies / f"{name}.png")
            made.truth[name] = max(large, key=lambda one: int(one.sum()))
    label = LabelName(name="nodule", index=1, color="#d55e00")
    patients = Patients(by="path", pattern=r"thyroid_\d+")
    rules = Campaign(name="Thyroid nodules", labels=(label,), readers=readers, patients=patients)
    campaign.save(studies, rules)
    return made


VERDICTS: tuple[tuple[float, float, bool, str], ...] = (
    (0.781, 0.843, True, "It is better on labels that it never saw."),
    (0.846, 0.871, True, "It is better on labels that it never saw."),
    (0.874, 0.869, False, "It is not better on labels that it never saw."),
    (0.872, 0.893, True, "It is better on labels that it never saw."),
    (0.895, 0.909, True, "It is better on labels that it never saw."),
)


def full(studies: Path, told: Callable[[str], None] = lambda _: None) -> Made:
    """60 images, three people, ten days, four published adapters, one refused, one in training."""
    made = begin(studies, 60)
    morning = made.now + timedelta(hours=8)
    after = {1: 0, 3: 1, 5: 2, 6: 3, 8: 4}
    for day in range(10):
        today = morning + timedelta(days=day)
        if today.weekday() != 6 and today <= datetime.now(UTC):
            for n, name in enumerate(PEOPLE):
                if (day + n) % 4 != 3:
                    made.now = today + timedelta(hours=1.7 * n, minutes=float(made.rng.uniform(0, 40)))
                    made.work(name, min(made.now + timedelta(minutes=17), datetime.now(UTC)))
        if day in after:
            made.now = today + timedelta(hours=9)
            now, new, publish, why = VERDICTS[after[day]]
            made.train(now, new, publish=publish, why=why)
        told(f"day {day + 1}: {len(made.store.versions())} labels")
    _loose_ends(made)
    return made


def _loose_ends(made: Made) -> None:
    """Reviews, a draft, a skip, a damaged label, and work in hand now."""
    store = made.store
    made.now = datetime.now(UTC) - timedelta(minutes=4)
    finals = [one for one in store.versions() if one.tag == "final"]
    for one in finals[:24:2]:
        store.review(one.image, one.revision, "approved", "Dr Okafor")
    store.review(finals[27].image, finals[27].revision, "returned", "Dr Okafor", "The capsule is missing.")
    store.review(finals[31].image, finals[31].revision, "flagged", "Dr Okafor", "Which of the two?")
    waiting = store.units()
    made.label(store.unlabelled("Mei")[-1].image, "Mei", tag="draft")
    store.skip(store.unlabelled("Jonas")[-2], "Jonas", "poor picture")
    for name in list(PEOPLE)[:2]:
        store.claim(waiting, name)
    damaged = finals[-1]
    store.path(damaged).write_bytes(b"half of it")
    (store.studies / "labels" / damaged.tag / f"{damaged.image}{damaged.ext}").unlink()
    with contextlib.suppress(NotFoundError):
        store.verified(damaged)


def unsteady(truth: Mask, off: float, rng: np.random.Generator) -> Mask:
    """A mask as a person draws it: the border wanders by some pixels."""
    distance = ndimage.distance_transform_edt(truth) - ndimage.distance_transform_edt(~truth)
    wander = ndimage.gaussian_filter(rng.normal(size=truth.shape), 12)
    wander *= (0.5 + 0.8 * off) / max(1e-9, float(np.abs(wander).std()))
    drawn = distance + wander + rng.normal(0, 0.25 * off) > 0
    return np.asarray(drawn if drawn.any() else truth)


def scores(made: Made) -> dict[str, float]:
    """A plausible score of every image, by its id."""
    return {name: round(float(made.rng.uniform(0.12, 0.61)), 4) for name in made.truth}


def tick(made: Made, *, days: float) -> None:
    """Let time pass."""
    made.now += timedelta(days=days)

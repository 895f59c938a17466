"""One job from its labels to a published bundle, or to a verdict that there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from uniultra.adapt import gate
from uniultra.adapt.fit import fit, part_of_the_way
from uniultra.adapt.holdout import folds, held_out
from uniultra.adapt.job import Ended, Job, JobFolder
from uniultra.adapt.pictures import Labelled
from uniultra.adapt.progress import Pace
from uniultra.adapt.scoring import Case, Scores, cases_of, scene_cases, scores
from uniultra.adapt.settings import FitSettings
from uniultra.adapt.training_labels import Pictures, known_pictures, read_labels
from uniultra.datasets.samples import Row, manifest
from uniultra.errors import ModelError
from uniultra.files import atomic
from uniultra.models.registry import entry
from uniultra.networks.network import PromptNetwork
from uniultra.predict.device import choose_device
from uniultra.store.types import TrainingLabel
from uniultra.train.initial_network import trained_fragments
from uniultra.weights import bundle, loading
from uniultra.weights.deployed import ChangedError, Published

KNOWN_TRAINS, KNOWN_CHECKS = 60, 42  # pictures of old organs, of each set as many
CHECKPOINT_EVERY = 10
ByLabel = dict[str, tuple[float, float]]  # Dice after a click and of a box, by the key of a structure
Way = list[ByLabel]  # for the settings' share and each retreat


class Run:
    """A job at work; `run` goes on where an earlier one was stopped.

    Args:
        folder: of the job.
        going_on: called after each step; what it raises ends the work, to be gone on with later.

    Raises:
        ModelError: the job is damaged, or its model's weights are not here or not those it was made for.
    """

    def __init__(self, folder: JobFolder, going_on: Callable[[], None] = lambda: None) -> None:
        self.folder, self.going_on = folder, going_on
        self.job: Job = folder.job()
        self.entry = entry(self.job.model)
        self.device = choose_device(self.job.device)
        self.published = Published(folder.studies)
        network, digest = loading.load(self.job.model)
        if digest != self.job.base_sha256:
            raise ModelError(
                "The model's weights were replaced while the job waited. Start a training again; nothing of "
                "this one was published."
            )
        self.base = network.to(self.device)
        self.before: dict[str, Scores] = {}  # of what the model's own weights know, by the set
        self.against: str | None = None  # id of the bundle that it was measured against; None: own weights

    def run(self) -> Ended:
        """Do what is left to do, and say how it ended.

        Raises:
            ModelError: nothing to learn, or the loss is no longer a number.
        """
        pictures = read_labels(self.folder.studies, self.job.labels)
        for one in pictures.left_out:
            self.folder.note(left_out=asdict(one))
        labelled, rows = _with_keys(pictures, self.job.labels)
        if not rows:
            raise ModelError(
                "Expected a label with a structure in it to learn from; there is none that can be read. "
                "Label more images, or look at the ones that were left out."
            )
        away = [held_out(case.group) for _, case in rows.values()]
        rule = gate.rule_of([case.group for _, case in rows.values()])
        kept = [not held_out(one.group) for one in labelled] if rule == "held_out" else [True] * len(labelled)
        trained = [one for one, keep in zip(labelled, kept, strict=True) if keep]
        fits = 1 if rule == "held_out" else 1 + self.job.folds
        self.settings = _for(self.job.settings, len(trained))
        most = self.settings.share
        self.shares = (most, *(share for share in self.settings.retreats if share < most))
        self.pace = Pace(self.folder, self.settings.steps, fits)
        before = self._published_before()
        if before is not None:
            return self._ended(pictures, *before)
        measured = {k: v for (k, v), out in zip(rows.items(), away, strict=True) if out or rule == "folds"}
        known, checks = self._known()
        if rule == "folds":
            new = self._folds(labelled, rows, known)
            verdict = self._compare(rule, measured, new[0], self.shares[0])
            adapted = self._final(trained, known) if verdict.publish else None
        else:
            adapted = self._final(trained, known)
            new = self._along(adapted, measured)
            verdict = self._compare(rule, measured, new[0], self.shares[0])
        adapter = None
        if adapted is not None:
            verdict, adapter = self._farthest(adapted, rule, measured, new, checks)
        return self._ended(pictures, verdict, adapter)

    def _farthest(
        self,
        adapted: PromptNetwork,
        rule: gate.Rule,
        measured: dict[str, tuple[int, Case]],
        new: Way,
        checks: Sequence[Case],
    ) -> tuple[gate.Verdict, str | None]:
        """Publish at the farthest of the shares that forgets little enough; else the first one's verdict."""
        first: gate.Verdict | None = None
        for share, scored in zip(self.shares, new, strict=True):
            network = self._back(adapted, share)
            old = self._old(network, checks)
            verdict, adapter = self._offer(network, rule, measured, scored, share, old)
            if adapter is not None or not verdict.forgets:
                return verdict, adapter
            first = first or verdict
        return first or verdict, None

    def _offer(
        self,
        network: PromptNetwork,
        rule: gate.Rule,
        measured: dict[str, tuple[int, Case]],
        new: ByLabel,
        share: float,
        old: dict[str, tuple[Scores, Scores]],
    ) -> tuple[gate.Verdict, str | None]:
        """The verdict on a network, and its id where it was published."""
        while True:
            verdict = gate.remembers(self._compare(rule, measured, new, share), old)
            if not verdict.publish:
                return verdict, None
            try:
                return verdict, self._publish(network, verdict, new, rule)
            except ChangedError:  # another one answers since it was measured: that is to be beaten
                continue

    def _ended(self, pictures: Pictures, verdict: gate.Verdict | None, adapter: str | None) -> Ended:
        self.pace.tell("done")
        return Ended(
            status="DONE",
            when=datetime.now(UTC),
            verdict=verdict,
            adapter=adapter,
            left_out=tuple(asdict(one) for one in pictures.left_out),
            seconds=round(self.pace.seconds, 1),
        )

    # training

    def _folds(
        self, labelled: Sequence[Labelled], rows: dict[str, tuple[int, Case]], known: Sequence[Labelled]
    ) -> Way:
        """Each structure's scores by the network that never saw its patient."""
        found: Way = [{} for _ in self.shares]
        which = folds([one.group for one in labelled], self.job.folds)
        for fold in range(self.job.folds):
            mine = {key: row for key, row in rows.items() if which[row[0]] == fold}
            rest = [one for one, other in zip(labelled, which, strict=True) if other != fold]
            if not mine or not any(one.mask.any() for one in rest):
                self.pace.skip(fold)
                continue
            for all_folds, one in zip(found, self._fold(fold, rest, mine, known), strict=True):
                all_folds |= one
            self.pace.score(float(np.mean(list(found[0].values()))))
        return found

    def _fold(
        self,
        fold: int,
        rest: Sequence[Labelled],
        mine: dict[str, tuple[int, Case]],
        known: Sequence[Labelled],
    ) -> Way:
        folder = self.folder.path / f"fold-{fold}"
        file = folder / "scores.json"
        if file.is_file():
            done = json.loads(file.read_bytes())
            # else it is of other labels, or of an older version
            if isinstance(done, list) and [one.keys() for one in done] == [mine.keys()] * len(self.shares):
                self.pace.skip(fold)
                return TypeAdapter(Way).validate_python(done)
        found = self._along(self._fit(rest, known, folder, fold), mine)
        atomic.write(file, json.dumps(found).encode())
        _forget(folder)
        return found

    def _final(self, labelled: Sequence[Labelled], known: Sequence[Labelled]) -> PromptNetwork:
        return self._fit(labelled, known, self.folder.path / "final", self.pace.fits - 1)

    def _fit(
        self, labelled: Sequence[Labelled], known: Sequence[Labelled], folder: Path, number: int
    ) -> PromptNetwork:
        folder.mkdir(parents=True, exist_ok=True)
        self.pace.begin(number, folder.name)
        return fit(
            self.base,
            labelled,
            self.settings,
            seed=self.job.seed + number,
            going_on=self.going_on,
            known=known,
            folder=folder,
            checkpoint_every=CHECKPOINT_EVERY,
            told=self.pace.step,
        )

    # measuring

    def _along(self, adapted: PromptNetwork, rows: dict[str, tuple[int, Case]]) -> Way:
        """Scores at each share."""
        return [self._score(self._back(adapted, share), rows) for share in self.shares]

    def _back(self, adapted: PromptNetwork, share: float) -> PromptNetwork:
        """The same network at another share; what was trained is at the first."""
        return part_of_the_way(self.base, adapted, share / self.shares[0])

    def _compare(
        self, rule: gate.Rule, measured: dict[str, tuple[int, Case]], new: ByLabel, share: float
    ) -> gate.Verdict:
        """The first half of the verdict, against what answers now."""
        self.against = self.published.current(self.job.model)
        self.pace.tell("measuring")
        now = self._now({key: row for key, row in measured.items() if key in new})
        keys = list(now)
        table = [np.array([one[key] for key in keys]).reshape(-1, 2) for one in (now, new)]
        verdict = gate.improves(rule, table[0], table[1], [measured[key][1].group for key in keys])
        verdict = verdict.model_copy(update={"share": share})
        self.folder.note(verdict=verdict.model_dump(mode="json"))
        return verdict

    def _now(self, measured: dict[str, tuple[int, Case]]) -> ByLabel:
        """Scores of what answers now; where it learnt a label, those of its own cross-validation.

        A patient that it learnt, in a label of which it tells none (a correction, another image), is left
        out: it would be praised for what it was shown. Too few patients left, and all are measured.
        """
        if self.against is None:
            return self._score(self.base, measured)
        path = self.published.path(self.against)
        data = bundle.describe(path)[1].data
        own = TypeAdapter(ByLabel).validate_python(data.get("unseen") or {})
        learnt = self._learnt(data)
        known: ByLabel = {key: one for key, one in own.items() if key in measured}
        rest = {key: row for key, row in measured.items() if key not in known}
        fair = {key: row for key, row in rest.items() if row[1].group not in learnt}
        if len({measured[key][1].group for key in (*known, *fair)}) >= 2:
            rest = fair
        if rest:
            known |= self._score(loading.assemble(path)[0].to(self.device), rest)
        return {key: known[key] for key in measured if key in known}

    def _learnt(self, data: Mapping[str, Any]) -> set[str]:
        """The patients of this job that a bundle was trained on, by its manifest's `data`."""
        images = {str(label).rpartition("@")[0] for label in data.get("labels") or ()}
        groups = {label.group for label in self.job.labels if label.image in images}
        return {one for one in groups if data.get("rule") != "held_out" or not held_out(one)}

    def _score(self, network: PromptNetwork, rows: dict[str, tuple[int, Case]]) -> ByLabel:
        found = scores(network, self.entry, [case for _, case in rows.values()])
        return {key: (float(one[0]), float(one[1])) for key, one in zip(rows, found, strict=True)}

    def _old(self, adapted: PromptNetwork, checks: Sequence[Case]) -> dict[str, tuple[Scores, Scores]]:
        """Scores of what the model's own weights know, before and after."""
        self.pace.tell("looking back")
        sets = {"scenes": scene_cases(self.base.image_size, self.job.scenes), "known": list(checks)}
        for name, cases in sets.items():
            if cases and name not in self.before:
                self.before[name] = scores(self.base, self.entry, cases)
        return {name: (one, scores(adapted, self.entry, sets[name])) for name, one in self.before.items()}

    def _known(self) -> tuple[list[Labelled], list[Case]]:
        """Pictures of old organs to rehearse on, and others to measure on, where the admin names some."""
        if self.job.known is None:
            return [], []
        where, sets = self.job.known.folder, self.job.known.sets
        rows = manifest(where, sets, ("train", "val", "test"))
        train = _evenly([row for row in rows if row.split == "train"], KNOWN_TRAINS)
        check = _evenly([row for row in rows if row.split == "val"], KNOWN_CHECKS) or _evenly(
            [row for row in rows if row.split == "test"], KNOWN_CHECKS
        )
        return known_pictures(train), [case for one in known_pictures(check) for case in cases_of(one)]

    # publishing

    def _publish(
        self, adapted: PromptNetwork, verdict: gate.Verdict, unseen: ByLabel, rule: gate.Rule
    ) -> str:
        """Write the bundle and let the model answer with it; its id.

        Raises:
            ChangedError: another one answers than the one it was measured against.
        """
        folder, job = self.folder.path / "bundle", self.job
        trains = trained_fragments(self.entry, self.settings.recipe(job.seed))
        bundle.save(
            folder,
            adapted,
            job.model,
            parent=self._parent(),
            data={
                "job": job.id,
                "rule": rule,
                "why": verdict.why,
                "verdict": verdict.model_dump(mode="json"),
                "labels": [f"{one.image}@{one.revision}" for one in job.labels],
                "unseen": {key: list(one) for key, one in unseen.items()},
            },
            metrics=verdict.metrics(),
            over=(job.base_sha256, trains),
        )
        adapter = self.published.publish(folder, instead_of=self.against)
        self.folder.note(published=adapter)
        return adapter

    def _published_before(self) -> tuple[gate.Verdict | None, str] | None:
        """Verdict and id of what this job published, where it was cut off before it could say so.

        Whatever answers since, a rollback for example, stays.
        """
        for change in self.published.read().history:
            published = change.model == self.job.model and change.what == "published"
            if not published or change.id is None or change.when < self.job.made:
                continue
            try:
                data = bundle.describe(self.published.path(change.id))[1].data
            except ModelError:
                continue  # deleted since
            if data.get("job") == self.job.id:
                told = data.get("verdict")
                verdict = None if told is None else gate.Verdict.model_validate(told)
                return verdict, change.id
        return None

    def _parent(self) -> str | None:
        if self.against is None:
            return None
        return bundle.describe(self.published.path(self.against))[1].weights_sha256


def _with_keys(
    pictures: Pictures, labels: Sequence[TrainingLabel]
) -> tuple[list[Labelled], dict[str, tuple[int, Case]]]:
    """All labelled pictures, and by key the place among them and the structure of each that has one."""
    rows: dict[str, tuple[int, Case]] = {}
    # Another clinic has images of the same names: the mask's own digest tells whose label it is.
    digests = {f"{one.image}@{one.revision}": one.sha256[:16] for one in labels}
    found = zip(pictures.labelled, pictures.label, pictures.frame, strict=True)
    for n, (one, label, frame) in enumerate(found):
        for part, case in enumerate(cases_of(one)):
            # What a bundle says of a structure is looked up by this: it has to mean the same in every job.
            rows[f"{label} {digests[label]} {one.name} frame {frame} part {part}"] = (n, case)
    return list(pictures.labelled), rows


def _for(settings: FitSettings, count: int) -> FitSettings:
    """Longer where there is more to learn: in proportion from 20 pictures on, at most four times."""
    longer = min(4.0, max(1.0, count / 20))
    return settings.model_copy(update={"steps": round(settings.steps * longer)})


def _evenly(rows: Sequence[Row], count: int) -> list[Row]:
    """About `count` rows, of each set as many, from its beginning to its end."""
    found: list[Row] = []
    names = dict.fromkeys(row.dataset for row in rows)
    for name in names:
        mine = [row for row in rows if row.dataset == name]
        places = np.linspace(0, len(mine) - 1, min(-(-count // len(names)), len(mine)))
        found += [mine[int(n)] for n in places.round()]
    return found


def _forget(folder: Path) -> None:
    """Delete checkpoints that nobody needs any more."""
    for path in folder.glob("*.pt"):
        path.unlink(missing_ok=True)

"""Runs one training job, from its labels to a published bundle or to a verdict against publishing.

How a job resumes. Everything it needs again lies in its folder, and each file is written whole before the
next step begins: `fold-N/last.pt` (checkpoint), `fold-N/scores.json` (replaces the checkpoints of the fold),
`bundle/`, then the publication itself, and `ended.json` last. A job killed between two of them repeats the
step it was in and none before it; seeds depend on the number of the fit alone, so the weights are the same. A
job killed between the publication and `ended.json` finds its own id in the publication history and publishes
no second time.
"""

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
from uniultra.adapt.fit import fit, interpolate
from uniultra.adapt.holdout import folds, held_out
from uniultra.adapt.job import Ended, Job, JobFolder
from uniultra.adapt.pictures import Labelled
from uniultra.adapt.progress import JobProgress
from uniultra.adapt.scoring import Scores, ScoringCase, cases_of, scene_cases, scores
from uniultra.adapt.settings import FitSettings
from uniultra.adapt.training_labels import Pictures, evenly, known_pictures, read_labels
from uniultra.datasets.manifest import Row, read_manifest
from uniultra.errors import ModelError
from uniultra.files import atomic
from uniultra.models.registry import entry
from uniultra.networks.network import PromptNetwork
from uniultra.predict.device import choose_device
from uniultra.store.types import TrainingLabel
from uniultra.train.initial_network import trained_fragments
from uniultra.weights import bundle, loading
from uniultra.weights.deployed import ChangedError, Published

REPLAY_TRAINS, REPLAY_CHECKS = 60, 42  # pictures of the replay set to train and to measure on
CHECKPOINT_EVERY = 10  # steps
Targets = dict[str, tuple[int, ScoringCase]]  # by key, the index of the picture and the structure on it
TargetScores = dict[str, tuple[float, float]]  # by the key of a target, Dice after a click and of a box
PathScores = list[TargetScores]  # one for each interpolation factor


class AdaptationRun:
    """Executes a job; `run` resumes an interrupted one.

    Between the base weights (0) and the trained weights (1) lies a path of interpolated networks (WiSE-FT,
    arXiv 2109.01903). `alphas` are the factors at which the result is measured: `share` of the settings
    first, then the smaller `retreats`, each of which forgets less.

    Args:
        folder: of the job.
        going_on: called after each step; an exception that it raises interrupts the job, which can be
            resumed.

    Raises:
        ModelError: the job is damaged, or the model's weights are missing or other ones than at its creation.
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
        self.base_scores: dict[str, Scores] = {}  # of the base weights, by the name of a forgetting test
        self.against: str | None = None  # id of the bundle it was compared with; None: the base weights

    def run(self) -> Ended:
        """Do the remaining work; the outcome.

        Raises:
            ModelError: no label has a structure to learn, or the loss is no longer a number.
        """
        pictures = read_labels(self.folder.studies, self.job.labels)
        for label in pictures.left_out:
            self.folder.note(left_out=asdict(label))
        targets = keyed_targets(pictures, self.job.labels)
        if not targets:
            raise ModelError(
                "Expected a label with a structure in it to learn from; there is none that can be read. "
                "Label more images, or look at the ones that were left out."
            )
        rule = gate.rule_of([case.group for _, case in targets.values()])
        training = [one for one in pictures.labelled if rule == "folds" or not held_out(one.group)]
        self.settings = _scaled(self.job.settings, len(training))
        first = self.settings.share
        self.alphas = (first, *(alpha for alpha in self.settings.retreats if alpha < first))
        self.progress = JobProgress(
            self.folder, self.settings.steps, 1 if rule == "held_out" else 1 + self.job.folds
        )
        published = self._published_before()
        if published is not None:
            return self._ended(pictures, *published)
        measured = {key: row for key, row in targets.items() if rule == "folds" or held_out(row[1].group)}
        replay, checks = self._replay_set()
        adapted: PromptNetwork | None = None
        if rule == "folds":
            new = self._cross_validate(pictures.labelled, targets, replay)
            verdict = self._compare(rule, measured, new[0], first)
            if verdict.publish:  # else the final training would be for nothing
                adapted = self._fit_final(training, replay)
        else:
            adapted = self._fit_final(training, replay)
            new = self._score_path(adapted, measured)
            verdict = self._compare(rule, measured, new[0], first)
        adapter = None
        if adapted is not None:
            verdict, adapter = self._publish_farthest(adapted, rule, measured, new, checks)
        return self._ended(pictures, verdict, adapter)

    def _publish_farthest(
        self,
        adapted: PromptNetwork,
        rule: gate.Rule,
        measured: Targets,
        new: PathScores,
        checks: Sequence[ScoringCase],
    ) -> tuple[gate.Verdict, str | None]:
        """Publish at the largest interpolation factor that passes the forgetting test.

        If none does, return the first verdict. A network that fails for another reason is not interpolated
        further: closer to the base weights it only learns less.
        """
        refusals = []
        for alpha, of_alpha in zip(self.alphas, new, strict=True):
            network = self._at(adapted, alpha)
            verdict, adapter = self._offer(
                network, rule, measured, of_alpha, alpha, self._forgetting(network, checks)
            )
            if adapter is not None or not verdict.forgets:
                return verdict, adapter
            refusals.append(verdict)
        return refusals[0], None

    def _offer(
        self,
        network: PromptNetwork,
        rule: gate.Rule,
        measured: Targets,
        new: TargetScores,
        alpha: float,
        forgetting: Mapping[str, tuple[Scores, Scores]],
    ) -> tuple[gate.Verdict, str | None]:
        """The verdict on a network, and its id if it was published.

        Another process may publish or roll back between the comparison and the publication. The publication
        is therefore conditional on the bundle compared with, and refused otherwise; then the new one is
        compared.
        """
        while True:
            verdict = gate.remembers(self._compare(rule, measured, new, alpha), forgetting)
            if not verdict.publish:
                return verdict, None
            try:
                return verdict, self._publish(network, verdict, new, rule)
            except ChangedError:
                continue

    def _ended(self, pictures: Pictures, verdict: gate.Verdict | None, adapter: str | None) -> Ended:
        self.progress.tell("done")
        return Ended(
            status="DONE",
            when=datetime.now(UTC),
            verdict=verdict,
            adapter=adapter,
            left_out=tuple(asdict(label) for label in pictures.left_out),
            seconds=round(self.progress.seconds, 1),
        )

    # training

    def _cross_validate(
        self, labelled: Sequence[Labelled], targets: Targets, replay: Sequence[Labelled]
    ) -> PathScores:
        """Score each target with the network of the fold that was trained without its patient."""
        path: PathScores = [{} for _ in self.alphas]
        fold_of = folds([one.group for one in labelled], self.job.folds)
        for fold in range(self.job.folds):
            unseen = {key: row for key, row in targets.items() if fold_of[row[0]] == fold}
            seen = [one for one, other in zip(labelled, fold_of, strict=True) if other != fold]
            if not unseen or not any(one.mask.any() for one in seen):
                self.progress.skip(fold)
                continue
            for of_all, of_fold in zip(path, self._fold(fold, seen, unseen, replay), strict=True):
                of_all |= of_fold
            self.progress.score(float(np.mean(list(path[0].values()))))
        return path

    def _fold(
        self, fold: int, seen: Sequence[Labelled], unseen: Targets, replay: Sequence[Labelled]
    ) -> PathScores:
        folder = self.folder.path / f"fold-{fold}"
        file = folder / "scores.json"
        if file.is_file():
            stored = json.loads(file.read_bytes())
            # other keys: of other labels, or of an older version
            if isinstance(stored, list) and [one.keys() for one in stored] == [unseen.keys()] * len(
                self.alphas
            ):
                self.progress.skip(fold)
                return TypeAdapter(PathScores).validate_python(stored)
        path = self._score_path(self._fit(seen, replay, folder, fold), unseen)
        atomic.write(file, json.dumps(path).encode())
        for checkpoint in folder.glob("*.pt"):  # after the scores are durable: they replace it
            checkpoint.unlink(missing_ok=True)
        return path

    def _fit_final(self, labelled: Sequence[Labelled], replay: Sequence[Labelled]) -> PromptNetwork:
        return self._fit(labelled, replay, self.folder.path / "final", self.progress.fits - 1)

    def _fit(
        self, labelled: Sequence[Labelled], replay: Sequence[Labelled], folder: Path, number: int
    ) -> PromptNetwork:
        folder.mkdir(parents=True, exist_ok=True)
        self.progress.begin(number, folder.name)
        return fit(
            self.base,
            labelled,
            self.settings,
            seed=self.job.seed + number,
            known=replay,
            folder=folder,
            checkpoint_every=CHECKPOINT_EVERY,
            after_step=self._after_step,
        )

    def _after_step(self, step: int, loss: float) -> None:
        self.progress.step(step, loss)
        self.going_on()

    # measuring

    def _score_path(self, adapted: PromptNetwork, targets: Targets) -> PathScores:
        """Scores at each interpolation factor."""
        return [self._score(self._at(adapted, alpha), targets) for alpha in self.alphas]

    def _at(self, adapted: PromptNetwork, alpha: float) -> PromptNetwork:
        """The network at another interpolation factor; `fit` returns it at the first."""
        return interpolate(self.base, adapted, alpha / self.alphas[0])

    def _compare(self, rule: gate.Rule, measured: Targets, new: TargetScores, alpha: float) -> gate.Verdict:
        """The verdict on new labels, compared with the network in service."""
        self.against = self.published.current(self.job.model)
        self.progress.tell("measuring")
        now = self.scores_in_service({key: row for key, row in measured.items() if key in new})
        before, after = (np.array([table[key] for key in now]).reshape(-1, 2) for table in (now, new))
        verdict = gate.improves(rule, before, after, [measured[key][1].group for key in now])
        verdict = verdict.model_copy(update={"share": alpha})
        self.folder.note(verdict=verdict.model_dump(mode="json"))
        return verdict

    def scores_in_service(self, measured: Targets) -> TargetScores:
        """Scores of the network in service; for its training labels, those of its own cross-validation.

        A patient in its training data without such scores (the label was corrected, or is of another image)
        is left out: the network would be rewarded for what it has seen. If fewer than two patients would
        be left, all are measured.
        """
        if self.against is None:
            return self._score(self.base, measured)
        path = self.published.path(self.against)
        data = bundle.describe(path)[1].data
        unseen = TypeAdapter(TargetScores).validate_python(data.get("unseen") or {})
        trained = self._trained_patients(data)
        found = {key: score for key, score in unseen.items() if key in measured}
        rest = {key: row for key, row in measured.items() if key not in found}
        fair = {key: row for key, row in rest.items() if row[1].group not in trained}
        if len({measured[key][1].group for key in (*found, *fair)}) >= 2:
            rest = fair
        if rest:
            found |= self._score(loading.assemble(path)[0].to(self.device), rest)
        return {key: found[key] for key in measured if key in found}

    def _trained_patients(self, data: Mapping[str, Any]) -> set[str]:
        """The patients of this job that a bundle was trained on, by its manifest's `data`."""
        images = {str(label).rpartition("@")[0] for label in data.get("labels") or ()}
        groups = {label.group for label in self.job.labels if label.image in images}
        return {group for group in groups if data.get("rule") != "held_out" or not held_out(group)}

    def _score(self, network: PromptNetwork, targets: Targets) -> TargetScores:
        table = scores(network, self.entry, [case for _, case in targets.values()])
        return {key: (float(click), float(box)) for key, (click, box) in zip(targets, table, strict=True)}

    def _forgetting(
        self, adapted: PromptNetwork, checks: Sequence[ScoringCase]
    ) -> dict[str, tuple[Scores, Scores]]:
        """Scores on what the base weights know, of the base weights and of the adapted network."""
        self.progress.tell("looking back")
        sets = {"scenes": scene_cases(self.base.image_size, self.job.scenes), "known": list(checks)}
        for name, cases in sets.items():
            if cases and name not in self.base_scores:
                self.base_scores[name] = scores(self.base, self.entry, cases)
        return {
            name: (before, scores(adapted, self.entry, sets[name]))
            for name, before in self.base_scores.items()
        }

    def _replay_set(self) -> tuple[list[Labelled], list[ScoringCase]]:
        """Pictures of earlier organs to rehearse, and others to measure; empty if none are configured."""
        if self.job.known is None:
            return [], []
        rows = read_manifest(self.job.known.folder, self.job.known.sets, ("train", "val", "test"))
        by_split = {split: [row for row in rows if row.split == split] for split in ("train", "val", "test")}
        train = _of_each_set(by_split["train"], REPLAY_TRAINS)
        check = _of_each_set(by_split["val"] or by_split["test"], REPLAY_CHECKS)
        return known_pictures(train), [case for one in known_pictures(check) for case in cases_of(one)]

    # publishing

    def _publish(
        self, adapted: PromptNetwork, verdict: gate.Verdict, unseen: TargetScores, rule: gate.Rule
    ) -> str:
        """Write the bundle and put it into service; its id.

        Raises:
            ChangedError: another bundle is in service than the one compared with.
        """
        folder, job = self.folder.path / "bundle", self.job
        parent = self.against and bundle.describe(self.published.path(self.against))[1].weights_sha256
        bundle.save(
            folder,
            adapted,
            job.model,
            parent=parent,
            data={
                "job": job.id,
                "rule": rule,
                "why": verdict.why,
                "verdict": verdict.model_dump(mode="json"),
                "labels": [f"{label.image}@{label.revision}" for label in job.labels],
                "unseen": {key: list(score) for key, score in unseen.items()},
            },
            metrics=verdict.metrics(),
            over=(job.base_sha256, trained_fragments(self.entry, self.settings.recipe(job.seed))),
        )
        adapter = self.published.publish(folder, instead_of=self.against)
        self.folder.note(published=adapter)
        return adapter

    def _published_before(self) -> tuple[gate.Verdict | None, str] | None:
        """Verdict and id of this job's own publication, if it was killed before it wrote `ended.json`.

        The bundle in service by now, after a rollback for example, is not touched.
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
                verdict = data.get("verdict")
                return None if verdict is None else gate.Verdict.model_validate(verdict), change.id
        return None


def keyed_targets(pictures: Pictures, labels: Sequence[TrainingLabel]) -> Targets:
    """The targets on labelled pictures, by a key that means the same structure in every job.

    A bundle keeps its cross-validation scores under these keys, and a later job looks them up.
    """
    targets: Targets = {}
    # Another clinic has images of the same names: the digest of the mask tells their labels apart.
    digests = {f"{label.image}@{label.revision}": label.sha256[:16] for label in labels}
    rows = zip(pictures.labelled, pictures.label, pictures.frame, strict=True)
    for number, (labelled, label, frame) in enumerate(rows):
        for part, case in enumerate(cases_of(labelled)):
            targets[f"{label} {digests[label]} {labelled.name} frame {frame} part {part}"] = number, case
    return targets


def _scaled(settings: FitSettings, count: int) -> FitSettings:
    """More steps for more pictures: in proportion above 20 pictures, at most four times as many."""
    longer = min(4.0, max(1.0, count / 20))
    return settings.model_copy(update={"steps": round(settings.steps * longer)})


def _of_each_set(rows: Sequence[Row], count: int) -> list[Row]:
    """About `count` rows, evenly spaced, of each data set about as many."""
    sets: dict[str, list[Row]] = {}
    for row in rows:
        sets.setdefault(row.dataset, []).append(row)
    return [row for of_set in sets.values() for row in evenly(of_set, -(-count // len(sets)))]

"""Trains, scores and compares all systems on the same bases, pictures, prompts and metrics.

Phase A trains every base network on data without the task. Phase B adapts it, once per seed, by each
system's own recipe. Finished trainings and scores are kept in the work folder, from which a stopped suite
resumes: a training is reused only if its recipe is unchanged, scores only if rows and protocol are unchanged.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ValidationError

from suite import schema
from suite.plan import SuitePlan
from suite.protocol import score_pictures
from suite.summary import compare, summarise
from uniultra.datasets.manifest import read_manifest
from uniultra.evaluate.machine import this_machine
from uniultra.evaluate.records import PictureScore
from uniultra.evaluate.summaries import Runs
from uniultra.metrics.cost import count_work, measure_latency
from uniultra.models.counting import count_network
from uniultra.models.registry import ModelEntry, entry
from uniultra.networks.network import PromptNetwork
from uniultra.predict import Predictor
from uniultra.train.initial_network import trained_fragments
from uniultra.train.recipe import Recipe
from uniultra.train.result import result_path, trained_network
from uniultra.train.trainer import Trainer
from uniultra.weights import loading

SCORES = "scores.json"
_ENDINGS: dict[str, Literal["images", "clock", "early_stop"]] = {
    "steps": "images",
    "wall_clock": "clock",
    "patience": "early_stop",
}
COMPARED: tuple[tuple[str, schema.Metric], ...] = (("click_1", "dice"), ("box", "dice"))


class _Kept(BaseModel):
    """Scores in the work folder, with the protocol that produced them."""

    protocol: schema.SuiteProtocol
    pictures: list[PictureScore]


class SuiteRun:
    """Runs a suite.

    Args:
        plan: what to train and score.
        data: folder with manifest.csv.
        work: folder for trainings and scores, from which a stopped run resumes.
        device: `cpu` or `cuda[:N]`.
    """

    def __init__(self, plan: SuitePlan, data: Path, work: Path, device: str = "cpu") -> None:
        self.plan, self.data, self.work, self.device = plan, data, work, device

    def run(self, only: Iterable[str] | None = None) -> schema.Suite:
        """Train and score all systems, or `only` these and their bases, and collect the results.

        Raises:
            ModelError, ImageError: a recipe or the data is invalid.
        """
        chosen = [name for name in self.plan.systems if only is None or name in set(only)]
        needed = {self.plan.systems[name].base for name in chosen}
        bases = [self._base(name) for name in self.plan.bases if name in needed]
        bases += [self._zero_shot(name) for name in self.plan.zero_shot if loading.available(name)]
        task = self.plan.task
        runs, summaries, systems = [], [], []
        pictures: dict[str, Runs] = {}
        for name in chosen:
            seeds = self.plan.systems[name].seeds
            pictures[name] = [self._run(name, seed) for seed in seeds]
            for seed, scores in zip(seeds, pictures[name], strict=True):
                spent, means = _spent(self._folder(name, seed)), self._summary([scores])
                runs.append(schema.Run(system=name, task=task, seed=seed, spent=spent, scores=means))
            systems.append(self._system(name))
            means = self._summary(pictures[name])
            summaries.append(schema.Summary(system=name, task=task, seeds=seeds, scores=means))
        return schema.Suite(
            made=datetime.now(UTC).date().isoformat(),
            commit=_commit(),
            machine=this_machine(torch.device(self.device)),
            protocol=self.plan.protocol,
            images_planned=int(self.plan.defaults.get("images", 0)),
            seconds_cap=self.plan.defaults.get("wall_clock_s"),
            bases=bases,
            tasks=[self._task()],
            systems=systems,
            runs=runs,
            summaries=summaries,
            comparisons=self._comparisons(pictures),
        )

    def _base(self, name: str) -> schema.Base:
        planned = self.plan.bases[name]
        recipe = Recipe.of(planned.recipe)
        folder = self.work / "bases" / name
        network = self._trained(recipe, folder)
        scores = self._scores(folder, network, entry(recipe.model), planned.scored)
        data = {"datasets": tuple(recipe.datasets), "scenes": recipe.scenes or 0, "seed": recipe.seed}
        return self._described(name, network, scores, **data, spent=_spent(folder), note=planned.note)

    def _zero_shot(self, name: str) -> schema.Base:
        network, _ = loading.load(name)
        scores = self._scores(self.work / "zero_shot" / name, network, entry(name))
        spent = schema.Spent(images_seen=0, seconds=0, stopped_by="images")
        note = f"{entry(name).source}; nothing of it was trained here"
        return self._described(name, network, scores, datasets=(), scenes=0, seed=0, spent=spent, note=note)

    def _described(
        self, name: str, network: PromptNetwork, scores: list[PictureScore], **more: Any
    ) -> schema.Base:
        return schema.Base(
            name=name,
            image_size=network.image_size,
            parameters=sum(p.numel() for p in network.parameters()),
            scores=self._summary([scores]),
            **more,
        )

    def _run(self, name: str, seed: int) -> list[PictureScore]:
        recipe, folder = self._recipe(name, seed), self._folder(name, seed)
        network = self._trained(recipe, folder)
        return self._scores(folder, network, entry(recipe.model), self.plan.systems[name].scored)

    def _summary(self, runs: Runs) -> list[schema.SetSummary]:
        return summarise(runs, self.plan.protocol.clicks)

    def _folder(self, name: str, seed: int) -> Path:
        return self.work / "runs" / name / str(seed)

    def _recipe(self, name: str, seed: int) -> Recipe:
        planned = self.plan.systems[name]
        if planned.after:
            folder = self._folder(planned.after, seed)
            first = self._recipe(planned.after, seed)
        else:
            folder = self.work / "bases" / planned.base
            first = Recipe.of(self.plan.bases[planned.base].recipe)
        return self.plan.recipe(name, seed, result_path(folder, entry(first.model), first))

    def _trained(self, recipe: Recipe, folder: Path) -> PromptNetwork:
        """The trained network; trains it first unless the folder holds a training of this recipe."""
        done = folder / "done.json"
        settings = recipe.model_dump_json()
        if not done.is_file() or json.loads(done.read_bytes()) != json.loads(settings):
            (folder / SCORES).unlink(missing_ok=True)
            Trainer(recipe, self.data, folder, self.device).run()
            done.write_text(settings, encoding="utf-8")
        return trained_network(recipe, folder)

    def _scores(
        self, folder: Path, network: PromptNetwork, model: ModelEntry, sets: tuple[str, ...] | None = None
    ) -> list[PictureScore]:
        """Scores of the test pictures of `sets` (None: all sets of the suite), kept in the work folder."""
        path = folder / SCORES
        rows = read_manifest(self.data, list(self.plan.scored), ["test"])
        rows = [row for row in rows if row.dataset in (sets or self.plan.scored)]
        with suppress(OSError, ValidationError):  # none yet, damaged, or of another version
            kept = _Kept.model_validate_json(path.read_bytes())
            same = [(p.dataset, p.id) for p in kept.pictures] == [(row.dataset, row.id) for row in rows]
            if same and kept.protocol == self.plan.protocol:
                return kept.pictures
        predictor = Predictor.of(network, model, device=self.device)
        pictures = score_pictures(predictor, rows, model.prompts, self.plan.protocol, folder.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = _Kept(protocol=self.plan.protocol, pictures=pictures)
        path.write_text(kept.model_dump_json(), encoding="utf-8")
        return pictures

    def _system(self, name: str) -> schema.SuiteSystem:
        planned = self.plan.systems[name]
        seed = planned.seeds[0]
        recipe = self._recipe(name, seed)
        model = entry(recipe.model)
        network = trained_network(recipe, self._folder(name, seed))
        counts = count_network(network, model, trained_fragments(model, recipe))
        prompt = "point" if model.prompts else "none"
        with torch.no_grad():
            work = count_work(network, prompt)
            pace = measure_latency(network.to(self.device), prompt, repeats=5, warm_up=1)
        return schema.SuiteSystem(
            **planned.model_dump(include={"title", "paper", "base", "method", "note"}),
            name=name,
            prompts=model.prompts,
            image_size=network.image_size,
            parameters=counts.parameters_total,
            trained=counts.parameters_trained,
            adapter=counts.parameters_adapter,
            work=work,
            pace=pace,
        )

    def _task(self) -> schema.Task:
        name = self.plan.task
        labelled, tested = (len(read_manifest(self.data, [name], [split])) for split in ("train", "test"))
        return schema.Task(name=name, labelled=labelled, tested=tested, note=self.plan.task_note)

    def _comparisons(self, pictures: dict[str, Runs]) -> list[schema.Comparison]:
        task = self.plan.task
        comparisons = []
        for name, runs in pictures.items():
            other = self.plan.against.get(self.plan.systems[name].base)
            if other is None or other == name or other not in pictures:
                continue
            names = {"system": name, "against": other, "task": task, "dataset": task}
            for prompt, metric in COMPARED:
                if difference := compare(runs, pictures[other], task, prompt, metric):
                    values = names | {"prompt": prompt, "metric": metric, "difference": difference}
                    comparisons.append(schema.Comparison.model_validate(values))
        return comparisons


def _spent(folder: Path) -> schema.Spent:
    """The cost of the training in `folder`."""
    result = json.loads((folder / "result.json").read_bytes())
    seconds, ending = round(result["seconds"], 1), _ENDINGS[result["ended"]]
    return schema.Spent(images_seen=result["images"], seconds=seconds, stopped_by=ending)


def _commit() -> str | None:
    """Short hash of the checked-out commit; None outside a repository."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    folder = Path(__file__).resolve().parent
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None

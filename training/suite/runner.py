"""All systems on the same bases, pictures, prompts and metrics: train, score, compare, write it down.

Phase A trains every base network on data that holds nothing of the task. Phase B adapts it, once per
seed, by each system's own recipe. Whatever was done already is kept in the work folder, so that a suite
that was stopped goes on, training by training and score by score.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel

from suite import schema
from suite.plan import Plan
from suite.protocol import score
from suite.summary import compare, summarise
from uniultra.datasets.samples import Row, manifest
from uniultra.evaluate.machine import this_machine
from uniultra.metrics.cost import count_work, measure_pace
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
    """Scores in the work folder, and how they were made."""

    protocol: schema.Protocol
    pictures: list[schema.PictureScore]


class SuiteRun:
    """A suite being worked through.

    Args:
        plan: what to train and score.
        data: folder with manifest.csv.
        work: folder for trainings and scores; a run that was stopped goes on from it.
        device: `cpu` or `cuda[:N]`.
    """

    def __init__(self, plan: Plan, data: Path, work: Path, device: str = "cpu") -> None:
        self.plan, self.data, self.work, self.device = plan, data, work, device

    def run(self, only: Iterable[str] | None = None) -> schema.Suite:
        """Train and score all systems, or `only` some with their bases, and gather the results.

        Raises:
            ModelError, ImageError: a recipe or the data cannot be used.
        """
        chosen = [name for name in self.plan.systems if only is None or name in set(only)]
        needed = {self.plan.systems[name].base for name in chosen}
        bases = [self._base(name) for name in self.plan.bases if name in needed]
        bases += [self._zero_shot(name) for name in self.plan.zero_shot if loading.available(name)]
        runs, summaries, systems = [], [], []
        pictures: dict[str, list[list[schema.PictureScore]]] = {}
        for name in chosen:
            found = [self._run(name, seed) for seed in self.plan.systems[name].seeds]
            runs += [one for one, _ in found]
            pictures[name] = [scores for _, scores in found]
            systems.append(self._system(name))
            seeds = self.plan.systems[name].seeds
            scores = summarise(pictures[name])
            summaries.append(schema.Summary(system=name, task=self.plan.task, seeds=seeds, scores=scores))
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
        found = entry(recipe.model)
        scores = self._scores(folder, network, found, planned.scored or self.plan.scored)
        return schema.Base(
            name=name,
            image_size=network.image_size,
            parameters=sum(p.numel() for p in network.parameters()),
            datasets=tuple(recipe.datasets),
            scenes=recipe.scenes or 0,
            seed=recipe.seed,
            spent=_spent(folder),
            scores=summarise([scores]),
            note=planned.note,
        )

    def _zero_shot(self, name: str) -> schema.Base:
        found = entry(name)
        network, _ = loading.load(name)
        folder = self.work / "zero_shot" / name
        scores = self._scores(folder, network, found, self.plan.scored)
        return schema.Base(
            name=name,
            image_size=network.image_size,
            parameters=sum(p.numel() for p in network.parameters()),
            datasets=(),
            scenes=0,
            seed=0,
            spent=schema.Spent(images_seen=0, seconds=0, stopped_by="images"),
            scores=summarise([scores]),
            note=f"{found.source}; nothing of it was trained here",
        )

    def _run(self, name: str, seed: int) -> tuple[schema.Run, list[schema.PictureScore]]:
        planned = self.plan.systems[name]
        recipe = self._recipe(name, seed)
        folder = self.work / "runs" / name / str(seed)
        network = self._trained(recipe, folder)
        scored = planned.scored or self.plan.scored
        scores = self._scores(folder, network, entry(recipe.model), scored)
        spent = _spent(folder)
        summary = summarise([scores])
        return schema.Run(system=name, task=self.plan.task, seed=seed, spent=spent, scores=summary), scores

    def _recipe(self, name: str, seed: int) -> Recipe:
        planned = self.plan.systems[name]
        if planned.after:
            folder = self.work / "runs" / planned.after / str(seed)
            first = self._recipe(planned.after, seed)
        else:
            folder = self.work / "bases" / planned.base
            first = Recipe.of(self.plan.bases[planned.base].recipe)
        return self.plan.recipe(name, seed, result_path(folder, entry(first.model), first))

    def _trained(self, recipe: Recipe, folder: Path) -> PromptNetwork:
        """The trained network, after training it if that has not been done."""
        done = folder / "done.json"
        said = recipe.model_dump_json()
        if not done.is_file() or json.loads(done.read_text(encoding="utf-8")) != json.loads(said):
            (folder / SCORES).unlink(missing_ok=True)
            Trainer(recipe, self.data, folder, self.device).run()
            done.write_text(said, encoding="utf-8")
        return trained_network(recipe, folder)

    def _scores(
        self, folder: Path, network: PromptNetwork, found: ModelEntry, scored: tuple[str, ...]
    ) -> list[schema.PictureScore]:
        """Every test picture's scores, kept in the work folder."""
        path = folder / SCORES
        rows = [row for row in self._rows() if row.dataset in scored]
        if path.is_file():
            kept = _Kept.model_validate_json(path.read_bytes())
            same = [(p.dataset, p.id) for p in kept.pictures] == [(r.dataset, r.id) for r in rows]
            if same and kept.protocol == self.plan.protocol:
                return kept.pictures
        predictor = Predictor.of(network, found, device=self.device)
        made = score(predictor, rows, found.prompts, self.plan.protocol, progress=folder.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_Kept(protocol=self.plan.protocol, pictures=made).model_dump_json(), encoding="utf-8")
        return made

    def _rows(self) -> list[Row]:
        return manifest(self.data, list(self.plan.scored), ["test"])

    def _system(self, name: str) -> schema.System:
        planned = self.plan.systems[name]
        seed = planned.seeds[0]
        recipe = self._recipe(name, seed)
        found = entry(recipe.model)
        network = trained_network(recipe, self.work / "runs" / name / str(seed))
        counts = count_network(network, found, trained_fragments(found, recipe))
        prompt = "point" if found.prompts else "none"
        with torch.no_grad():
            work = count_work(network, prompt)
            pace = measure_pace(network.to(self.device), prompt, repeats=5, warm_up=1)
        return schema.System(
            name=name,
            title=planned.title,
            paper=planned.paper,
            base=planned.base,
            method=planned.method,
            prompts=found.prompts,
            image_size=network.image_size,
            parameters=counts.parameters_total,
            trained=counts.parameters_trained,
            adapter=counts.parameters_adapter,
            work=work,
            pace=pace,
            note=planned.note,
        )

    def _task(self) -> schema.Task:
        name = self.plan.task
        labelled = len(manifest(self.data, [name], ["train"]))
        tested = len(manifest(self.data, [name], ["test"]))
        return schema.Task(name=name, labelled=labelled, tested=tested, note=self.plan.task_note)

    def _comparisons(self, pictures: dict[str, list[list[schema.PictureScore]]]) -> list[schema.Comparison]:
        made = []
        for name, runs in pictures.items():
            other = self.plan.against.get(self.plan.systems[name].base)
            if other in (None, name) or other not in pictures:
                continue
            for prompt, metric in COMPARED:
                difference = compare(runs, pictures[other], self.plan.task, prompt, metric)
                if difference is not None:
                    made.append(
                        schema.Comparison(
                            system=name,
                            against=other,
                            task=self.plan.task,
                            dataset=self.plan.task,
                            prompt=prompt,
                            metric=metric,
                            difference=difference,
                        )
                    )
        return made


def _spent(folder: Path) -> schema.Spent:
    """What the training in `folder` cost."""
    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return schema.Spent(
        images_seen=told["images"], seconds=round(told["seconds"], 1), stopped_by=_ENDINGS[told["ended"]]
    )


def _commit() -> str | None:
    """The short hash of the source tree's commit, None outside a repository."""
    folder = Path(__file__).resolve().parent
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()

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
from typing import Any

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from uniultra.errors import ModelError
from uniultra.learn import suite_schema as schema
from uniultra.learn.data import Row, manifest
from uniultra.learn.machine import this_machine
from uniultra.learn.protocol import score
from uniultra.learn.recipe import Recipe
from uniultra.learn.results import read_spent, trained_network
from uniultra.learn.start import trained_fragments
from uniultra.learn.summary import compare, summarise
from uniultra.learn.train import Trainer
from uniultra.metrics.cost import count_work, measure_pace
from uniultra.models import weights
from uniultra.models.counting import count_network
from uniultra.models.network import PromptNetwork
from uniultra.models.registry import ModelEntry, entry
from uniultra.predict import Predictor

_PICTURES = TypeAdapter(list[schema.PictureScore])
COMPARED: tuple[tuple[str, schema.Metric], ...] = (("click_1", "dice"), ("box", "dice"))


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlannedBase(_Settings):
    """A network of phase A: its training recipe, and what a reader must know about its budget."""

    recipe: dict[str, Any]
    note: str | None = None


class PlannedSystem(_Settings):
    """A method of phase B.

    Attributes:
        title, paper, method: for the page.
        base: name among the bases; its weights are where the recipe starts.
        after: a system whose result, of the same seed, is where the recipe starts instead.
        recipe: what differs from the suite's `defaults`.
        seeds: of the runs.
        scored: sets to score, None for all of the suite's.
        note: what a reader must know, a reduced budget above all.
    """

    title: str
    paper: schema.Paper
    base: str
    after: str | None = None
    method: str
    recipe: dict[str, Any]
    seeds: tuple[int, ...] = (1, 2, 3)
    scored: tuple[str, ...] | None = None
    note: str | None = None


class Plan(_Settings):
    """A suite as YAML.

    Attributes:
        task: the set that phase B trains on.
        scored: sets whose `test` pictures are scored.
        protocol: how.
        zero_shot: models that are scored as they are when their official weights are on this machine.
        against: the system with which those of the same base are compared.
        defaults: training settings of all systems.
    """

    task: str
    task_note: str | None = None
    scored: tuple[str, ...]
    protocol: schema.Protocol = schema.Protocol()
    zero_shot: tuple[str, ...] = ()
    against: dict[str, str] = Field(default_factory=dict)
    defaults: dict[str, Any] = Field(default_factory=dict)
    bases: dict[str, PlannedBase]
    systems: dict[str, PlannedSystem]

    @classmethod
    def read(cls, path: Path) -> Plan:
        """A suite's plan from a YAML file.

        Raises:
            ModelError: no such file, or settings that cannot be used.
        """
        try:
            found = cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            raise ModelError("The suite cannot be read. Name one of training/suite_*.yaml.") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ModelError(f"The suite cannot be used: {place}: {first['msg']}.") from None
        unknown = {s.base for s in found.systems.values()} - set(found.bases)
        unknown |= set(found.against.values()) - set(found.systems)
        unknown |= {s.after for s in found.systems.values() if s.after} - set(found.systems)
        if unknown:
            raise ModelError(f"The suite names what it does not describe: {', '.join(sorted(unknown))}.")
        for name in found.systems:
            found.recipe(name, 1, Path("base.safetensors"))
        return found

    def recipe(self, system: str, seed: int, start: Path) -> Recipe:
        """The training of a system with a seed, from the weights of its base."""
        own = self.systems[system].recipe
        return Recipe.of({**self.defaults, **own, "seed": seed, "start": str(start)})


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
        bases += [self._zero_shot(name) for name in self.plan.zero_shot if entry(name).available]
        runs, summaries, systems = [], [], []
        pictures: dict[str, list[list[schema.PictureScore]]] = {}
        for name in chosen:
            found = [self._run(name, seed) for seed in self.plan.systems[name].seeds]
            runs += [one for one, _ in found]
            pictures[name] = [scores for _, scores in found]
            systems.append(self._system(name))
            seeds = self.plan.systems[name].seeds
            scores = summarise(pictures[name])
            summaries.append(
                schema.Summary(system=name, task=self.plan.task, seeds=seeds, scores=scores)
            )
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
        scores = self._scores(folder, network, found, self.plan.scored)
        return schema.Base(
            name=name,
            image_size=network.image_size,
            parameters=sum(p.numel() for p in network.parameters()),
            datasets=tuple(recipe.datasets),
            scenes=recipe.scenes,
            seed=recipe.seed,
            spent=read_spent(folder),
            scores=summarise([scores]),
            note=planned.note,
        )

    def _zero_shot(self, name: str) -> schema.Base:
        found = entry(name)
        network, _ = weights.load(name)
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
        spent = read_spent(folder)
        summary = summarise([scores])
        return schema.Run(system=name, task=self.plan.task, seed=seed, spent=spent, scores=summary), scores

    def _recipe(self, name: str, seed: int) -> Recipe:
        planned = self.plan.systems[name]
        if planned.after:
            folder = self.work / "runs" / planned.after / str(seed)
            return self.plan.recipe(name, seed, whole_file(folder, self._recipe(planned.after, seed)))
        recipe = Recipe.of(self.plan.bases[planned.base].recipe)
        return self.plan.recipe(name, seed, whole_file(self.work / "bases" / planned.base, recipe))

    def _trained(self, recipe: Recipe, folder: Path) -> PromptNetwork:
        """The trained network, after training it if that has not been done."""
        done = folder / "done.json"
        said = recipe.model_dump_json()
        if not done.is_file() or json.loads(done.read_text(encoding="utf-8")) != json.loads(said):
            Trainer(recipe, self.data, folder, self.device).run()
            done.write_text(said, encoding="utf-8")
        return trained_network(recipe, folder)

    def _scores(
        self, folder: Path, network: PromptNetwork, found: ModelEntry, scored: tuple[str, ...]
    ) -> list[schema.PictureScore]:
        """Every test picture's scores, kept in the work folder."""
        path = folder / "scores.json"
        rows = [row for row in self._rows() if row.dataset in scored]
        if path.is_file():
            kept = _PICTURES.validate_json(path.read_bytes())
            if [(p.dataset, p.id) for p in kept] == [(r.dataset, r.id) for r in rows]:
                return kept
        predictor = Predictor.of(network, found, device=self.device)
        made = score(predictor, rows, found.prompts, self.plan.protocol, progress=folder.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_PICTURES.dump_json(made))
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

    def _comparisons(
        self, pictures: dict[str, list[list[schema.PictureScore]]]
    ) -> list[schema.Comparison]:
        made = []
        for name, runs in pictures.items():
            other = self.plan.against.get(self.plan.systems[name].base)
            if other in (None, name) or len(runs) != len(pictures.get(str(other), [])):
                continue
            for prompt, metric in COMPARED:
                difference = compare(runs, pictures[str(other)], self.plan.task, prompt, metric)
                if difference is not None:
                    made.append(
                        schema.Comparison(
                            system=name,
                            against=str(other),
                            task=self.plan.task,
                            dataset=self.plan.task,
                            prompt=prompt,
                            metric=metric,
                            difference=difference,
                        )
                    )
        return made


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

"""Trainings that build on each other, one file, one command: a teacher, its student, what stands on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from uniultra.errors import ModelError
from uniultra.models.registry import entry
from uniultra.train.recipe import Recipe, read_yaml, validated
from uniultra.train.result import result_path
from uniultra.train.trainer import Trainer


class TrainingPlan(BaseModel):
    """Stages in the order in which they run; a YAML file of the same fields.

    A stage is an ordinary recipe on top of `common`. Where it names an earlier stage as its `start`, or as
    its teacher's weights (`distill.weights`), the result of that stage is meant.

    Attributes:
        common: settings of all stages.
        stages: settings of each by its name, which is also its folder in the output.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    common: dict[str, Any] = {}
    stages: dict[str, dict[str, Any]] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> TrainingPlan:
        for name in self.stages:
            if not name.replace("_", "").isalnum():
                raise ValueError(f"the stage {name!r} needs a name of letters, digits and underscores")
        return self

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> TrainingPlan:
        """A plan from a YAML file, with `KEY=VALUE` changes (`common.precision=bf16`) on top.

        Raises:
            ModelError: no such file, no YAML, or settings that cannot be used, those of every stage too.
        """
        plan = validated(cls, read_yaml(path, changes), "plan")
        for name in plan.stages:
            plan.recipe(name, Path())
        return plan

    def recipe(self, name: str, output: Path) -> Recipe:
        """The recipe of a stage; results of earlier ones lie in `output`.

        Raises:
            ModelError: there is no such stage, or its settings cannot be used.
        """
        if name not in self.stages:
            raise ModelError(f"There is no stage {name!r}; expected one of {', '.join(self.stages)}.")
        settings = dict(self.common) | self.stages[name]
        earlier = list(self.stages)[: list(self.stages).index(name)]
        teacher = settings.get("distill")
        if isinstance(teacher, Mapping) and teacher.get("weights") in earlier:
            weights = str(self.result(teacher["weights"], output))
            settings["distill"] = dict(teacher) | {"weights": weights}
        if settings.get("start") in earlier:
            settings["start"] = str(self.result(settings["start"], output))
        try:
            return Recipe.of(settings)
        except ModelError as error:
            raise ModelError(f"Stage {name}: {error}") from None

    def result(self, name: str, output: Path) -> Path:
        """Where a stage leaves its weights."""
        recipe = self.recipe(name, output)
        return result_path(output / name, entry(recipe.model), recipe)

    def needs(self, name: str) -> list[str]:
        """The stages that a stage builds on, in the order in which they run, and itself."""
        settings = self.stages[name]
        teacher = settings.get("distill")
        weights = teacher.get("weights") if isinstance(teacher, Mapping) else None
        before = [n for n in (settings.get("start"), weights) if n in self.stages and n != name]
        wanted = {stage for n in before for stage in self.needs(n)} | {name}
        return [stage for stage in self.stages if stage in wanted]


def is_plan(path: Path) -> bool:
    """Whether a YAML file holds a plan, not a single recipe.

    Raises:
        ModelError: no such file, or no YAML.
    """
    values = read_yaml(path)
    return isinstance(values, dict) and "stages" in values


def run(
    plan: TrainingPlan,
    data: Path,
    output: Path,
    device: str = "cpu",
    workers: int | None = None,
    only: str | None = None,
) -> dict[str, Path]:
    """Run a plan, or go on where it was stopped; what is finished is not done again.

    Args:
        plan: what to do.
        data: folder with manifest.csv.
        output: folder with one folder for each stage.
        device, workers: as `Trainer`.
        only: a stage; it and what it builds on are run, nothing else.

    Returns:
        The result of each stage that was asked for.

    Raises:
        ModelError: there is no such stage, or one of them cannot be run.
        ImageError: the data folder has no manifest, or nothing of a set.
    """
    if only is not None:
        plan.recipe(only, output)
    names = list(plan.stages) if only is None else plan.needs(only)
    found = {}
    for name in names:
        # A finished training ends at once, from its last checkpoint.
        done = output / name / "result.json"
        path = plan.result(name, output)
        if not (done.is_file() and path.exists()):
            path = Trainer(plan.recipe(name, output), data, output / name, device, workers).run()
        found[name] = path
    return found

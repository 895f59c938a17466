"""Training plans: stages that build on each other (a teacher, its student, ...) in one file and command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from uniultra.errors import ModelError
from uniultra.models.registry import entry
from uniultra.train.recipe import Recipe, RecipeModel, read_yaml
from uniultra.train.result import result_path
from uniultra.train.trainer import Trainer


class TrainingPlan(RecipeModel):
    """Stages in the order in which they run; a YAML file of the same fields.

    A stage is an ordinary recipe on top of `common`. The name of an earlier stage as `start`, or as the
    teacher's weights (`distill.weights`), stands for that stage's result.

    Attributes:
        common: settings of all stages.
        stages: settings of each stage by its name, which is also the name of its output folder.
    """

    what: ClassVar[str] = "plan"
    common: dict[str, Any] = Field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> TrainingPlan:
        for name in self.stages:
            if not name.replace("_", "").isalnum():
                raise ValueError(f"the stage {name!r} needs a name of letters, digits and underscores")
        return self

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Self:
        """As `RecipeModel.read`; the recipe of every stage is checked too."""
        plan = super().read(path, changes)
        for name in plan.stages:
            plan.recipe(name, Path())
        return plan

    def recipe(self, name: str, output: Path) -> Recipe:
        """The recipe of a stage; results of earlier stages are in `output`.

        Raises:
            ModelError: unknown stage, or settings that cannot be used.
        """
        if name not in self.stages:
            raise ModelError(f"Unknown stage {name!r}; expected one of {', '.join(self.stages)}.")
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
        """Path of a stage's result."""
        recipe = self.recipe(name, output)
        return result_path(output / name, entry(recipe.model), recipe)

    def needs(self, name: str) -> list[str]:
        """A stage and all stages that it builds on, in the order in which they run."""
        settings = self.stages[name]
        teacher = settings.get("distill")
        weights = teacher.get("weights") if isinstance(teacher, Mapping) else None
        before = [n for n in (settings.get("start"), weights) if n in self.stages and n != name]
        needed = {stage for n in before for stage in self.needs(n)} | {name}
        return [stage for stage in self.stages if stage in needed]


def is_plan(path: Path) -> bool:
    """Whether a YAML file holds a plan rather than a single recipe.

    Raises:
        ModelError: the file does not exist or is not YAML.
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
    """Run or resume a plan; finished stages are skipped.

    Args:
        plan: the stages.
        data: folder with manifest.csv.
        output: folder with one folder for each stage.
        device, workers: as for `Trainer`.
        only: run only this stage and those that it builds on.

    Returns:
        The path of each stage's result, by the stage's name.

    Raises:
        ModelError: unknown stage, or a stage that cannot be run.
        ImageError: the data folder has no manifest, or no rows of a data set.
    """
    if only is not None:
        plan.recipe(only, output)
    names = list(plan.stages) if only is None else plan.needs(only)
    results = {}
    for name in names:
        done = output / name / "result.json"
        path = plan.result(name, output)
        if not (done.is_file() and path.exists()):
            path = Trainer(plan.recipe(name, output), data, output / name, device, workers).run()
        results[name] = path
    return results

"""The plan of a comparison as YAML: bases to train, systems that adapt them, sets to score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from suite import schema
from uniultra.errors import ModelError
from uniultra.evaluate.records import Record
from uniultra.train.recipe import Recipe


class PlannedBase(Record):
    """A base network of phase A.

    Attributes:
        recipe: recipe of its training.
        scored: sets to score before any adaptation; None scores all sets of the suite.
        note: remark about its budget.
    """

    recipe: dict[str, Any]
    scored: tuple[str, ...] | None = None
    note: str | None = None


class PlannedSystem(Record):
    """A method of phase B.

    Attributes:
        title, paper, method: for the page.
        base: name of the base whose weights the training starts from.
        after: system whose result with the same seed the training starts from instead.
        recipe: settings that override the suite's `defaults`.
        seeds: one run per seed.
        scored: sets to score; None scores all sets of the suite.
        note: remark for readers, such as a reduced budget.
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


class SuitePlan(Record):
    """A suite as YAML.

    Attributes:
        task: the set that phase B trains on.
        scored: sets whose `test` pictures are scored.
        protocol: how pictures are scored.
        zero_shot: models to score without training, if their official weights are on this machine.
        against: by base, the system that the other systems of that base are compared with.
        defaults: training settings of all systems.

    A file may also contain a mapping `cuda`, which overrides the other settings on a GPU.
    """

    task: str
    task_note: str | None = None
    scored: tuple[str, ...]
    protocol: schema.SuiteProtocol = schema.SuiteProtocol()
    zero_shot: tuple[str, ...] = ()
    against: dict[str, str] = Field(default_factory=dict)
    defaults: dict[str, Any] = Field(default_factory=dict)
    bases: dict[str, PlannedBase]
    systems: dict[str, PlannedSystem]

    @classmethod
    def read(cls, path: Path, device: str = "cpu") -> SuitePlan:
        """Read a suite's plan from a YAML file for a device.

        Raises:
            ModelError: the file cannot be read, or its settings are invalid.
        """
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
            on_gpu = values.pop("cuda", {}) if isinstance(values, dict) else {}
            plan = cls.model_validate(_overridden(values, on_gpu) if device.startswith("cuda") else values)
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            raise ModelError("The suite cannot be read. Name one of training/suite_*.yaml.") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ModelError(f"The suite cannot be used: {place}: {first['msg']}.") from None
        unknown = {s.base for s in plan.systems.values()} - set(plan.bases)
        used = {*plan.against.values(), *(s.after for s in plan.systems.values() if s.after)}
        unknown |= used - set(plan.systems)
        if unknown:
            raise ModelError(f"The suite uses undefined names: {', '.join(sorted(unknown))}. Define them.")
        for name in plan.systems:
            plan.recipe(name, 1, Path("base.safetensors"))
        return plan

    def recipe(self, system: str, seed: int, start: Path) -> Recipe:
        """The training recipe of a system with a seed, starting from the weights `start`."""
        own = self.systems[system].recipe
        return Recipe.of({**self.defaults, **own, "seed": seed, "start": str(start)})


def _overridden(values: Any, changes: Any) -> Any:
    """`values` updated with `changes`; nested mappings are merged."""
    if not (isinstance(values, dict) and isinstance(changes, dict)):
        return changes
    return values | {key: _overridden(values.get(key), value) for key, value in changes.items()}

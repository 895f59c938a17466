"""The plan of a comparison as YAML: which bases are trained, which systems adapt them, what is scored."""

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
    """A network of phase A.

    Attributes:
        recipe: of its training.
        scored: sets to score before anything is added to it, None for all of the suite's.
        note: what a reader must know about its budget.
    """

    recipe: dict[str, Any]
    scored: tuple[str, ...] | None = None
    note: str | None = None


class PlannedSystem(Record):
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


class SuitePlan(Record):
    """A suite as YAML.

    Attributes:
        task: the set that phase B trains on.
        scored: sets whose `test` pictures are scored.
        protocol: how.
        zero_shot: models that are scored as they are when their official weights are on this machine.
        against: the system with which those of the same base are compared.
        defaults: training settings of all systems.

    A file may also have `cuda`, a mapping like the rest of it, which is laid over the rest on a GPU.
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
        """A suite's plan from a YAML file, for a device.

        Raises:
            ModelError: no such file, or settings that cannot be used.
        """
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
            on_gpu = values.pop("cuda", {}) if isinstance(values, dict) else {}
            found = cls.model_validate(_laid_over(values, on_gpu) if device.startswith("cuda") else values)
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


def _laid_over(values: Any, changes: Any) -> Any:
    """`values` with `changes` in their place; mappings are joined, all else is replaced."""
    if not (isinstance(values, dict) and isinstance(changes, dict)):
        return changes
    return values | {key: _laid_over(values.get(key), value) for key, value in changes.items()}

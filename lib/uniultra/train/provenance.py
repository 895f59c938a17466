"""Which data sets weights were trained on: their own, those they started from, and their teacher's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uniultra.models.registry import is_name
from uniultra.train.recipe import Recipe
from uniultra.weights import bundle, loading, tensors

TRAINED_ON = "trained_on"  # key of a file's metadata or a bundle's data: names of the sets


def trained_on(path: Path) -> tuple[str, ...] | None:
    """Names of the sets that weights were trained on, as file or bundle say; None where they do not."""
    if path.is_dir():
        data = bundle.describe(path)[1].data
        told = data.get(TRAINED_ON)
        return tuple(map(str, told)) if isinstance(told, list) else _sets(data)
    notes = tensors.metadata(path)
    if TRAINED_ON in notes:
        return tuple(str(name) for name in note(notes[TRAINED_ON], list))
    training = note(notes.get("training"), dict)
    return _sets(training) or _sets({"recipe": note(notes.get("recipe"), dict)})


def sets_of(recipe: Recipe) -> tuple[str, ...]:
    """Names of all sets that the result of a recipe has seen, in order of their names."""
    found = set(recipe.datasets)
    teacher = recipe.distill or {}
    for source in (recipe.start, teacher.get("weights") or teacher.get("model")):
        found.update(_before(source) if source else ())
    return tuple(sorted(found))


def _before(source: str) -> tuple[str, ...]:
    """The sets of weights named by model, file or folder."""
    path = loading.find(source) if is_name(source) else Path(source)
    return (trained_on(path) or ()) if path is not None and path.exists() else ()


def _sets(training: Any) -> tuple[str, ...] | None:
    """The sets of a recipe that was kept beside weights."""
    recipe = training.get("recipe") if isinstance(training, dict) else None
    sets = recipe.get("datasets") if isinstance(recipe, dict) else None
    return tuple(map(str, sets)) if isinstance(sets, dict) else None


def note(text: str | None, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    """A JSON note of a file's metadata, empty where it is none of the kind."""
    try:
        found = json.loads(text) if text else kind()
    except json.JSONDecodeError:
        found = kind()
    return found if isinstance(found, kind) else kind()

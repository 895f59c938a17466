"""The data sets that weights were trained on, including those of their initial weights and their teacher."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uniultra.models.registry import is_name
from uniultra.train.recipe import Recipe
from uniultra.weights import bundle, loading, tensors

TRAINED_ON = "trained_on"  # key of a file's metadata or a bundle's data: names of the sets


def trained_on(path: Path) -> tuple[str, ...] | None:
    """Names of the data sets that weights were trained on; None where file or bundle do not say."""
    if path.is_dir():
        data = bundle.describe(path)[1].data
        sets = data.get(TRAINED_ON)
        return tuple(map(str, sets)) if isinstance(sets, list) else _sets(data)
    notes = tensors.metadata(path)
    if TRAINED_ON in notes:
        return tuple(str(name) for name in note(notes[TRAINED_ON], list))
    training = note(notes.get("training"), dict)
    return _sets(training) or _sets({"recipe": note(notes.get("recipe"), dict)})


def sets_of(recipe: Recipe) -> tuple[str, ...]:
    """Sorted names of all data sets that the result of a recipe was trained on."""
    sets = set(recipe.datasets)
    teacher = recipe.distill or {}
    for source in (recipe.start, teacher.get("weights") or teacher.get("model")):
        sets.update(_before(source) if source else ())
    return tuple(sorted(sets))


def _before(source: str) -> tuple[str, ...]:
    """The data sets of weights, given by a model's name, a file or a folder."""
    path = loading.find(source) if is_name(source) else Path(source)
    return (trained_on(path) or ()) if path is not None and path.exists() else ()


def _sets(training: Any) -> tuple[str, ...] | None:
    """The data sets of the recipe that was stored with weights."""
    recipe = training.get("recipe") if isinstance(training, dict) else None
    sets = recipe.get("datasets") if isinstance(recipe, dict) else None
    return tuple(map(str, sets)) if isinstance(sets, dict) else None


def note(text: str | None, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    """A JSON value of a file's metadata; an empty `kind` where it is missing or something else."""
    try:
        value = json.loads(text or "null")
    except json.JSONDecodeError:
        value = None
    return value if isinstance(value, kind) else kind()

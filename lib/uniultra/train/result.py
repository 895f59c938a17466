"""What a training leaves: the weights, a summary, and which pictures it used for what."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from uniultra.datasets.splits import Division
from uniultra.models.factory import trained
from uniultra.models.registry import ModelEntry, entry
from uniultra.networks.network import PromptNetwork
from uniultra.train.initial_network import adapter_config, starting_network, trained_fragments
from uniultra.train.iou_calibration import Quality
from uniultra.train.loop import Summary
from uniultra.train.provenance import TRAINED_ON, sets_of
from uniultra.train.recipe import Recipe
from uniultra.weights import bundle, loading, tensors


def write_result(
    output: Path,
    network: PromptNetwork,
    found: ModelEntry,
    recipe: Recipe,
    done: Summary,
    quality: Quality | None = None,
) -> None:
    """Write the trained network where `result_path` says, and `result.json` beside it."""
    told = asdict(done) | ({"predicted_iou": asdict(quality)} if quality else {})
    told |= {"recipe": recipe.model_dump(mode="json", exclude_defaults=True)}
    if recipe.start is not None:
        told["recipe"]["start"] = Path(recipe.start).name  # where it lay is nobody's business
    if recipe.distill and recipe.distill.get("weights"):
        told["recipe"]["distill"] = recipe.distill | {"weights": Path(recipe.distill["weights"]).name}
    told[TRAINED_ON] = list(sets_of(recipe))
    path, config = result_path(output, found, recipe), adapter_config(found, recipe)
    if path.suffix == tensors.SUFFIX:
        metadata = {"training": json.dumps(told), TRAINED_ON: json.dumps(told[TRAINED_ON])}
        metadata |= loading.config_metadata(found.name, config)
        tensors.save(path, network, metadata)
    else:
        metrics = {} if done.score is None else {"validation": done.score}
        bundle.save(
            path, network, found.name, config=config, parent=_parent(recipe), data=told, metrics=metrics
        )
    (output / "result.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def result_path(output: Path, found: ModelEntry, recipe: Recipe) -> Path:
    """Where the result goes: a bundle's folder `NAME` when a base can be told from it, else one file."""
    told = (
        found.adapter is not None
        and recipe.start is not None
        and not recipe.drawn_prompts
        and "" not in trained(found)
        and trained_fragments(found, recipe) == trained(found)
        and not (recipe.adapter or {}).get("unfreeze_encoder")
    )
    return output / (found.name if told else f"{found.name}{tensors.SUFFIX}")


def trained_network(recipe: Recipe, output: Path) -> PromptNetwork:
    """The network that a training with `recipe` left in `output`.

    Raises:
        ModelError: there is no result, or it is not this recipe's.
    """
    network = starting_network(recipe)
    path = result_path(output, entry(recipe.model), recipe)
    if path.suffix == tensors.SUFFIX:
        loading.load_into(network, tensors.read(path))
    else:
        bundle.load(path, network)
    return network.eval()


def _parent(recipe: Recipe) -> str | None:
    """The bundle that the training started from."""
    start = Path(str(recipe.start))
    return bundle.describe(start)[1].weights_sha256 if start.is_dir() else None


def write_split(output: Path, division: Division) -> None:
    """Write `split.json`: the ids of the pictures of each part, by data set."""
    parts: dict[str, dict[str, list[str]]] = {}
    for part, rows in division._asdict().items():
        parts[part] = {}
        for row in rows:
            parts[part].setdefault(row.dataset, []).append(row.id)
    (output / "split.json").write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")

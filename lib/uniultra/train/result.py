"""Output of a training: the weights, a summary, and the division of the pictures."""

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
from uniultra.train.loop import TrainingSummary
from uniultra.train.provenance import TRAINED_ON, sets_of
from uniultra.train.recipe import Recipe
from uniultra.weights import bundle, loading, tensors


def write_result(
    output: Path,
    network: PromptNetwork,
    model: ModelEntry,
    recipe: Recipe,
    summary: TrainingSummary,
    quality: Quality | None = None,
) -> None:
    """Write the trained network to `result_path`, and `result.json` beside it.

    Paths in the recipe are reduced to their last part: weights are shared, folders of this machine are not.
    """
    result = asdict(summary) | ({"predicted_iou": asdict(quality)} if quality else {})
    result |= {"recipe": recipe.model_dump(mode="json", exclude_defaults=True)}
    if recipe.start is not None:
        result["recipe"]["start"] = Path(recipe.start).name
    if recipe.distill and recipe.distill.get("weights"):
        result["recipe"]["distill"] = recipe.distill | {"weights": Path(recipe.distill["weights"]).name}
    result[TRAINED_ON] = list(sets_of(recipe))
    path, config = result_path(output, model, recipe), adapter_config(model, recipe)
    if path.suffix == tensors.SUFFIX:
        metadata = {"training": json.dumps(result), TRAINED_ON: json.dumps(result[TRAINED_ON])}
        metadata |= loading.config_metadata(model.name, config)
        tensors.save(path, network, metadata)
    else:
        metrics = {} if summary.score is None else {"validation": summary.score}
        bundle.save(
            path, network, model.name, config=config, parent=_parent(recipe), data=result, metrics=metrics
        )
    (output / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def result_path(output: Path, model: ModelEntry, recipe: Recipe) -> Path:
    """Path of the result: a bundle's folder `NAME` where the base stays as it was, else one whole file."""
    base_unchanged = (
        model.adapter is not None
        and recipe.start is not None
        and not recipe.drawn_prompts
        and "" not in trained(model)
        and trained_fragments(model, recipe) == trained(model)
        and not (recipe.adapter or {}).get("unfreeze_encoder")
    )
    return output / (model.name if base_unchanged else f"{model.name}{tensors.SUFFIX}")


def trained_network(recipe: Recipe, output: Path) -> PromptNetwork:
    """The resulting network of a training with `recipe` in `output`.

    Raises:
        ModelError: there is no result, or it is of another recipe.
    """
    network = starting_network(recipe)
    path = result_path(output, entry(recipe.model), recipe)
    if path.suffix == tensors.SUFFIX:
        loading.load_into(network, tensors.read(path))
    else:
        bundle.load(path, network)
    return network.eval()


def _parent(recipe: Recipe) -> str | None:
    """SHA-256 of the bundle that the training started from; None where it started from other weights."""
    start = Path(str(recipe.start))
    return bundle.describe(start)[1].weights_sha256 if start.is_dir() else None


def write_split(output: Path, division: Division) -> None:
    """Write `split.json`: the IDs of the pictures of each part, by data set."""
    parts: dict[str, dict[str, list[str]]] = {}
    for part, rows in division._asdict().items():
        parts[part] = {}
        for row in rows:
            parts[part].setdefault(row.dataset, []).append(row.id)
    (output / "split.json").write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")

"""Systems to measure: models by registry name, weights file or folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uniultra.errors import ModelError
from uniultra.evaluate.records import MeasuredModel
from uniultra.models.registry import ModelEntry, entry, is_name
from uniultra.networks.network import PromptNetwork
from uniultra.predict import Predictor
from uniultra.predict.still import Answers
from uniultra.train.provenance import note, trained_on
from uniultra.weights import bundle, loading, tensors


@dataclass(frozen=True, eq=False)
class System:
    """A segmentation system to measure.

    Attributes:
        title: name in tables.
        answers: the predictor.
        prompts: prompt kinds that it takes; empty for a prompt-free model.
        model: description of its weights; None for a method without weights.
        network: its network; None for a method without one.
        entry: the network's registry entry.
    """

    title: str
    answers: Answers
    prompts: tuple[str, ...]
    model: MeasuredModel | None = None
    network: PromptNetwork | None = None
    entry: ModelEntry | None = None


def system(
    named: str, device: str = "auto", *, family: str | None = None, title: str | None = None
) -> System:
    """Load the model or weights `named`.

    Args:
        named: NAME of the registry, FILE.safetensors, or the folder of a bundle or of a training's result.
        device: `auto`, `cpu` or `cuda[:N]`.
        family: registry name of a file's network, used if the file does not tell.
        title: name in tables; None takes the model's name.

    Raises:
        ModelError: unknown model, or its weights are missing, damaged or of another network.
    """
    path = Path(named)
    if is_name(named) or not (path.exists() or path.suffix or path.name != named):
        name = named
        network, digest = loading.load(name)  # an unknown name is refused with a list of the names
        weights = loading.find(name)
    elif path.exists():
        weights = _inside(path)
        name = _name(weights, family)
        if weights.is_dir():
            network, digest = loading.assemble(weights)
        else:
            network, digest = loading.load_file(name, weights), tensors.file_sha256(weights)
    else:
        raise ModelError("Weights file or folder not found. Check --model.")
    model = entry(name)
    return System(
        title=title or name,
        answers=Predictor.of(network, model, device=device),
        prompts=model.prompts,
        model=MeasuredModel(
            name=name,
            sha256=digest,
            image_size=network.image_size,
            trained_on=trained_on(weights) if weights else None,
        ),
        network=network,
        entry=model,
    )


def _inside(path: Path) -> Path:
    """The weights file or bundle folder at `path`, or the only one inside it."""
    if path.is_file() or (path / "config.json").is_file():
        return path
    candidates = [*path.glob(f"*{tensors.SUFFIX}"), *(p.parent for p in path.glob("*/config.json"))]
    if len(candidates) != 1:
        raise ModelError(
            f"Expected one .safetensors file or bundle in the folder; got {len(candidates)}. Name the file."
        )
    return candidates[0]


def _name(path: Path, family: str | None) -> str:
    """The registry name of the weights' network."""
    if path.is_dir():
        return bundle.describe(path)[0].model
    notes = tensors.metadata(path)
    for recipe in (note(notes.get("training"), dict).get("recipe"), note(notes.get("recipe"), dict)):
        if isinstance(recipe, dict) and is_name(str(recipe.get("model"))):
            return str(recipe["model"])
    name = path.name.removesuffix(tensors.SUFFIX)
    if is_name(name):
        return name
    if family:
        return family
    raise ModelError(
        "The weights file does not say which model it belongs to. Rename it to NAME.safetensors, with a NAME "
        "listed by `uniultra models`."
    )

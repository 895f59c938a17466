"""What is measured: a model by name or file, and where its weights say they were trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uniultra.errors import ModelError
from uniultra.evaluate.accuracy.schema import Model
from uniultra.models.registry import ModelEntry, entry, is_name
from uniultra.networks.network import PromptNetwork
from uniultra.predict import Predictor
from uniultra.predict.still import Answers
from uniultra.train.provenance import note, trained_on
from uniultra.weights import bundle, loading, tensors


@dataclass(frozen=True, eq=False)
class System:
    """Something that answers prompts.

    Attributes:
        title: for tables.
        answers: the thing itself.
        prompts: kinds that it takes; none at all for a prompt-free model.
        model: what it is, None for a method without weights.
        network: None for a method without one.
        entry: how the network is fed.
    """

    title: str
    answers: Answers
    prompts: tuple[str, ...]
    model: Model | None = None
    network: PromptNetwork | None = None
    entry: ModelEntry | None = None


def system(
    named: str, device: str = "auto", *, family: str | None = None, title: str | None = None
) -> System:
    """The model called `named`, or of the weights file or folder `named`.

    Args:
        named: NAME of the registry, FILE.safetensors, or the folder of a bundle or of a training's result.
        device: `auto`, `cpu` or `cuda[:N]`.
        family: the registry's name of a file's network, where the file does not say it.
        title: for tables, None for its name.

    Raises:
        ModelError: unknown model, or its weights are missing, damaged or of another network.
    """
    path = Path(named)
    if is_name(named):
        network, digest = loading.load(named)
        found, name = loading.find(named), named
    elif path.exists():
        found = _inside(path)
        name = _name(found, family)
        if found.is_dir():
            network, digest = loading.assemble(found)
        else:
            network, digest = loading.load_file(name, found), tensors.file_sha256(found)
    elif path.suffix or path.name != named:
        raise ModelError("Expected a weights file or folder; there is none of that name. Check --model.")
    else:
        entry(named)  # refuses, and lists what there is
        raise ModelError("Unknown model.")
    how = entry(name)
    return System(
        title=title or name,
        answers=Predictor.of(network, how, device=device),
        prompts=how.prompts,
        model=Model(
            name=name,
            sha256=digest,
            image_size=network.image_size,
            trained_on=trained_on(found) if found else None,
        ),
        network=network,
        entry=how,
    )


def _inside(path: Path) -> Path:
    """The weights that `path` is or holds: a file, or a bundle's folder."""
    if path.is_file() or (path / "config.json").is_file():
        return path
    held = [*path.glob(f"*{tensors.SUFFIX}"), *(p.parent for p in path.glob("*/config.json"))]
    if len(held) != 1:
        raise ModelError(
            f"Expected a folder with one .safetensors file or one bundle; got {len(held)}. Name the file."
        )
    return held[0]


def _name(path: Path, family: str | None) -> str:
    """The registry's name of the network that weights are of."""
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
        "The file does not say of which model it is. Name it NAME.safetensors, see `uniultra models`."
    )

"""A person's weights: checked, converted to our names, put where every command finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from uniultra.adapters.settings import checked, from_json
from uniultra.errors import ModelError
from uniultra.models.counting import on_meta
from uniultra.models.mappings import CheckpointLayout
from uniultra.models.official import BY_HAND
from uniultra.models.registry import ModelEntry, entry
from uniultra.weights import bundle, loading, tensors
from uniultra.weights.checkpoints import read_checkpoint
from uniultra.weights.download import Limits, Progress
from uniultra.weights.fetch import fetch


def get(
    name: str,
    accept_licence: Callable[[ModelEntry], bool],
    progress: Progress | None = None,
    *,
    sha256: str | None = None,
    limits: Limits | None = None,
) -> Path:
    """Fetch the official weights of model `name` and add them; the path of the file that was made.

    Raises:
        ModelError: they are not to be had by a program (the text says what to do), the licence is not
            accepted, the download fails, or the file is not that of the model.
    """
    model = entry(name)
    if model.weights_of:
        return get(model.weights_of, accept_licence, progress, sha256=sha256, limits=limits)
    if model.url is None:
        raise ModelError(_by_hand(model))
    folder = loading.user_folder() / ".downloads"
    path = fetch(model, folder, progress, accept_licence, sha256=sha256, limits=limits)
    made = add(name, path, {"url": model.url, "licence": model.licence})
    for left in (path, path.with_name(f"{path.name}.lock")):
        left.unlink(missing_ok=True)
    with suppress(OSError):  # another download is under way there
        folder.rmdir()
    return made


def _by_hand(model: ModelEntry) -> str:
    if model.name in BY_HAND:
        return (
            f"{BY_HAND[model.name]} A program may not fetch from there. Save the file with a browser and run "
            f"`uniultra weights add {model.name} FILE`."
        )
    return (
        f"No weights of {model.name!r} are published. Run `{loading.how(model.name)}`, or add your own with "
        f"`uniultra weights add {model.name} FILE`."
    )


def add(name: str, path: Path, notes: Mapping[str, str] | None = None) -> Path:
    """Make a checkpoint or a bundle the weights of model `name`; the path of what was made.

    Args:
        name: in the registry.
        path: a `.safetensors`, `.pt` or `.pth` file in the published layout or in ours, or the folder of a
            bundle.
        notes: for the file's metadata, beside the SHA-256 of what it was made from.

    Raises:
        ModelError: it cannot be read safely, or it is of another model.
    """
    model = entry(name)
    if path.is_dir():
        return _add_bundle(model, path)
    checkpoint = read_checkpoint(path)
    metadata = {"source_sha256": tensors.file_sha256(path), "licence": model.licence} | dict(notes or {})
    settings = _settings(model, path)
    misfits = tensors.misfit(on_meta(name, config=settings).state_dict(), checkpoint)
    if misfits and model.convert is not None:
        checkpoint = model.convert(checkpoint)
        if isinstance(model.convert, CheckpointLayout) and model.convert.settings:
            settings = checked(str(model.adapter), model.convert.settings)
        misfits = tensors.misfit(on_meta(name, config=settings).state_dict(), checkpoint)
    if misfits:
        raise ModelError(
            f"This file is not of {name!r}: tensors {misfits}. Choose the model that it was made for."
        )
    target = loading.user_folder() / f"{name}{tensors.SUFFIX}"
    metadata |= loading.config_metadata(name, settings)
    try:
        tensors.save_tensors(target, checkpoint, metadata)
    except OSError as error:
        raise tensors.unwritable("weights", error) from error
    return target


def _settings(model: ModelEntry, path: Path) -> object:
    """Settings of the adapter that a file of ours names, else None."""
    if model.adapter is None or path.suffix != tensors.SUFFIX:
        return None
    text = tensors.metadata(path).get(loading.CONFIG)
    return from_json(model.adapter, text) if text else None


def _add_bundle(model: ModelEntry, folder: Path) -> Path:
    if bundle.describe(folder)[0].trains is not None:
        raise ModelError(
            "This bundle is a campaign's, over a model's own weights. Use `uniultra adapters import`."
        )
    loading.assemble(folder, name=model.name)
    target = loading.user_folder() / model.name
    if target.exists() and target.samefile(folder):
        return target
    return bundle.copy(folder, target)

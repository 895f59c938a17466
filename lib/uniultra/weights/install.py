"""Install weights: validate, convert to our names, store them in the user's weights folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from uniultra.adapters.settings import checked
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
    """Fetch and install the official weights of model `name`; the path of the installed file.

    Raises:
        ModelError: they cannot be fetched automatically (the message says what to do), the licence is not
            accepted, the download fails, or the file is of another model.
    """
    model = entry(name)
    if model.weights_of:
        return get(model.weights_of, accept_licence, progress, sha256=sha256, limits=limits)
    if model.url is None:
        raise ModelError(_by_hand(model))
    folder = loading.user_folder() / ".downloads"
    path = fetch(model, folder, progress, accept_licence, sha256=sha256, limits=limits)
    installed = add(name, path, {"url": model.url, "licence": model.licence})
    for temporary in (path, path.with_name(f"{path.name}.lock")):
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # not empty: another download is in progress
        folder.rmdir()
    return installed


def _by_hand(model: ModelEntry) -> str:
    if model.name in BY_HAND:
        return (
            f"{BY_HAND[model.name]} It cannot be fetched automatically. Save the file with a browser and run "
            f"`uniultra weights add {model.name} FILE`."
        )
    return (
        f"No weights of {model.name!r} are published. Run `{loading.how(model.name)}`, or add your own with "
        f"`uniultra weights add {model.name} FILE`."
    )


def add(name: str, path: Path, notes: Mapping[str, str] | None = None) -> Path:
    """Install a checkpoint or a bundle as the weights of model `name`; the path of the installed weights.

    Args:
        name: name in the registry.
        path: a `.safetensors`, `.pt` or `.pth` file in the published layout or in ours, or a bundle's folder.
        notes: additional metadata of the file; the source's SHA-256 and the licence are always included.

    Raises:
        ModelError: the file cannot be read safely, or is of another model.
    """
    model = entry(name)
    if path.is_dir():
        return _add_bundle(model, path)
    checkpoint = read_checkpoint(path)
    metadata = {"source_sha256": tensors.file_sha256(path), "licence": model.licence} | dict(notes or {})
    in_file = tensors.metadata(path) if path.suffix == tensors.SUFFIX else {}
    settings = loading.stored_settings(model, in_file)
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
    with tensors.writing("weights"):
        tensors.save_tensors(target, checkpoint, metadata)
    return target


def _add_bundle(model: ModelEntry, folder: Path) -> Path:
    if bundle.describe(folder)[0].trains is not None:
        raise ModelError(
            "This bundle of a campaign lies over a model's own weights. Use `uniultra adapters import`."
        )
    loading.assemble(folder, name=model.name)
    target = loading.user_folder() / model.name
    if target.exists() and target.samefile(folder):
        return target
    return bundle.copy(folder, target)

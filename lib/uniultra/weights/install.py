"""Weights brought in by a person: checked, converted to our names, put where every command finds them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from uniultra.adapters.settings import from_json
from uniultra.errors import ModelError
from uniultra.models.counting import on_meta
from uniultra.models.mappings import Layout
from uniultra.models.official import BY_HAND
from uniultra.models.registry import ModelEntry, entry
from uniultra.weights import tensors as weights
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
    found = entry(name)
    if found.weights_of:
        return get(found.weights_of, accept_licence, progress, sha256=sha256, limits=limits)
    if found.url is None:
        raise ModelError(_by_hand(found))
    folder = weights.user_folder() / ".downloads"
    path = fetch(found, folder, progress, accept_licence, sha256=sha256, limits=limits)
    made = add(name, path, {"url": found.url, "licence": found.licence})
    for left in (path, path.with_name(f"{path.name}.lock")):
        left.unlink(missing_ok=True)
    with suppress(OSError):  # another download is under way there
        folder.rmdir()
    return made


def _by_hand(found: ModelEntry) -> str:
    if found.name in BY_HAND:
        return (
            f"{BY_HAND[found.name]} A program may not fetch from there. Save the file with a browser and run "
            f"`uniultra weights add {found.name} FILE`."
        )
    return (
        f"Nobody publishes weights of {found.name!r}. Run `{weights.how(found.name)}`, or add your own with "
        f"`uniultra weights add {found.name} FILE`."
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
    found = entry(name)
    if path.is_dir():
        return _add_bundle(found, path)
    tensors = read_checkpoint(path)
    metadata = {"source_sha256": weights.file_sha256(path), "licence": found.licence} | dict(notes or {})
    settings = _settings(found, path)
    fit = weights.misfit(on_meta(name, config=settings).state_dict(), tensors)
    if fit and found.convert is not None:
        tensors = found.convert(tensors)
        if isinstance(found.convert, Layout) and found.convert.settings:
            settings = from_json(str(found.adapter), json.dumps(dict(found.convert.settings)))
        fit = weights.misfit(on_meta(name, config=settings).state_dict(), tensors)
    if fit:
        raise ModelError(
            f"This file is not of {name!r}: tensors {fit}. Choose the model that it was made for."
        )
    target = weights.user_folder() / f"{name}{weights.SUFFIX}"
    metadata |= weights.config_metadata(name, settings)
    try:
        weights.save_tensors(target, tensors, metadata)
    except OSError as error:
        raise ModelError(
            f"The weights cannot be written ({error.strerror or 'no reason given'}). Make room, or set "
            "UNIULTRA_WEIGHTS to a folder that can be written."
        ) from error
    return target


def _settings(found: ModelEntry, path: Path) -> object:
    """Settings of the adapter that a file of ours names, else None."""
    if found.adapter is None or path.suffix != weights.SUFFIX:
        return None
    text = weights.metadata(path).get(weights.CONFIG)
    return from_json(found.adapter, text) if text else None


def _add_bundle(found: ModelEntry, folder: Path) -> Path:
    from uniultra.weights import bundle

    if bundle.describe(folder)[0].trains is not None:
        raise ModelError(
            "This bundle is a campaign's, over a model's own weights. Use `uniultra adapters import`."
        )
    bundle.assemble(folder, name=found.name)
    target = weights.user_folder() / found.name
    if target.exists() and target.samefile(folder):
        return target
    return bundle.copy(folder, target)

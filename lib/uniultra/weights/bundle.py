"""Bundles: a folder with the tensors that a training changed, to be loaded onto the base it started from.

    weights.safetensors   the trained tensors, by their names in the adapted network
    config.json           model, adapter and settings
    manifest.json         fingerprint of the base, parent bundle, data, metrics, versions

The base is that of the model's adapter. A bundle of a campaign, which continues training the model's own
weights, lies over those instead: it records their SHA-256 and the fragments of the trained names.

A bundle contains data only, and all of it is validated before any of it reaches a network: damaged bundles,
bundles of another base and bundles with missing or additional tensors are refused. The network of a bundle is
built by `uniultra.weights.loading`.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from torch import Tensor, nn

from uniultra.adapters.registry import matches
from uniultra.adapters.settings import first_error, to_json
from uniultra.errors import ModelError
from uniultra.files import checksummed
from uniultra.models.factory import settings, trained
from uniultra.models.registry import entry
from uniultra.networks.network import PromptNetwork
from uniultra.weights import tensors as weights

CONFIG, MANIFEST, WEIGHTS = FILES = "config.json", "manifest.json", "weights.safetensors"
MAX_JSON = 32 << 20  # a campaign's manifest lists every label and structure, about 200 bytes each
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


class BundleConfig(BaseModel):
    """The network that a bundle belongs to.

    Attributes:
        model: name in the registry.
        adapter, config: kind of the adapter, and all its settings.
        image_size: side of the input in training, in pixels.
        base_sha256: SHA-256 of the model's own weights file, for a bundle over those; else None.
        trains: fragments of the names of its tensors, for the same case; else None: those of the method.
    """

    model_config = _STRICT

    model: str = Field(max_length=100)
    adapter: str | None = Field(max_length=100)
    config: dict[str, JsonValue]
    image_size: int = Field(ge=32, le=weights.MAX_SIDE)
    base_sha256: Sha256 | None = None
    trains: tuple[Annotated[str, Field(max_length=200)], ...] | None = Field(None, max_length=100)

    @model_validator(mode="after")
    def _both(self) -> BundleConfig:
        if (self.base_sha256 is None) != (self.trains is None):
            raise ValueError("base_sha256 and trains are only valid together")
        return self


class BundleManifest(BaseModel):
    """Provenance of a bundle.

    Attributes:
        base_fingerprint: fingerprint of the base tensors that the bundle does not replace, see `fingerprint`.
        weights_sha256: SHA-256 of the weights file.
        parent: SHA-256 of the weights of the bundle that the training started from.
        data: training data.
        metrics: results, by metric.
        versions: software versions, by package.
        created: time in UTC, ISO 8601.
    """

    model_config = _STRICT

    base_fingerprint: Sha256
    weights_sha256: Sha256
    parent: Sha256 | None = None
    data: dict[str, JsonValue] = {}
    metrics: dict[str, float] = {}
    versions: dict[str, str] = {}
    created: str = Field("", max_length=100)


def fingerprint(network: nn.Module, replaced: Iterable[str]) -> str:
    """SHA-256 over name, shape and float32 values of all tensors of `network` except those in `replaced`."""
    excluded = set(replaced)
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if name not in excluded:
            plain = tensor.detach().to("cpu", torch.float32).contiguous()
            digest.update(json.dumps([name, list(plain.shape)]).encode())
            digest.update(plain.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def trained_tensors(
    name: str, network: nn.Module, trains: tuple[str, ...] | None = None
) -> dict[str, Tensor]:
    """The tensors of a network of model `name` that its method trains, or those that match `trains`."""
    if trains is None:
        # Settings may add trained parameters (APGConfig.unfreeze_encoder); `rates` names those.
        trains = (*trained(entry(name)), *getattr(network, "rates", {}))
    return {key: value for key, value in network.state_dict().items() if matches(key, trains)}


def save(
    folder: Path,
    network: PromptNetwork,
    name: str,
    *,
    config: Any = None,
    parent: str | None = None,
    data: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    dtype: torch.dtype = torch.float32,
    over: tuple[str, tuple[str, ...]] | None = None,
) -> BundleManifest:
    """Write the trained tensors of a network of model `name` as a bundle, atomically.

    A bundle already in the folder is replaced.

    Args:
        folder: folder of the bundle.
        network: the base's weights with the trained adapter.
        name: name in the registry.
        config: settings of the adapter; default the entry's.
        parent: SHA-256 of the weights of the bundle that the training started from.
        data, metrics: for the manifest; metrics that are not finite are dropped.
        dtype: of the stored floating-point tensors; default float32.
        over: for a bundle over the model's own weights: their SHA-256, and the fragments of the names of
            the tensors that were trained further.

    Raises:
        ModelError: the model has no adapter and `over` is not given.

    Example:
        >>> import os, tempfile
        >>> from pathlib import Path
        >>> from uniultra.weights import loading
        >>> network, digest = loading.load("uniultra_mini")
        >>> with tempfile.TemporaryDirectory() as temporary:
        ...     folder = Path(temporary, "clinic")
        ...     manifest = save(folder, network, "uniultra_mini", over=(digest, (".ch_adapters.",)))
        ...     files = sorted(os.listdir(folder))
        ...     restored, bundle_digest = loading.assemble(folder)
        >>> files
        ['config.json', 'manifest.json', 'weights.safetensors']
        >>> bundle_digest == manifest.weights_sha256
        True
        >>> fingerprint(restored, ()) == fingerprint(network, ())
        True
    """
    model = entry(name)
    if model.adapter is None and over is None:
        raise ModelError(f"The model {name!r} has no adapter: save it whole, not as a bundle.")
    base_sha256, trains = over or (None, None)
    tensors = trained_tensors(name, network, trains)
    config = settings(model, config)
    with _replacing(folder) as staged:
        weights.save_tensors(staged / WEIGHTS, tensors, {"model": name}, dtype)
        described = BundleConfig(
            model=name,
            adapter=model.adapter,
            config={} if config is None else json.loads(to_json(config)),
            image_size=network.image_size,
            base_sha256=base_sha256,
            trains=trains,
        )
        manifest = BundleManifest(
            base_fingerprint=fingerprint(network, tensors),
            weights_sha256=weights.file_sha256(staged / WEIGHTS),
            parent=parent,
            data=dict(data or {}),
            # Distances to an empty mask are not finite, and JSON has no such numbers.
            metrics={key: value for key, value in (metrics or {}).items() if math.isfinite(value)},
            versions={package: version(package) for package in ("uniultra", "torch")},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        _write_json(staged / CONFIG, described)
        _write_json(staged / MANIFEST, manifest)
    return manifest


def describe(folder: Path) -> tuple[BundleConfig, BundleManifest]:
    """Read the configuration and the manifest of a bundle.

    Raises:
        ModelError: a file is missing, a link, too big, or invalid.
    """
    try:
        return (
            BundleConfig.model_validate_json(_read_json(folder / CONFIG)),
            BundleManifest.model_validate_json(_read_json(folder / MANIFEST)),
        )
    except ValidationError as error:
        raise ModelError(f"The bundle's description is damaged: {first_error(error)}.") from None


def load(folder: Path, network: nn.Module) -> BundleManifest:
    """Load a bundle onto `network`, which has the base's weights and an adapter with the bundle's settings.

    Raises:
        ModelError: the bundle is damaged, of another base, or does not fit; the network is then unchanged.
    """
    described, manifest = describe(folder)
    path = _file(folder / WEIGHTS)
    if weights.file_sha256(path) != manifest.weights_sha256:
        raise ModelError("The bundle's weights are damaged (their SHA-256 differs). Copy the bundle again.")
    tensors = weights.read(path)
    targets = trained_tensors(described.model, network, described.trains)
    if misfits := weights.misfit(targets, tensors):
        raise ModelError(f"The bundle does not fit {described.model!r}: tensors {misfits}.")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ModelError("The bundle has values that are not finite; train it again from its parent.")
    if fingerprint(network, tensors) != manifest.base_fingerprint:
        raise other_base(described.model if described.trains is not None else entry(described.model).base)
    with torch.no_grad():
        for name, tensor in tensors.items():
            targets[name].copy_(tensor)
    return manifest


def copy(folder: Path, target: Path, *, without: Collection[str] = ()) -> Path:
    """Copy a bundle's three files to another folder, atomically, and return that folder.

    For the lists named in `without`, the copy's manifest has only their lengths.
    """
    with _replacing(target) as staged:
        for name in FILES:
            shutil.copyfile(_file(folder / name), staged / name)
        manifest = describe(folder)[1]
        counts = {
            key: len(value)
            for key, value in manifest.data.items()
            if key in without and isinstance(value, (list, dict))
        }
        if counts:
            data = {key: value for key, value in manifest.data.items() if key not in counts}
            data |= {f"number_of_{key}": count for key, count in counts.items()}
            _write_json(staged / MANIFEST, manifest.model_copy(update={"data": data}))
    return target


def other_base(model: str | None) -> ModelError:
    """The error for a bundle over other weights of `model` than those on this machine."""
    return ModelError(
        f"The bundle was trained on other weights of {model!r} than those on this machine. Bring those that "
        "it was trained on, or train it again on these."
    )


def _write_json(file: Path, content: BaseModel) -> None:
    body = checksummed.seal(content.model_dump(mode="json"))
    file.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder that replaces `folder` if the block succeeds, and is deleted if it raises."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".", suffix=".part") as private:
        staged = Path(private) / "bundle"
        staged.mkdir()
        yield staged
        if folder.exists():
            shutil.rmtree(folder)
        staged.rename(folder)


def _file(path: Path) -> Path:
    """`path`, checked to be a regular file in the bundle's folder itself."""
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        raise ModelError(f"Expected a bundle with a plain file {path.name}; got none. Copy the bundle again.")
    return path


def _read_json(path: Path) -> str:
    """The JSON in a file of a bundle, without its checksum."""
    with _file(path).open("rb") as stream:
        text = stream.read(MAX_JSON + 1)
    if len(text) > MAX_JSON:
        raise ModelError(f"Expected at most {MAX_JSON >> 20} MiB of {path.name}; the bundle's is bigger.")
    try:
        return json.dumps(checksummed.opened(text))
    except ValueError as error:
        raise ModelError(f"The bundle's description is damaged: {path.name}: {error}.") from None

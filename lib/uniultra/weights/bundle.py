"""A bundle: a folder with what one training changed, to be put on the base that it was trained on.

    weights.safetensors   the tensors that the method trained, by their names in the adapted network
    config.json           which model, which adapter, which settings
    manifest.json         the base's fingerprint, the parent bundle, data, metrics, versions

The base is that of the model's adapter; or, for what a campaign trained further, the model's own weights,
which the bundle then names by their SHA-256 beside the fragments of the names that were trained.

A bundle holds data only and is checked whole before anything of it reaches a network: a damaged one, one
of another base or one with a tensor too many or too few is refused. `uniultra.weights.loading` builds the
network that a bundle describes.
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
from uniultra.adapters.settings import to_json
from uniultra.errors import ModelError
from uniultra.files import checksummed
from uniultra.models.factory import settings, trained
from uniultra.models.registry import entry
from uniultra.networks.network import PromptNetwork
from uniultra.weights import tensors as weights

WEIGHTS, CONFIG, MANIFEST = "weights.safetensors", "config.json", "manifest.json"
MAX_JSON = 32 << 20  # a campaign's manifest names every label and structure, some 200 bytes of each
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


class BundleConfig(BaseModel):
    """Which network a bundle belongs to.

    Attributes:
        model: name in the registry.
        adapter, config: kind of its adapter, and all its settings.
        image_size: side of the input that it was trained at.
        base_sha256: of the model's own weights file, when the bundle lies over that.
        trains: fragments of the names of its tensors, then; None for what the method trains.
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
            raise ValueError("base_sha256 and trains come together")
        return self


class Manifest(BaseModel):
    """Where a bundle comes from.

    Attributes:
        base_fingerprint: of the base tensors that the bundle leaves as they are, see `fingerprint`.
        weights_sha256: of the weights file.
        parent: SHA-256 of the weights of the bundle that this training started from.
        data: what it was trained on.
        metrics: what it reached.
        versions: of the software.
        created: when, in UTC.
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
    """SHA-256 over name, shape and float32 values of all tensors of `network` but the `replaced` ones."""
    left_out = set(replaced)
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if name not in left_out:
            plain = tensor.detach().to("cpu", torch.float32).contiguous()
            digest.update(json.dumps([name, list(plain.shape)]).encode())
            digest.update(plain.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def trained_tensors(
    name: str, network: nn.Module, trains: tuple[str, ...] | None = None
) -> dict[str, Tensor]:
    """The tensors of the network of model `name` that its method trains, or those of `trains`."""
    if trains is None:
        # A network whose settings train more (APGConfig.unfreeze_encoder) says so by its rates.
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
) -> Manifest:
    """Write what was trained of the network of model `name`, whole or not at all; an older bundle goes.

    Args:
        folder: of the bundle.
        network: with its base's weights and the trained adapter.
        name: in the registry.
        config: settings of its adapter, None for the entry's own.
        parent: SHA-256 of the weights of the bundle that the training started from.
        data, metrics: for the manifest.
        dtype: of the stored numbers.
        over: what the bundle lies over is the model's own weights: their SHA-256, and the fragments of
            the names of the tensors that were trained further.

    Raises:
        ModelError: the model has no adapter, and the bundle is not of its own weights.
    """
    model = entry(name)
    if model.adapter is None and over is None:
        raise ModelError(f"The model {name!r} has no adapter, so it is saved whole and not as a bundle.")
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
        manifest = Manifest(
            base_fingerprint=fingerprint(network, tensors),
            weights_sha256=weights.file_sha256(staged / WEIGHTS),
            parent=parent,
            data=dict(data or {}),
            # A distance without a boundary is not a number, and JSON has no word for that.
            metrics={key: value for key, value in (metrics or {}).items() if math.isfinite(value)},
            versions={package: version(package) for package in ("uniultra", "torch")},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        for file, content in ((CONFIG, described), (MANIFEST, manifest)):
            _describe(staged / file, content)
    return manifest


def describe(folder: Path) -> tuple[BundleConfig, Manifest]:
    """What a bundle says of itself.

    Raises:
        ModelError: a file is missing, a link, too big, or not of its form.
    """
    try:
        return (
            BundleConfig.model_validate_json(_content(folder / CONFIG)),
            Manifest.model_validate_json(_content(folder / MANIFEST)),
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])[:80]
        raise ModelError(f"The bundle's description is damaged: {where or 'it'}: {wrong['msg']}.") from None


def load(folder: Path, network: nn.Module) -> Manifest:
    """Put a bundle on `network`, which has its base's weights and the adapter with the bundle's settings.

    Raises:
        ModelError: the bundle is damaged, of another base, or does not fit; the network is then as it was.
    """
    described, manifest = describe(folder)
    path = _file(folder / WEIGHTS)
    if weights.file_sha256(path) != manifest.weights_sha256:
        raise ModelError("The bundle's weights are damaged (their SHA-256 differs). Copy the bundle again.")
    tensors = weights.read(path)
    wanted = trained_tensors(described.model, network, described.trains)
    if misfits := weights.misfit(wanted, tensors):
        raise ModelError(f"The bundle does not fit {described.model!r}: tensors {misfits}.")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ModelError("The bundle has numbers that are not finite; train it again from its parent.")
    if fingerprint(network, tensors) != manifest.base_fingerprint:
        raise other_base(described.model if described.trains is not None else entry(described.model).base)
    with torch.no_grad():
        for name, tensor in tensors.items():
            wanted[name].copy_(tensor)
    return manifest


def copy(folder: Path, target: Path, *, without: Collection[str] = ()) -> Path:
    """Copy a bundle's three files to another folder, whole or not at all, and return that folder.

    Of the lists that `without` names, the copy's manifest keeps only their lengths.
    """
    with _replacing(target) as staged:
        for name in (WEIGHTS, CONFIG, MANIFEST):
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
            _describe(staged / MANIFEST, manifest.model_copy(update={"data": data}))
    return target


def other_base(model: str | None) -> ModelError:
    """The error for a bundle over other weights of `model` than those here."""
    return ModelError(
        f"The bundle was trained on other weights of {model!r} than those on this machine. Bring those that "
        "it was trained on, or train it again on these."
    )


def _describe(file: Path, content: BaseModel) -> None:
    body = checksummed.seal(content.model_dump(mode="json"))
    file.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder` when the block ends well, and is gone when not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".", suffix=".part") as private:
        staged = Path(private) / "bundle"
        staged.mkdir()
        yield staged
        if folder.exists():
            shutil.rmtree(folder)
        staged.rename(folder)


def _file(path: Path) -> Path:
    """`path`, if it is a plain file of the bundle itself."""
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        raise ModelError(f"Expected a bundle with a plain file {path.name}; it has none.")
    return path


def _content(path: Path) -> str:
    """The JSON in a file of a bundle, without its checksum."""
    try:
        return json.dumps(checksummed.opened(_text(path)))
    except ValueError as error:
        raise ModelError(f"The bundle's description is damaged: {path.name}: {error}.") from None


def _text(path: Path) -> bytes:
    with _file(path).open("rb") as stream:
        text = stream.read(MAX_JSON + 1)
    if len(text) > MAX_JSON:
        raise ModelError(f"Expected at most {MAX_JSON >> 20} MiB of {path.name}; the bundle's is bigger.")
    return text

"""The published bundles of a campaign: all versions, the deployed one of each model, and the history.

    <studies>/.uniultra/adapters/<id>/         a bundle; its id is derived from its content and never changes
    <studies>/.uniultra/adapters/current.json  the deployed bundle of each model, and the history of changes

A bundle's folder is complete and synced to disk before `current.json` names it, and that file is replaced
atomically: after a crash at any moment either the previous bundle or the new one is deployed. Every change
holds the folder's write lock from reading the deployed bundle to replacing the file, so that of two trainings
that started from the same bundle only the first can replace it. Readers take no lock: they see the old file
or the new one.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from uniultra.errors import ModelError
from uniultra.files import atomic, checksummed
from uniultra.files.lock import WriteLock
from uniultra.weights import bundle, loading

FOLDER = Path(".uniultra") / "adapters"
CURRENT = "current.json"
HISTORY = 1000  # most recent changes kept
ANY = "any"  # bundle, or the model's own weights
_ID = re.compile(r"[0-9a-f]{10}-[0-9]{1,6}")
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{10}-[0-9]{1,6}$")]
Stamp = tuple[int, int, int]
What = Literal["published", "rolled back", "imported"]


class ChangedError(ModelError):
    """Another bundle is deployed than the expected one."""


class Change(BaseModel):
    """A change of a model's deployed bundle; `id` None stands for the model's own weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: datetime
    model: str = Field(max_length=100)
    what: What
    id: Id | None


class Current(BaseModel):
    """Content of `current.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    models: dict[str, Id | None] = {}
    history: tuple[Change, ...] = ()


class Published:
    """The published bundles of a studies folder, which several processes may share.

    Args:
        studies: the studies folder; the constructor neither reads nor writes.

    Example:
        >>> import tempfile
        >>> from uniultra.weights import bundle, loading
        >>> network, digest = loading.load("uniultra_mini")
        >>> with tempfile.TemporaryDirectory() as temporary:
        ...     folder, published = Path(temporary, "bundle"), Published(Path(temporary, "studies"))
        ...     before = published.current("uniultra_mini")  # None: the model's own weights
        ...     _ = bundle.save(folder, network, "uniultra_mini", over=(digest, (".ch_adapters.",)))
        ...     new = published.publish(folder)
        ...     deployed = published.current("uniultra_mini")
        ...     rolled_back = published.rollback("uniultra_mini")
        >>> before, deployed == new, rolled_back
        (None, True, None)
    """

    def __init__(self, studies: Path) -> None:
        self.folder = studies / FOLDER
        self._lock = WriteLock(self.folder / ".lock")

    # reading

    def stamp(self) -> Stamp | None:
        """A value that changes whenever another bundle is deployed; costs one `stat`."""
        try:
            file = (self.folder / CURRENT).stat()
        except OSError:
            return None
        return file.st_mtime_ns, file.st_size, file.st_ino

    def read(self) -> Current:
        """Read the deployed bundles and the history.

        Raises:
            ModelError: the file is damaged.
        """
        try:
            body = checksummed.opened((self.folder / CURRENT).read_bytes())
            return Current.model_validate_json(json.dumps(body))
        except FileNotFoundError:
            return Current()
        except (OSError, ValueError):
            raise ModelError(
                "Expected current.json of the published adapters; it is damaged. Delete it to deploy the "
                "models' own weights, then choose with `uniultra adapters rollback --to ID`."
            ) from None

    def current(self, model: str) -> str | None:
        """ID of a model's deployed bundle; None for its own weights.

        Raises:
            ModelError: see `read`.
        """
        return self.read().models.get(model)

    def ids(self) -> list[str]:
        """IDs of all bundles in the folder, ordered by their number."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(filter(_ID.fullmatch, names), key=_number)

    def path(self, bundle_id: str) -> Path:
        """Folder of a bundle.

        Raises:
            ModelError: no bundle has this ID.
        """
        folder = self.folder / bundle_id
        if not _ID.fullmatch(bundle_id) or not folder.is_dir():
            raise ModelError("No published bundle has this ID; see `uniultra adapters list`.")
        return folder

    # changes

    def add(self, folder: Path, *, model: str | None = None) -> str:
        """Validate a bundle and copy it into the folder without deploying it; its ID. The same bundle added
        again keeps its ID.

        Raises:
            ModelError: it is damaged, of another base, does not fit, or is not of `model`.
        """
        loading.assemble(folder, name=model)
        digest = bundle.describe(folder)[1].weights_sha256[:10]
        with self._lock:
            ids = self.ids()
            for bundle_id in ids:
                if bundle_id.startswith(digest) and _same(self.folder / bundle_id, folder):
                    return bundle_id
            new = f"{digest}-{1 + max(map(_number, ids), default=0)}"
            with self._staged() as staged:
                for name in bundle.FILES:
                    atomic.copy(folder / name, staged / name)
                atomic.sync_folder(staged)
                atomic.move(staged, self.folder / new)
            return new

    def publish(self, folder: Path, *, what: What = "published", instead_of: str | None = ANY) -> str:
        """Add a bundle and deploy it; its ID.

        Args:
            folder: folder of the bundle.
            what: the change's name in the history.
            instead_of: ID of the bundle that must be deployed until then, None for the model's own weights;
                default ANY, no condition.

        Raises:
            ChangedError: another one is deployed; nothing was added.
            ModelError: see `add`.
        """
        model = bundle.describe(folder)[0].model
        with self._lock:
            if instead_of not in (ANY, self.current(model)):
                raise ChangedError(
                    "Expected the adapter that this one was compared with to be deployed still; another one "
                    "is now. Compare it with that one."
                )
            new = self.add(folder)
            self._choose(model, new, what)
        return new

    def rollback(self, model: str, to: str | None = None, *, own: bool = False) -> str | None:
        """Deploy the bundle before the current one, or `to`, or the model's `own` weights.

        Returns the ID of the deployed bundle, None for the model's own weights.

        Raises:
            ModelError: unknown bundle, one of another model or that does not fit, or nothing was published.
        """
        if to is not None:
            loading.assemble(self.path(to), name=model)
        with self._lock:
            if to is None and not own:
                to = self._before(model)
            self._choose(model, to, "rolled back")
        return to

    def _before(self, model: str) -> str | None:
        """The bundle deployed before the current one, not counting those that were rolled back."""
        current = self.read()
        if current.models.get(model) is None:
            raise ModelError(f"{model!r} is deployed with its own weights; there is nothing to go back to.")
        lineage = _lineage(change for change in current.history if change.model == model)
        return next((earlier for earlier in reversed(lineage[:-1]) if (self.folder / earlier).is_dir()), None)

    def _choose(self, model: str, chosen: str | None, what: What) -> None:
        with self._lock:
            before = self.read()
            change = Change(when=datetime.now(UTC), model=model, what=what, id=chosen)
            history = (*before.history, change)[-HISTORY:]
            after = Current(models={**before.models, model: chosen}, history=history)
            body = checksummed.seal(after.model_dump(mode="json"))
            atomic.write(self.folder / CURRENT, (json.dumps(body, indent=1) + "\n").encode())

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        """A temporary folder beside the bundles, deleted at the end unless it was moved."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for stale in self.folder.glob(".*.part"):  # left by a crash: only the lock's holder creates them
            shutil.rmtree(stale, ignore_errors=True)
        staged = self.folder / f".{secrets.token_hex(8)}.part"
        staged.mkdir()
        try:
            yield staged
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _lineage(changes: Iterable[Change]) -> list[str]:
    """The bundles from the model's own weights to the deployed one, without those that were rolled back.

    A rollback to an earlier bundle removes all after its last deployment, so that a second rollback goes
    further back and never forward to a bundle that was taken back.
    """
    lineage: list[str] = []
    for change in changes:
        if change.id is None:
            lineage = []
        elif change.what == "rolled back" and change.id in lineage:
            while lineage[-1] != change.id:
                lineage.pop()
        elif lineage[-1:] != [change.id]:
            lineage.append(change.id)
    return lineage


def _number(bundle_id: str) -> int:
    return int(bundle_id.partition("-")[2])


def _same(left: Path, right: Path) -> bool:
    """Whether two bundles have the same description, which includes the SHA-256 of the weights."""
    names = (bundle.CONFIG, bundle.MANIFEST)
    return all((left / name).read_bytes() == (right / name).read_bytes() for name in names)

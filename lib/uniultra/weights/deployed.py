"""The bundles of a campaign: which there are, which of them answer, and which answered before.

    <studies>/.uniultra/adapters/<id>/         a bundle; its id is of its content and never changes
    <studies>/.uniultra/adapters/current.json  which one each model answers with, and what was done when

A bundle's folder is whole before `current.json` names it, and that file is replaced as a whole: a crash at
any moment leaves the bundle that answered before, or the new one.
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
HISTORY = 1000  # entries that are kept
ANY = "any"  # whatever answers
_ID = re.compile(r"[0-9a-f]{10}-[0-9]{1,6}")
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{10}-[0-9]{1,6}$")]
Stamp = tuple[int, int, int]


class ChangedError(ModelError):
    """Another bundle answers than the one that was expected to."""


class Change(BaseModel):
    """One change of what a model answers with; `id` None is the model's own weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: datetime
    model: str = Field(max_length=100)
    what: Literal["published", "rolled back", "imported"]
    id: Id | None


class Current(BaseModel):
    """What `current.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    models: dict[str, Id | None] = {}
    history: tuple[Change, ...] = ()


class Published:
    """The bundles of a studies folder; several processes may share it.

    Args:
        studies: the folder; nothing is read or written before it is asked for.
    """

    def __init__(self, studies: Path) -> None:
        self.folder = studies / FOLDER
        self._lock = WriteLock(self.folder / ".lock")

    # what there is

    def stamp(self) -> Stamp | None:
        """Changes whenever another bundle answers: one look at a file's date, size and number."""
        try:
            found = (self.folder / CURRENT).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read(self) -> Current:
        """Which bundles answer, and what was done.

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
                "Expected current.json of the published adapters; it is damaged. Delete it to answer with "
                "the models' own weights, then choose with `uniultra adapters rollback --to ID`."
            ) from None

    def current(self, model: str) -> str | None:
        """Id of the bundle that a model answers with; None for its own weights.

        Raises:
            ModelError: see `read`.
        """
        return self.read().models.get(model)

    def ids(self) -> list[str]:
        """Ids of all bundles here, in the order of their numbers."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(filter(_ID.fullmatch, names), key=_number)

    def path(self, bundle_id: str) -> Path:
        """The folder of a bundle.

        Raises:
            ModelError: there is none of that id.
        """
        folder = self.folder / bundle_id
        if not _ID.fullmatch(bundle_id) or not folder.is_dir():
            raise ModelError("There is no bundle of that id here; see `uniultra adapters list`.")
        return folder

    # changes

    def add(self, folder: Path, *, model: str | None = None) -> str:
        """Take a bundle in, after all of it was checked; it does not answer yet. A bundle twice has one id.

        Raises:
            ModelError: it is damaged, of another base, does not fit, or is not of `model`.
        """
        loading.assemble(folder, name=model)
        digest = bundle.describe(folder)[1].weights_sha256[:10]
        with self._lock:
            known = self.ids()
            for one in known:
                if one.startswith(digest) and _same(self.folder / one, folder):
                    return one
            new = f"{digest}-{1 + max(map(_number, known), default=0)}"
            with self._staged() as staged:
                for name in (bundle.CONFIG, bundle.MANIFEST, bundle.WEIGHTS):
                    atomic.copy(folder / name, staged / name)
                atomic.sync_folder(staged)
                atomic.move(staged, self.folder / new)
            return new

    def publish(
        self,
        folder: Path,
        *,
        what: Literal["published", "imported"] = "published",
        instead_of: str | None = ANY,
    ) -> str:
        """Take a bundle in and let its model answer with it; its id.

        Args:
            folder: of the bundle.
            what: for the history.
            instead_of: id of the bundle that has to answer until then, None for the model's own weights,
                ANY for whatever answers.

        Raises:
            ChangedError: another one answers; nothing was taken in.
            ModelError: see `add`.
        """
        model = bundle.describe(folder)[0].model
        with self._lock:  # nobody chooses another one between the look and the change
            if instead_of not in (ANY, self.current(model)):
                raise ChangedError(
                    "Expected the model to answer with the adapter that this one was measured against; it "
                    "answers with another one now. Measure it against that one."
                )
            new = self.add(folder)
            self._choose(model, new, what)
        return new

    def rollback(self, model: str, to: str | None = None, *, own: bool = False) -> str | None:
        """Let a model answer with the bundle before the present one, or with `to`, or its `own` weights.

        Returns the id of what answers now, None for the model's own weights.

        Raises:
            ModelError: no such bundle, it is of another model or does not fit, or nothing was published.
        """
        if to is not None:
            loading.assemble(self.path(to), name=model)
        elif not own:
            to = self._before(model)
        self._choose(model, to, "rolled back")
        return to

    def _before(self, model: str) -> str | None:
        """What answered before the present bundle, without what was rolled back."""
        found = self.read()
        now = found.models.get(model)
        if now is None:
            raise ModelError(f"{model!r} answers with its own weights; there is nothing to go back to.")
        line = _line(change for change in found.history if change.model == model)
        return next((one for one in reversed(line[:-1]) if (self.folder / one).is_dir()), None)

    def _choose(
        self, model: str, chosen: str | None, what: Literal["published", "rolled back", "imported"]
    ) -> None:
        with self._lock:
            found = self.read()
            change = Change(when=datetime.now(UTC), model=model, what=what, id=chosen)
            after = Current(
                models={**found.models, model: chosen}, history=(*found.history, change)[-HISTORY:]
            )
            body = checksummed.seal(after.model_dump(mode="json"))
            atomic.write(self.folder / CURRENT, (json.dumps(body, indent=1) + "\n").encode())

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        """A new folder beside the bundles, deleted at the end if nobody moved it away."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".*.part"):  # of a crash: whoever is here holds the lock
            shutil.rmtree(left, ignore_errors=True)
        staged = self.folder / f".{secrets.token_hex(8)}.part"
        staged.mkdir()
        try:
            yield staged
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _line(changes: Iterable[Change]) -> list[str]:
    """The bundles from the model's own weights to the one that answers, without what was rolled back."""
    line: list[str] = []
    for change in changes:
        if change.id is None:
            line = []
        elif change.what == "rolled back" and change.id in line:
            while line[-1] != change.id:
                line.pop()
        elif line[-1:] != [change.id]:
            line.append(change.id)
    return line


def _number(bundle_id: str) -> int:
    return int(bundle_id.partition("-")[2])


def _same(one: Path, other: Path) -> bool:
    """Whether two bundles have the same description, weights included."""
    if one.samefile(other):
        return True
    names = (bundle.CONFIG, bundle.MANIFEST)
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)

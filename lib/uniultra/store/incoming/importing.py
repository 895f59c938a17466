"""Masks that exist already, brought into the label store: what does not fit is named, the rest comes in."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from uniultra.errors import ImageError, RequestError, UniUltraError
from uniultra.images import read_image, write_mask
from uniultra.images.types import AxisKind
from uniultra.store.catalogue.ids import split_name
from uniultra.store.labels.files import EXTENSIONS
from uniultra.store.labels.labelmap import LabelMap, read_labelmap
from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion

Frames = Literal["marked", "all"]


@dataclass(frozen=True)
class Pair:
    """A mask and the image it is said to belong to: an id, a path in the studies folder, or a stem."""

    image: str
    mask: Path


@dataclass(frozen=True)
class Choices:
    """How masks come in.

    Attributes:
        annotator: whose they are.
        tag: of the labels.
        indices: the campaign's structures; a mask has no other values. Empty: any value.
        structure: name of the one that all marked pixels are, whatever their value.
        frames: of a cine, those that count as done: the marked ones, or all.
        as_stored: do not compare where mask and image lie in space.
        beside: other annotators' labels may be there already.
    """

    annotator: str
    tag: str = "final"
    indices: Mapping[str, int] = field(default_factory=dict)
    structure: str | None = None
    frames: Frames = "marked"
    as_stored: bool = False
    beside: bool = False


@dataclass
class Imported:
    """What came in: versions, and of the others the mask's name and the reason."""

    versions: list[LabelVersion] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def pairs_in(folder: Path, suffix: str = "") -> list[Pair]:
    """A pair for each mask in a folder, whose stem without `suffix` names its image.

    Raises:
        RequestError: no folder, or no masks in it.
    """
    if not folder.is_dir():
        raise RequestError("Expected a folder of masks, or a CSV file; there is none of that name.")
    pairs = []
    for file in sorted(folder.iterdir()):
        stem, ext = split_name(file.name)
        mask = file.is_file() and not file.name.startswith(".") and ext.lower() in EXTENSIONS
        if mask and stem.endswith(suffix):
            pairs.append(Pair(stem[: len(stem) - len(suffix)], file))
    if not pairs:
        raise RequestError(
            f"Expected masks ({', '.join(EXTENSIONS)}) in that folder"
            f"{f', their names ending in {suffix!r}' if suffix else ''}; there are none."
        )
    return pairs


def pairs_of(manifest: Path) -> list[Pair]:
    """The pairs of a CSV file with the columns `image` and `mask`; a mask's path is relative to the file.

    Raises:
        RequestError: it cannot be read, or has other columns.
    """
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, ValueError, csv.Error):
        raise RequestError("Expected a CSV file in UTF-8; it cannot be read.") from None
    if not rows or not all(row.get("image") and row.get("mask") for row in rows):
        raise RequestError("Expected the columns image and mask, filled in on each line; some are missing.")
    return [Pair(row["image"], manifest.parent / row["mask"]) for row in rows]


def bring_in(
    store: LabelStore,
    pairs: Sequence[Pair],
    how: Choices,
    told: Callable[[int], None] = lambda done: None,
) -> Imported:
    """Save masks as labels of their images; nothing that is there is replaced.

    Args:
        store: of the studies folder.
        pairs: see `Pair`.
        how: see `Choices`.
        told: is called with how many are done.

    Raises:
        RequestError: the campaign has no such structure.
    """
    if how.structure is not None and how.indices and how.structure not in how.indices:
        raise RequestError(
            f"Expected a structure of the campaign ({', '.join(how.indices)}); got another name."
        )
    store.ready()
    found, known = Imported(), _names(store)
    for number, pair in enumerate(pairs, 1):
        try:
            image = _image(pair, known)
            _check_free(store.versions(image), how)
            found.versions.append(_save(store, image, pair.mask, how))
        except UniUltraError as error:
            found.left_out.append((pair.mask.name, str(error)))
        told(number)
    return found


def _names(store: LabelStore) -> dict[str, list[str]]:
    """Ids of the images by path, by name and by stem of the file; the id itself comes first."""
    known: dict[str, list[str]] = {}
    ids = store.images.listed()
    for image, record in store.images.records(ids).items():
        path = PurePosixPath(record.path)
        for name in {record.path, path.name, split_name(path.name)[0]}:
            known.setdefault(name, []).append(image)
    return known | {image: [image] for image in ids}


def _image(pair: Pair, known: Mapping[str, Sequence[str]]) -> str:
    found = known.get(pair.image) or known.get(PurePosixPath(pair.image).as_posix(), ())
    if len(found) > 1:
        raise RequestError("Several images have that name. Name its id in a CSV file.")
    if not found:
        raise RequestError("No image of the studies folder has that id, path or name.")
    return found[0]


def _check_free(there: Sequence[LabelVersion], how: Choices) -> None:
    """Refuse to stand in the place of somebody's label."""
    same = [version for version in there if version.tag == how.tag]
    if any(version.annotator == how.annotator for version in same):
        raise RequestError("This annotator's label of that image is there already; it stays.")
    if same and not how.beside:
        raise RequestError(
            "Somebody's label of that image is there already; it stays. With --beside both are kept."
        )


def _save(store: LabelStore, image: str, mask: Path, how: Choices) -> LabelVersion:
    if not mask.is_file():
        raise RequestError("There is no such mask.")
    opened = read_image(store.images.path(image))
    values = _structures(read_labelmap(mask, opened, as_stored=how.as_stored), how)
    frames: list[int] | None = None
    if opened.axis_kind is AxisKind.CINE and how.frames == "marked":
        frames = np.flatnonzero(values.any((1, 2))).tolist()
        if not frames:
            raise RequestError("No frame of the cine is marked. With --frames all, all count as empty.")
    with tempfile.TemporaryDirectory(prefix="uniultra-") as folder:
        file = Path(folder) / "label.nrrd"
        write_mask(values, opened, file)
        done = range(opened.shape[0]) if frames is None else frames
        return store.save(image, file, tag=how.tag, annotator=how.annotator, frames=done)


def _structures(values: LabelMap, how: Choices) -> LabelMap:
    """The values as the campaign has them.

    Raises:
        ImageError: one that is no structure's.
    """
    marked = [int(value) for value in np.unique(values) if value]
    if how.structure is not None or (len(how.indices) == 1 and len(marked) == 1):
        index = how.indices.get(how.structure or next(iter(how.indices)), 1)
        return np.where(values > 0, np.uint8(index), np.uint8(0))
    if how.indices and not set(marked) <= set(how.indices.values()):
        have, want = (", ".join(map(str, sorted(some))) for some in (marked, how.indices.values()))
        raise ImageError(
            f"Expected the values of the campaign's structures ({want}); got {have}. "
            "Name the structure with --label if the mask is of one."
        )
    return values

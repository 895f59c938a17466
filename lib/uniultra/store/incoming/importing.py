"""Imports existing masks as labels; masks that do not fit are reported, the others are saved."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from uniultra.errors import ImageError, RequestError, UniUltraError
from uniultra.images import read_image
from uniultra.images.types import AxisKind
from uniultra.store.catalogue.ids import split_name
from uniultra.store.labels.files import EXTENSIONS
from uniultra.store.labels.labelmap import LabelMap, label_file, read_labelmap
from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion

Frames = Literal["marked", "all"]


@dataclass(frozen=True)
class MaskPair:
    """A mask and its image, given as an id, a path in the studies folder, or a stem."""

    image: str
    mask: Path


@dataclass(frozen=True)
class ImportChoices:
    """Options of an import.

    Attributes:
        annotator: author of the masks.
        tag: of the labels.
        indices: structures of the campaign, the only values allowed in a mask; default: any value.
        structure: name of the structure of all marked pixels, whatever their value; default: by value.
        frames: labelled frames of a cine: the marked ones, or all.
        as_stored: ignore the geometry of the masks.
        beside: import also where another annotator has a label.
    """

    annotator: str
    tag: str = "final"
    indices: Mapping[str, int] = field(default_factory=dict)
    structure: str | None = None
    frames: Frames = "marked"
    as_stored: bool = False
    beside: bool = False


@dataclass
class ImportedLabels:
    """Result of an import: saved versions, and name and reason of each mask that was left out."""

    versions: list[LabelVersion] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def pairs_in(folder: Path, suffix: str = "") -> list[MaskPair]:
    """A pair for each mask in a folder, whose stem without `suffix` names its image.

    Raises:
        RequestError: no folder, or no masks in it.
    """
    if not folder.is_dir():
        raise RequestError("Expected a folder of masks, or a CSV file; it does not exist.")
    pairs = []
    for file in sorted(folder.iterdir()):
        stem, ext = split_name(file.name)
        mask = file.is_file() and not file.name.startswith(".") and ext.lower() in EXTENSIONS
        if mask and stem.endswith(suffix):
            pairs.append(MaskPair(stem[: len(stem) - len(suffix)], file))
    if not pairs:
        raise RequestError(
            f"Expected masks ({', '.join(EXTENSIONS)}) in that folder"
            f"{f', their names ending in {suffix!r}' if suffix else ''}; found none."
        )
    return pairs


def pairs_of(manifest: Path) -> list[MaskPair]:
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
    return [MaskPair(row["image"], manifest.parent / row["mask"]) for row in rows]


def bring_in(
    store: LabelStore,
    pairs: Sequence[MaskPair],
    how: ImportChoices,
    report: Callable[[int], None] = lambda done: None,
) -> ImportedLabels:
    """Save masks as labels of their images; no label is replaced.

    Args:
        store: of the studies folder.
        pairs: see `MaskPair`.
        how: see `ImportChoices`.
        report: called with the number of masks done.

    Raises:
        RequestError: the campaign has no such structure.
    """
    if how.structure is not None and how.indices and how.structure not in how.indices:
        raise RequestError(
            f"Expected a structure of the campaign ({', '.join(how.indices)}); got another name."
        )
    store.ready()
    imported, ids = ImportedLabels(), _names(store)
    for number, pair in enumerate(pairs, 1):
        try:
            image = _image(pair, ids)
            _check_free(store.versions(image), how)
            imported.versions.append(_save(store, image, pair.mask, how))
        except UniUltraError as error:
            imported.left_out.append((pair.mask.name, str(error)))
        report(number)
    return imported


def _names(store: LabelStore) -> dict[str, list[str]]:
    """Ids by path, name and stem of the image files, and by id, which takes precedence."""
    names: dict[str, list[str]] = {}
    ids = store.images.listed()
    for image, record in store.images.records(ids).items():
        path = PurePosixPath(record.path)
        for name in {record.path, path.name, split_name(path.name)[0]}:
            names.setdefault(name, []).append(image)
    return names | {image: [image] for image in ids}


def _image(pair: MaskPair, names: Mapping[str, Sequence[str]]) -> str:
    ids = names.get(pair.image) or names.get(PurePosixPath(pair.image).as_posix(), ())
    if len(ids) > 1:
        raise RequestError("Several images have that name. Name its id in a CSV file.")
    if not ids:
        raise RequestError("No image of the studies folder has that id, path or name.")
    return ids[0]


def _check_free(versions: Sequence[LabelVersion], how: ImportChoices) -> None:
    """Refuse to replace an existing label."""
    same = [version for version in versions if version.tag == how.tag]
    if any(version.annotator == how.annotator for version in same):
        raise RequestError("This annotator has a label of that image already; it is kept.")
    if same and not how.beside:
        raise RequestError("Another annotator has a label of that image already. Use --beside to keep both.")


def _save(store: LabelStore, image: str, mask: Path, how: ImportChoices) -> LabelVersion:
    if not mask.is_file():
        raise RequestError("There is no such mask.")
    opened = read_image(store.images.path(image))
    values = _structures(read_labelmap(mask, opened, as_stored=how.as_stored), how)
    frames: list[int] | None = None
    if opened.axis_kind is AxisKind.CINE and how.frames == "marked":
        frames = np.flatnonzero(values.any((1, 2))).tolist()
        if not frames:
            raise RequestError("No frame of the cine is marked. Use --frames all to import it as empty.")
    with label_file(values, opened) as file:
        done = range(opened.shape[0]) if frames is None else frames
        return store.save(image, file, tag=how.tag, annotator=how.annotator, frames=done)


def _structures(values: LabelMap, how: ImportChoices) -> LabelMap:
    """Map the values of a mask to the campaign's structures.

    Raises:
        ImageError: a value belongs to no structure.
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

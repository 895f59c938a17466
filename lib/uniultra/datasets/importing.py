"""Imports a public data set into a folder that `manifest` reads: pictures, 1-bit masks, a row per label.

Everything is read and written to a staging folder first: if any picture cannot be read, nothing changes.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock
from tqdm import tqdm

from uniultra.datasets.imported_folder import Line, adopt, fit, read, store
from uniultra.datasets.readers.types import DatasetLayout, Label, SourcePair, SourcePicture, Split
from uniultra.errors import ImageError

Shares = tuple[float, float, float]


@dataclass(frozen=True)
class ImportSummary:
    """Counts of an import.

    Attributes:
        rows: number of rows by data set and split.
        groups: number of groups.
        calibrated: number of pictures with a known pixel pitch.
        pictures: number of imported pictures.
        left_out: number of pictures of the source that were skipped for want of a usable label.
    """

    rows: dict[str, Counter[str]]
    groups: int
    calibrated: int
    pictures: int
    left_out: int


def import_set(
    layout: DatasetLayout,
    source: Path,
    output: Path,
    *,
    shares: Shares = (0.7, 0.1, 0.2),
    labels: Sequence[str] = (),
    side: int = 512,
) -> ImportSummary:
    """Import the data set in `source` into `output`; its former import is replaced, other sets are kept.

    Args:
        layout: the layout of `source`.
        source: folder of the unpacked data set; it is only read.
        output: created if it does not exist; nothing outside it is written.
        shares: fractions of train, val and test among the groups that the source itself does not assign.
        labels: names of the labels to import; empty for all.
        side: longest side of the stored pictures in pixels; smaller pictures are not resampled for it.

    Raises:
        ImageError: the source has another layout or is damaged; `output` is inside it, links to another
            folder or holds other data; or a label is unknown.
    """
    selected = _selected(layout, labels)
    datasets = [label.dataset for label in selected]
    _check_output(source, output, datasets)
    listing = layout.read(source)
    names = _names(listing.pictures)
    output.mkdir(parents=True, exist_ok=True)
    staging = TemporaryDirectory(prefix=".", suffix=".part", dir=output, ignore_cleanup_errors=True)
    with FileLock(output / ".manifest.lock"), staging as name_of_folder:
        folder, lines = Path(name_of_folder), read(output)
        _check_origin(lines, datasets, layout)
        kept = [line for line in lines if line["dataset"] not in datasets]
        splits = place(listing.pictures, layout.name, shares, {line["group"]: line["split"] for line in kept})
        stored: list[list[Line]] = []
        for name, picture in zip(names, tqdm(listing.pictures, desc=f"importing {layout.name}"), strict=True):
            try:
                pair = _checked(picture.load())
            except ImageError as error:
                number = f"{len(stored) + 1} of {len(names)}"
                raise ImageError(f"Picture {number}, in order of names: {error}") from None
            fitted, (height, width, *_) = fit(pair, side), pair.picture.shape
            common = {
                "id": name,
                "split": splits[_group(layout.name, picture)],
                "group": _group(layout.name, picture),
                "hc_mm": "" if picture.hc_mm is None else f"{picture.hc_mm:g}",
                "licence": layout.licence,
                "origin": layout.origin,
            }
            stored.append(
                [common | store(folder, label, name, fitted, (height, width)) for label in selected]
            )
        adopt(folder, output, kept, [line for lines in zip(*stored, strict=True) for line in lines])
    first = [lines[0] for lines in stored]
    return ImportSummary(
        {dataset: Counter(line["split"] for line in first) for dataset in datasets},
        groups=len({line["group"] for line in first}),
        calibrated=sum(bool(line["spacing_mm"]) for line in first),
        pictures=len(first),
        left_out=listing.left_out,
    )


def place(
    pictures: Sequence[SourcePicture], layout: str, shares: Shares, earlier: dict[str, str]
) -> dict[str, str]:
    """The split of each group `LAYOUT-GROUP`, the same for all its pictures.

    A split in `earlier` takes precedence (another label of the same pictures was imported before), then the
    source's own split (the strictest where it divides a group), then the hash of the group's name, which
    keeps a group's split when pictures are added. Where the source has its own test split, hashing adds no
    group to it.
    """
    own: dict[str, set[Split]] = {}
    for picture in pictures:
        own.setdefault(_group(layout, picture), set()).update({picture.split} if picture.split else ())
    train, val, test = shares
    if train + val > 0 and any("test" in parts for parts in own.values()):
        train, val, test = train / (train + val), val / (train + val), 0.0
    order: tuple[Split, ...] = ("test", "val", "train")
    splits: dict[str, str] = {}
    for group, parts in own.items():
        digest = hashlib.sha256(group.encode()).digest()
        drawn = int.from_bytes(digest[:8]) / 2**64
        # A share of 0 gets no group, whatever the rounding of the other two.
        hashed = "train" if drawn < train else "test" if test and drawn >= train + val else "val"
        splits[group] = earlier.get(group) or next((s for s in order if s in parts), hashed)
    return splits


def _group(layout: str, picture: SourcePicture) -> str:
    return f"{layout}-{picture.group}"


def _checked(pair: SourcePair) -> SourcePair:
    wrong = [mask.shape for mask in pair.masks.values() if mask.shape != pair.picture.shape]
    if wrong:
        raise ImageError(
            f"Expected a mask of the picture's size {pair.picture.shape}; got {wrong[0]} (rows, columns)."
        )
    spacing = pair.spacing_mm
    if spacing is not None and not all(math.isfinite(pitch) and pitch > 0 for pitch in spacing):
        raise ImageError("Expected a pixel pitch above 0 mm; the source has an invalid one.")
    return pair


def _names(pictures: Sequence[SourcePicture]) -> list[str]:
    """File names of characters that every operating system accepts.

    Raises:
        ImageError: two pictures would have the same name.
    """
    names = [re.sub(r"[^A-Za-z0-9._-]+", "_", picture.id).strip("._") for picture in pictures]
    # Some file systems ignore case.
    if len({name.lower() for name in names}) < len(names) or not all(names):
        raise ImageError("Expected unique picture names; two are alike. Give the folder of one release.")
    return names


def _selected(layout: DatasetLayout, labels: Sequence[str]) -> list[Label]:
    available = [label.name for label in layout.labels]
    unknown = [name for name in labels if name not in available]
    if unknown:
        raise ImageError(f"Unknown label {unknown[0]!r}; {layout.name} has {', '.join(available)}.")
    return [label for label in layout.labels if not labels or label.name in labels]


def _check_output(source: Path, output: Path, datasets: Sequence[str]) -> None:
    """Refuse an output inside the source, or with links to folders outside it."""
    real = output.resolve()
    if real.is_relative_to(source.resolve()):
        raise ImageError("Expected an output folder outside the data set's own; choose another.")
    for dataset in datasets:
        for part in ("images", "masks"):
            if not (output / dataset / part).resolve().is_relative_to(real):
                raise ImageError(f"The folder {dataset} links to a folder outside the output; remove it.")


def _check_origin(lines: Sequence[Line], datasets: Sequence[str], layout: DatasetLayout) -> None:
    """Refuse to replace a data set that did not come from this layout."""
    foreign = [line for line in lines if line["dataset"] in datasets and line["origin"] != layout.origin]
    if foreign:
        raise ImageError(
            f"The output folder has a set {foreign[0]['dataset']} of another origin; choose another folder."
        )

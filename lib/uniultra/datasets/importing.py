"""A public data set into a folder that `manifest` reads: pictures, 1-bit masks, one row for each label.

Everything is read and written aside first: what cannot be read whole changes nothing.
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
    """What an import brought in.

    Attributes:
        rows: by data set and split.
        groups: how many there are.
        calibrated: pictures with a known pitch.
        pictures: how many were brought in.
        left_out: pictures of the source without a usable label.
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
    """Bring the set in `source` into `output`; other sets of its manifest stay, the same one is replaced.

    Args:
        layout: how `source` is laid out.
        source: only read.
        output: made if need be; nothing outside it is written.
        shares: of train, val and test among the groups that the source itself does not place.
        labels: names of the labels to bring in, none for all.
        side: longest side of what is stored; smaller pictures stay as they are.

    Raises:
        ImageError: the source is not laid out like that or damaged; `output` lies in it, leads elsewhere or
            holds something else; or there is no label of such a name.
    """
    wanted = _wanted(layout, labels)
    datasets = [label.dataset for label in wanted]
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
        made: list[list[Line]] = []
        for name, picture in zip(names, tqdm(listing.pictures, desc=f"importing {layout.name}"), strict=True):
            try:
                fitted = fit(_checked(picture.load()), side)
            except ImageError as error:
                number = f"{len(made) + 1} of {len(names)}"
                raise ImageError(f"Picture {number}, in order of names: {error}") from None
            common = {
                "id": name,
                "split": splits[_group(layout.name, picture)],
                "group": _group(layout.name, picture),
                "hc_mm": "" if picture.hc_mm is None else f"{picture.hc_mm:g}",
                "licence": layout.licence,
                "origin": layout.origin,
            }
            made.append([common | store(folder, label, name, fitted) for label in wanted])
        adopt(folder, output, kept, [line for lines in zip(*made, strict=True) for line in lines])
    first = [lines[0] for lines in made]
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

    First comes what `earlier` says (another label of the same pictures was imported before), then the
    source's own split (the strictest where it divides a group), then the hash of the group's name. Where
    the source has a test part of its own, hashing adds nothing to it.
    """
    own: dict[str, set[Split]] = {}
    for picture in pictures:
        own.setdefault(_group(layout, picture), set()).update({picture.split} if picture.split else ())
    train, val, test = shares
    if train + val > 0 and any("test" in found for found in own.values()):
        train, val, test = train / (train + val), val / (train + val), 0.0
    order: tuple[Split, ...] = ("test", "val", "train")
    splits: dict[str, str] = {}
    for group, found in own.items():
        digest = hashlib.sha256(group.encode()).digest()
        drawn = int.from_bytes(digest[:8]) / 2**64
        # Rounding must not make a test part where there is to be none.
        hashed = "train" if drawn < train else "test" if test and drawn >= train + val else "val"
        splits[group] = earlier.get(group) or next((s for s in order if s in found), hashed)
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
        raise ImageError("Expected a pixel pitch above 0 mm; the source has another.")
    return pair


def _names(pictures: Sequence[SourcePicture]) -> list[str]:
    """Names for files, of letters that every system takes.

    Raises:
        ImageError: two pictures would have the same.
    """
    found = [re.sub(r"[^A-Za-z0-9._-]+", "_", picture.id).strip("._") for picture in pictures]
    # Some file systems do not tell capital letters apart.
    if len({name.lower() for name in found}) < len(found) or not all(found):
        raise ImageError("Expected each picture's name once; two are alike. Give the folder of one release.")
    return found


def _wanted(layout: DatasetLayout, labels: Sequence[str]) -> list[Label]:
    known = {label.name: label for label in layout.labels}
    unknown = [name for name in labels if name not in known]
    if unknown:
        raise ImageError(f"Unknown label {unknown[0]!r}; {layout.name} has {', '.join(known)}.")
    return [label for label in layout.labels if not labels or label.name in labels]


def _check_output(source: Path, output: Path, datasets: Sequence[str]) -> None:
    """Refuse an output inside the source, or with links that lead out of it."""
    real = output.resolve()
    if real.is_relative_to(source.resolve()):
        raise ImageError("Expected an output folder outside the data set's own; choose another.")
    for dataset in datasets:
        for part in ("images", "masks"):
            if not (output / dataset / part).resolve().is_relative_to(real):
                raise ImageError(f"The folder {dataset} of the output leads out of it; remove that link.")


def _check_origin(lines: Sequence[Line], datasets: Sequence[str], layout: DatasetLayout) -> None:
    """Refuse to replace a set that did not come from this layout."""
    foreign = [line for line in lines if line["dataset"] in datasets and line["origin"] != layout.origin]
    if foreign:
        raise ImageError(
            f"The output folder has a set {foreign[0]['dataset']} of another origin; choose another folder."
        )

"""Exports pictures and masks for `uniultra train --data`, without headers, names or patient data."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path

from uniultra.images.burned_in import burned_in
from uniultra.images.types import UltrasoundImage
from uniultra.store.exports.coco import write_png
from uniultra.store.exports.labelled import LabelledImage, LabelStructure, Names, frame_name

COLUMNS = (
    *("dataset", "id", "split", "group", "image", "mask", "width", "height", "spacing_mm"),
    *("structure", "mask_pixels", "revision", "burned_in"),
)
Shares = tuple[float, float, float]
_SQUARE = 1e-3  # relative tolerance of the two pixel spacings of a square pixel


class ManifestFolder:
    """Writes `manifest.csv` with a row for each labelled frame and structure, and the files in it.

    A picture and its masks are PNGs without metadata, at stored resolution; the masks have one bit, and an
    empty mask means that the structure is absent. `spacing_mm` is empty if pixels are not square.
    Names are hashes, because the images' own names are often the patients'.
    """

    def __init__(
        self,
        folder: Path,
        structures: Sequence[LabelStructure],
        title: str,
        *,
        shares: Shares = (0.7, 0.1, 0.2),
        keep_names: bool = False,
    ) -> None:
        self._folder, self._structures, self._shares = folder, structures, shares
        self._keep_names = keep_names
        self._sets = _sets(title, structures)
        self._names = Names()
        self._rows: list[dict[str, str]] = []
        (folder / "images").mkdir()

    def add(self, labelled: LabelledImage) -> int:
        """Write the labelled frames of an image and return their number.

        Raises:
            ImageError: a frame cannot be decoded; then none is written.
        """
        label, count = labelled.label, labelled.image.shape[0]
        stem = label.image if self._keep_names else _pseudonym(label.group, label.image)
        stem += labelled.marking
        common = {
            "split": split_of(label.group, self._shares),
            "group": label.group,
            "spacing_mm": _pitch(labelled.image),
            "height": str(labelled.image.shape[1]),
            "width": str(labelled.image.shape[2]),
            "revision": str(label.revision),
            "burned_in": burned_in(labelled.path),
        }
        for frame, picture in zip(labelled.frames, labelled.pictures(), strict=True):
            name = self._names.take(frame_name(stem, frame, count))
            write_png(self._folder / "images" / f"{name}.png", picture)
            for structure in self._structures:
                if structure.name in labelled.known:
                    self._rows.append({**common, **self._mask(name, labelled, frame, structure)})
        return len(labelled.frames)

    def _mask(
        self, name: str, labelled: LabelledImage, frame: int, structure: LabelStructure
    ) -> dict[str, str]:
        dataset = self._sets[structure.name]
        mask = labelled.values[frame] == structure.index
        file = Path("masks") / dataset / f"{name}.png"
        (self._folder / file.parent).mkdir(parents=True, exist_ok=True)
        write_png(self._folder / file, mask)
        return {
            "dataset": dataset,
            "id": name,
            "image": f"images/{name}.png",
            "mask": file.as_posix(),
            "structure": structure.name,
            "mask_pixels": str(int(mask.sum())),
        }

    def finish(self) -> None:
        """Write `manifest.csv`, rows of one structure together."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        order = list(self._sets.values())
        writer.writerows(sorted(self._rows, key=lambda row: order.index(row["dataset"])))
        (self._folder / "manifest.csv").write_text(text.getvalue(), encoding="utf-8", newline="")


def split_of(group: str, shares: Shares) -> str:
    """The split of a patient, by the hash of the group's name: constant for the same shares.

    >>> [split_of(group, (0.7, 0.1, 0.2)) for group in ("a", "b", "c")]
    ['val', 'train', 'train']
    """
    drawn = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8]) / 2**64
    train, val, _ = shares
    return "train" if drawn < train else "val" if drawn < train + val else "test"


def _sets(title: str, structures: Sequence[LabelStructure]) -> dict[str, str]:
    """Name of each structure's data set: plain letters, each once."""
    names = Names()
    return {s.name: names.take(_slug(f"{title}_{s.name}")) for s in structures}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "structure"


def _pseudonym(group: str, image: str) -> str:
    # with the patient's hash, so that a name cannot be found by hashing all possible names
    return f"case_{hashlib.sha256(f'{group}/{image}'.encode()).hexdigest()[:16]}"


def _pitch(image: UltrasoundImage) -> str:
    if image.spacing_mm is None:
        return ""
    dy, dx = image.spacing_mm[-2:]
    return f"{dy:.6g}" if abs(dy - dx) <= _SQUARE * max(dy, dx) else ""

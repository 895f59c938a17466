"""Pictures and masks as `uniultra train --data` reads them, without a header, a name or a patient."""

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
_SQUARE = 1e-3  # how much the pitches of a square pixel may differ, of their size


class ManifestFolder:
    """Writes `manifest.csv` with a row for each labelled frame and structure, and the files it names.

    A picture and its masks are PNGs of pixels alone, at stored resolution; the masks are of one bit, and
    an empty one says that the structure is not there. `spacing_mm` stays empty where a pixel is not square.
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

    def add(self, one: LabelledImage) -> int:
        """Write the labelled frames of an image; how many there are.

        Raises:
            ImageError: a frame cannot be decoded; then none of them is there.
        """
        label, count = one.label, one.image.shape[0]
        wanted = label.image if self._keep_names else _pseudonym(label.group, label.image)
        wanted += one.marking
        common = {
            "split": split_of(label.group, self._shares),
            "group": label.group,
            "spacing_mm": _pitch(one.image),
            "height": str(one.image.shape[1]),
            "width": str(one.image.shape[2]),
            "revision": str(label.revision),
            "burned_in": burned_in(one.path),
        }
        for frame, picture in zip(one.frames, one.pictures(), strict=True):
            name = self._names.take(frame_name(wanted, frame, count))
            write_png(self._folder / "images" / f"{name}.png", picture)
            for structure in self._structures:
                if structure.name in one.known:
                    self._rows.append({**common, **self._mask(name, one, frame, structure)})
        return len(one.frames)

    def _mask(self, name: str, one: LabelledImage, frame: int, structure: LabelStructure) -> dict[str, str]:
        dataset = self._sets[structure.name]
        mask = one.values[frame] == structure.index
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
    """The split of a patient, by the hash of the group's name: for ever the same for the same shares."""
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
    # with the patient's hash, so that nobody finds a name by hashing all names there may be
    return f"case_{hashlib.sha256(f'{group}/{image}'.encode()).hexdigest()[:16]}"


def _pitch(image: UltrasoundImage) -> str:
    if image.spacing_mm is None:
        return ""
    dy, dx = image.spacing_mm[-2:]
    return f"{dy:.6g}" if abs(dy - dx) <= _SQUARE * max(dy, dx) else ""

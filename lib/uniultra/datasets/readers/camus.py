"""CAMUS, echocardiography of Leclerc et al. 2019: `CAMUS_public`, NIfTI (2022), and the older MetaImage.

A patient's folder holds `patient0001_2CH_ED.nii.gz` and its labels `patient0001_2CH_ED_gt.nii.gz` for two
views (2CH, 4CH) at end diastole and end systole: 1 the left ventricle's cavity, 2 its myocardium, 3 the
left atrium. `subgroup_training.txt`, `subgroup_validation.txt` and `subgroup_testing.txt` list the patients
of its own division. The half sequences and the `Info_*.cfg` (age, sex, quality) are not read. The group is
the patient; the pixel pitch is the header's. Licence: CC BY-NC-SA 4.0, which excludes commercial use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import DatasetLayout, Label, SourcePair, SourcePicture, Split
from uniultra.errors import ImageError

LABELS = (
    Label("lv", "camus_lv", "left ventricle cavity"),
    Label("myo", "camus_myo", "left ventricle myocardium"),
    Label("la", "camus_la", "left atrium"),
)
VALUES = {"lv": 1, "myo": 2, "la": 3}
MARKED = re.compile(r"(patient\d+)_((?:2CH|4CH)_(?:ED|ES))_gt(\.nii\.gz|\.nii|\.mhd)")
SUBGROUPS: dict[str, Split] = {"training": "train", "validation": "val", "testing": "test"}


def find(folder: Path) -> Iterator[SourcePicture]:
    """See `DatasetLayout.find`."""
    splits = _splits(folder)
    for path, name in files.named(folder, "patient*_gt.*", MARKED):
        patient, view, ending = name.groups()
        picture = files.existing(
            path.with_name(f"{patient}_{view}{ending}"), "a picture beside each label file of CAMUS"
        )
        yield SourcePicture(f"{patient}_{view}", patient, partial(_load, picture, path), splits.get(patient))


def _splits(folder: Path) -> dict[str, Split]:
    """The data set's own split of each patient.

    Raises:
        ImageError: a patient is in two splits.
    """
    splits: dict[str, Split] = {}
    for group, split in SUBGROUPS.items():
        for path in files.below(folder, f"subgroup_{group}.txt"):
            for patient in path.read_text(encoding="utf-8", errors="replace").split():
                if splits.setdefault(patient, split) != split:
                    raise ImageError("Expected each patient of CAMUS in one subgroup; a patient is in two.")
    return splits


def _load(picture: Path, marked: Path) -> SourcePair:
    pixels, spacing = files.medical(picture)
    return SourcePair(files.eight_bits(pixels), files.masks_of(files.medical(marked)[0], VALUES), spacing)


LAYOUT = DatasetLayout(
    name="camus",
    title="CAMUS_public, NIfTI 2022 (or MetaImage 2019)",
    labels=LABELS,
    licence="CC BY-NC-SA 4.0",
    origin="CAMUS, Leclerc et al. 2019, DOI 10.1109/TMI.2019.2900516",
    groups="patient",
    expects="CAMUS's folders of patients with files like patient0001_2CH_ED_gt.nii.gz",
    find=find,
)

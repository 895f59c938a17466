"""CAMUS, echocardiography of Leclerc et al. 2019: `CAMUS_public`, NIfTI (2022), and the older MetaImage.

A patient's folder holds `patient0001_2CH_ED.nii.gz` and its labels `patient0001_2CH_ED_gt.nii.gz` for two
views (2CH, 4CH) at end diastole and end systole: 1 the left ventricle's cavity, 2 its myocardium, 3 the
left atrium. `subgroup_training.txt`, `subgroup_validation.txt` and `subgroup_testing.txt` list the patients
of its own division. The half sequences and the `Info_*.cfg` (age, sex, quality) are not read. The group is
the patient, the pitch the header's. Licence: CC BY-NC-SA 4.0, so not for every use.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import Case, Label, Layout, Listing, Pair, Split
from uniultra.errors import ImageError

LABELS = (
    Label("lv", "camus_lv", "left ventricle cavity"),
    Label("myo", "camus_myo", "left ventricle myocardium"),
    Label("la", "camus_la", "left atrium"),
)
MARKED = re.compile(r"(patient\d+)_((?:2CH|4CH)_(?:ED|ES))_gt(\.nii\.gz|\.nii|\.mhd)")
SUBGROUPS: dict[str, Split] = {"training": "train", "validation": "val", "testing": "test"}


def find(folder: Path) -> Listing:
    """See `Layout.find`."""
    named = [(path, MARKED.fullmatch(path.name)) for path in files.below(folder, "patient*_gt.*")]
    splits = _splits(folder)
    cases = []
    for path, name in named:
        if name is None:
            continue
        patient, view, ending = name.groups()
        picture = path.with_name(f"{patient}_{view}{ending}")
        if not picture.is_file():
            raise ImageError("Expected a picture beside each label file of CAMUS; one has none.")
        cases.append(Case(f"{patient}_{view}", patient, partial(_load, picture, path), splits.get(patient)))
    if not cases:
        raise ImageError(
            "Expected CAMUS's folders of patients with files like patient0001_2CH_ED_gt.nii.gz; found none."
        )
    return Listing(cases)


def _splits(folder: Path) -> dict[str, Split]:
    """The own split of each patient.

    Raises:
        ImageError: a patient is in two.
    """
    found: dict[str, Split] = {}
    for group, split in SUBGROUPS.items():
        for path in files.below(folder, f"subgroup_{group}.txt"):
            for patient in path.read_text(encoding="utf-8", errors="replace").split():
                if found.setdefault(patient, split) != split:
                    raise ImageError("Expected each patient of CAMUS in one subgroup; one is in two.")
    return found


def _load(picture: Path, marked: Path) -> Pair:
    pixels, spacing = files.medical(picture)
    labels = files.check_values(files.medical(marked)[0], range(len(LABELS) + 1))
    masks = {label.name: labels == n for n, label in enumerate(LABELS, 1)}
    return Pair(files.eight_bits(pixels), masks, spacing)


LAYOUT = Layout(
    name="camus",
    title="CAMUS_public, NIfTI 2022 (or MetaImage 2019)",
    labels=LABELS,
    licence="CC BY-NC-SA 4.0",
    origin="CAMUS, Leclerc et al. 2019, DOI 10.1109/TMI.2019.2900516",
    groups="patient",
    find=find,
)

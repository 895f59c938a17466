"""JNU-IFM, intrapartum ultrasound of Lu et al. 2022, figshare 14371652, CC BY 4.0.

A folder for each video (`20190909T155747`) with `image` (`VIDEO_FRAME.png`) and `mask`
(`VIDEO_FRAME_mask.png`, which looks black: 7 is the pubic symphysis, 8 the fetal head); `mask_enhance` and
`framelabel.csv` are not needed. The 78 videos are of 51 women, but the patient of a video is not given; a
video's name starts with its date, and the group is that day, so that two videos of one examination stay
together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import DatasetLayout, Label, SourcePair, SourcePicture

VALUES = {"symphysis": 7, "head": 8}
DAY = re.compile(r"\d{8}(?=T|\d)")


def find(folder: Path) -> Iterator[SourcePicture | None]:
    """See `DatasetLayout.find`."""
    for images in files.below(folder, "image"):
        masks = images.with_name("mask")
        if not images.is_dir() or not masks.is_dir():
            continue
        video = images.parent.name
        day = DAY.match(video)
        for path in files.pictures(images):
            candidates = (masks / f"{path.stem}{ending}.png" for ending in ("_mask", ""))
            marked = next((mask for mask in candidates if mask.is_file()), None)
            name = path.stem if path.stem.startswith(video) else f"{video}_{path.stem}"
            group = day[0] if day else video
            yield SourcePicture(name, group, partial(_load, path, marked)) if marked else None


def _load(picture: Path, marked: Path) -> SourcePair:
    return SourcePair(files.grey(picture), files.masks_of(files.values(marked), VALUES))


LAYOUT = DatasetLayout(
    name="jnu_ifm",
    title="JNU-IFM, figshare 2022",
    labels=(
        Label("symphysis", "jnu_ifm_symphysis", "pubic symphysis"),
        Label("head", "jnu_ifm_head", "fetal head, intrapartum"),
    ),
    licence="CC BY 4.0",
    origin="JNU-IFM, Lu et al. 2022, DOI 10.1016/j.dib.2022.107904",
    groups="day of the video (patients are not known)",
    expects="JNU-IFM's folders of videos, each with `image` and `mask` (image_mha and label_mha: see psfhs)",
    find=find,
)

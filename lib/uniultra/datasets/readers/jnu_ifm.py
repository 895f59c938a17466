"""JNU-IFM, intrapartum ultrasound of Lu et al. 2022, figshare 14371652, CC BY 4.0.

A folder for each video (`20190909T155747`) with `image` (`VIDEO_FRAME.png`) and `mask`
(`VIDEO_FRAME_mask.png`, which looks black: 7 is the pubic symphysis, 8 the fetal head); `mask_enhance` and
`framelabel.csv` are not needed. The 78 videos are of 51 women and of nobody is said which; a video's name
starts with its date, and the group is that day, so that two videos of one examination stay together.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import Case, Label, Layout, Listing, Pair
from uniultra.errors import ImageError

VALUES = {"symphysis": 7, "head": 8}
DAY = re.compile(r"\d{8}(?=T|\d)")


def find(folder: Path) -> Listing:
    """See `Layout.find`."""
    cases = []
    left_out = 0
    for images in files.below(folder, "image"):
        masks = images.with_name("mask")
        if not images.is_dir() or not masks.is_dir():
            continue
        video = images.parent.name
        day = DAY.match(video)
        for path in files.pictures(images):
            marked = [masks / f"{path.stem}{ending}.png" for ending in ("_mask", "")]
            known = next((one for one in marked if one.is_file()), None)
            if known is None:
                left_out += 1
                continue
            case = path.stem if path.stem.startswith(video) else f"{video}_{path.stem}"
            cases.append(Case(case, day[0] if day else video, partial(_load, path, known)))
    if not cases:
        raise ImageError(
            "Expected JNU-IFM's folders of videos, each with `image` and `mask`; found none. "
            "The challenge's image_mha and label_mha are the layout psfhs."
        )
    return Listing(cases, left_out)


def _load(picture: Path, marked: Path) -> Pair:
    labels = files.values(marked, (0, *VALUES.values()))
    return Pair(files.grey(picture), {name: labels == value for name, value in VALUES.items()})


LAYOUT = Layout(
    name="jnu_ifm",
    title="JNU-IFM, figshare 2022",
    labels=(
        Label("symphysis", "jnu_ifm_symphysis", "pubic symphysis"),
        Label("head", "jnu_ifm_head", "fetal head, intrapartum"),
    ),
    licence="CC BY 4.0",
    origin="JNU-IFM, Lu et al. 2022, DOI 10.1016/j.dib.2022.107904",
    groups="day of the video (patients are not told)",
    find=find,
)

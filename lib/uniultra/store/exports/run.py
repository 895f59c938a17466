"""Runs an export: readable labels are written, the others are reported."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Protocol

from uniultra import __version__
from uniultra.errors import ImageError, RequestError
from uniultra.files.whole_folder import appearing
from uniultra.images.burned_in import burned_in
from uniultra.store.exports.coco import CocoFolder
from uniultra.store.exports.labelled import LabelledImage, LabelStructure, open_labelled, together
from uniultra.store.exports.manifest import ManifestFolder, Shares
from uniultra.store.exports.volumes import VolumeFolder
from uniultra.store.types import TrainingLabel

FORMATS = ("coco", "nifti", "nrrd", "manifest")
_VOLUMES = {"nifti": ".nii.gz", "nrrd": ".nrrd"}


class Writer(Protocol):
    """Writes labelled images into a folder."""

    def add(self, labelled: LabelledImage) -> int: ...

    def finish(self) -> None: ...


@dataclass
class Exported:
    """Summary of an export.

    Attributes:
        images: number of images with a label.
        written: number of pictures, or of label maps.
        left_out: reason by image id.
        burned_in: ids of images whose pixels show, or may show, patient data according to their DICOM header.
    """

    images: int = 0
    written: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    burned_in: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportChoices:
    """Options of an export.

    Attributes:
        format: one of `FORMATS`.
        title: name of the campaign.
        structures: of the campaign.
        shares: fractions of patients in train, val and test; for a manifest only.
        keep_names: use image ids instead of hashes; for a manifest only.
        kinds: axis kind of images by id, where it is not what the file suggests.
    """

    format: str
    title: str
    structures: Sequence[LabelStructure]
    shares: Shares = (0.7, 0.1, 0.2)
    keep_names: bool = False
    kinds: Mapping[str, str] = field(default_factory=dict)


def export(
    studies: Path,
    labels: Sequence[TrainingLabel],
    target: Path,
    how: ExportChoices,
    report: Callable[[int], None] = lambda done: None,
) -> Exported:
    """Write labels into a new folder, which appears whole or not at all.

    Args:
        studies: the studies folder; only read.
        labels: versions to export, those of an image together.
        target: a new or empty folder.
        how: format and names.
        report: called with the number of labels done.

    Raises:
        RequestError: no labels, none of them readable, or the target is not empty or not writable.
    """
    if not labels:
        raise RequestError(
            "No label can be exported yet. Save some as final, or take every newest label with --all."
        )
    done = Exported()
    with appearing(target) as folder:
        writer = _writer(folder, how)
        number = 0
        for _, group in groupby(labels, key=lambda label: label.image):
            of_one = list(group)
            _add(studies, of_one, how, writer, done)
            number += len(of_one)
            report(number)
        if not done.images:
            raise RequestError(
                f"None of the labels can be exported. The first: {next(iter(done.left_out.values()))}"
            )
        writer.finish()
        (folder / "export.json").write_text(_summary(how, done), encoding="utf-8")
    return done


def _add(
    studies: Path, labels: Sequence[TrainingLabel], how: ExportChoices, writer: Writer, done: Exported
) -> None:
    """Write all labels of one image."""
    opened, image = [], labels[0].image
    for label in labels:
        try:
            opened.append(open_labelled(studies, label, how.structures, how.kinds))
        except ImageError as error:
            done.left_out[image] = str(error)
    written = 0
    for labelled in together(opened):
        try:
            written += writer.add(labelled)
        except ImageError as error:
            done.left_out[image] = str(error)
    if not written:
        return
    done.images += 1
    done.written += written
    if how.format not in _VOLUMES and (flag := burned_in(opened[0].path)) != "no":
        done.burned_in[image] = flag


def _writer(folder: Path, how: ExportChoices) -> Writer:
    if how.format == "coco":
        return CocoFolder(folder, how.structures, how.title)
    if how.format == "manifest":
        return ManifestFolder(folder, how.structures, how.title, shares=how.shares, keep_names=how.keep_names)
    if how.format in _VOLUMES:
        return VolumeFolder(folder, how.structures, how.title, _VOLUMES[how.format])
    raise RequestError(f"Expected a format of {', '.join(FORMATS)}; got another.")


def _summary(how: ExportChoices, done: Exported) -> str:
    """The summary in numbers only: names of images may be names of patients."""
    body = {
        "campaign": how.title,
        "uniultra": __version__,
        "format": how.format,
        "images": done.images,
        "written": done.written,
        "left_out": len(done.left_out),
        "structures": [structure.name for structure in how.structures],
    }
    return json.dumps(body, indent=1) + "\n"

"""Counts the images and patients of a studies folder before its campaign is created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uniultra.store.campaign import initial
from uniultra.store.campaign.file import Patients
from uniultra.store.campaign.patients import Grouping
from uniultra.store.store import LabelStore


@dataclass(frozen=True)
class Survey:
    """Content of a studies folder.

    Attributes:
        images, cines, frames: numbers of all images, of cines, and of the cines' frames.
        patients: rule of grouping by patient; groups: resulting number of patients.
        ungrouped: number of images without a patient by the rule.
    """

    images: int
    cines: int
    frames: int
    patients: Patients
    groups: int
    ungrouped: int


def survey(store: LabelStore, rule: dict[str, Any] | None) -> Survey:
    """Count the images of a folder and their patients.

    Args:
        store: of the folder; new cines are opened to count their frames.
        rule: settings of `Patients`; None for DICOM's PatientID if any image has one, else by folder.

    Raises:
        RequestError: an invalid rule.
        CampaignError: the file of the rule cannot be used.
    """
    store.ready()
    ids = store.images.listed()
    sources = [record.path for record in store.images.records(ids).values()]
    patients = initial.made({"patients": rule or {"by": "dicom"}}).patients
    grouping = Grouping(store.studies, patients, store.identity.salt)
    without = grouping.without(sources)
    if rule is None and len(without) == len(sources):
        patients = Patients(by="folder")
        grouping = Grouping(store.studies, patients, store.identity.salt)
    cines = [count for count in store.context.frame_counts.of(ids).values() if count > 1]
    groups = set(grouping.groups(sources, quiet=True).values())
    return Survey(len(ids), len(cines), sum(cines), patients, len(groups), len(without))

"""What the page knows of the labels, read once for all its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from uniultra.store.types import FINAL, LabelVersion, Lease, State, Unit

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore
    from uniultra.store.work.units import WorkList

DRAFT = "draft"
GOOD = ("final", "approved")
COUNTS = (*GOOD, "flagged")  # a flagged label is work that was done


@dataclass(frozen=True, eq=False)
class Facts:
    """The labels of a campaign at one moment.

    Attributes:
        now: of the store's clock, UTC.
        readers: how many label each unit.
        images, units: there are now.
        board: work, leases and skips.
        versions: of people, final or draft, of the images there are, in order of time.
        states: by image and revision.
        leases: that run.
        skipped: who skipped what, and why.
    """

    now: datetime
    readers: int
    images: Sequence[str]
    units: Sequence[Unit]
    board: WorkList
    versions: Sequence[LabelVersion]
    states: Mapping[tuple[str, int], State]
    leases: Sequence[Lease]
    skipped: Mapping[Unit, Mapping[str, str]]

    @classmethod
    def read(cls, store: LabelStore) -> Facts:
        """Ask the store.

        Raises:
            StoreError, CampaignError: it cannot be used now.
        """
        images = store.images.listed()
        units = store.units()
        there = set(images)
        with store.index.reading() as connection:
            board = store.work_list(connection)
        versions = [one for one in store.versions() if one.tag in (FINAL, DRAFT) and one.image in there]
        return cls(
            now=store.now(),
            readers=store.campaign.readers,
            images=images,
            units=units,
            board=board,
            versions=sorted(versions, key=lambda one: (one.made, one.image, one.revision)),
            states=store.states(),
            leases=store.leases(),
            skipped=store.skipped(),
        )

    def state(self, version: LabelVersion) -> State:
        """What counts of a version: the newest review, or its tag."""
        return self.states.get((version.image, version.revision), "draft")

    def newest(self) -> dict[tuple[str, str], LabelVersion]:
        """The newest version of each image and annotator."""
        by_revision = sorted(self.versions, key=lambda one: (one.image, one.revision))
        return {(one.image, one.annotator): one for one in by_revision}

    def first(self) -> list[LabelVersion]:
        """The first final version of each image and annotator, in order of time."""
        seen: dict[tuple[str, str], LabelVersion] = {}
        for one in self.versions:
            if one.tag == FINAL:
                seen.setdefault((one.image, one.annotator), one)
        return list(seen.values())

    def annotators(self) -> list[str]:
        """Everybody who has labelled or holds something, by name."""
        return sorted({name for _, name in self.newest()} | {lease.annotator for lease in self.leases})


def day_of(moment: datetime) -> date:
    """The day of a moment by the server's clock."""
    return moment.astimezone().date()


def shown(unit: Unit, *, cines: bool) -> str:
    """A unit as the annotators see it."""
    return f"{unit.image}, frame {unit.frame}" if cines and unit.frame else unit.image

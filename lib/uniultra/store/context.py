"""The shared context of all parts of the label store: folder, lock, index, images and campaign.

The parts (`labels`, `review`, `work`, `opening`) take the context; `store.LabelStore` joins them.

Threads and locks. A studies folder is shared by all threads of a server and by other processes (a second
server, `uniultra` on the command line). Code that needs several of these locks takes them in this order,
outermost first, which excludes deadlocks:

1. `images.turn` (threads of this process): one scan of the folder at a time.
2. `lock` (threads and processes): one writer of files at a time. While it is held, any half-written file is
   the remainder of a crash, and the index is not opened again: its holder has opened it before.
3. the turn of `frame_counts` (threads): one new file is opened and hashed at a time. A save under `lock` may
   wait for the file that is open; counting itself never takes 1 or 2 during its turn.
4. a writing transaction of `index`: one at a time over all processes. Inside it, code neither waits for a
   file of the folder nor takes any of the locks above.

Leases need only 4. Reading transactions never wait, except for an index in memory, which is one connection
with its own lock in the place of 4.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from uniultra.files.lock import WriteLock
from uniultra.images import is_ultrasound_file
from uniultra.store.campaign import file, folder_identity
from uniultra.store.catalogue.frames import FrameCounts
from uniultra.store.catalogue.images import Images
from uniultra.store.catalogue.scan import Scanner
from uniultra.store.errors import CampaignError
from uniultra.store.index import rows
from uniultra.store.index.database import IndexDatabase
from uniultra.store.index.events import Events
from uniultra.store.index.journal import Journal
from uniultra.store.paths import PRIVATE

logger = logging.getLogger(__name__)


class Context:
    """One studies folder. Constructing reads and writes nothing.

    Args:
        studies: the folder.
        url: of a PostgreSQL database for the index, in SQLAlchemy's form; None for a file in the folder.
        now: the clock.
        labels_changed: called after each scan of the images and whenever a folder of labels has changed;
            adopts label files placed by hand, and returns whether it has to be called again.
    """

    def __init__(
        self, studies: Path, url: str | None, now: Callable[[], datetime], labels_changed: Callable[[], bool]
    ) -> None:
        self.studies, self.private = studies, studies / PRIVATE
        self.now = now
        self.lock = WriteLock(self.private / "store.lock")
        self.index = IndexDatabase(self.private, url, lambda: f"uniultra_{self.identity.id[:16]}")
        self.events = Events(Journal(self.private), self.index, self.lock, self.recount)
        scanner = Scanner(studies, is_ultrasound_file)
        self.images = Images(studies, self.index, self.events, self.lock, scanner, labels_changed)
        self.frame_counts = FrameCounts(self.images, self.index)
        self._identity: folder_identity.Identity | None = None
        self._campaign: tuple[int, file.Campaign] | None = None

    @property
    def identity(self) -> folder_identity.Identity:
        """The folder's id, salt and name; created on first use.

        Raises:
            StoreError: its file is damaged.
        """
        if self._identity is None:
            with self.lock:
                self._identity = folder_identity.read(self.private) or folder_identity.write(
                    self.private, folder_identity.new()
                )
        return self._identity

    def describe(self, **changes: str) -> None:
        """Change the name or the description of the folder."""
        with self.lock:
            identity = self.identity.model_copy(update=changes)
            self._identity = folder_identity.write(self.private, identity)

    @property
    def campaign(self) -> file.Campaign:
        """The current campaign file; while it is invalid, its last valid content.

        Raises:
            CampaignError: it is invalid, and has been since the start.
        """
        try:
            age = (self.studies / file.FILE).stat().st_mtime_ns
        except OSError:
            age = -1
        if self._campaign is None or self._campaign[0] != age:
            try:
                self._campaign = (age, file.load(self.studies))
            except CampaignError:
                if self._campaign is None:
                    raise
                logger.warning("campaign.yaml is invalid; its last valid content before holds.")
                self._campaign = (age, self._campaign[1])
        return self._campaign[1]

    @property
    def one_history(self) -> bool:
        """Whether all annotators of an image share one history of versions; else each has their own."""
        return self.campaign.readers == 1

    def recount(self, connection: Connection, images: Iterable[str]) -> None:
        """Recompute the work rows of images whose versions have changed."""
        rows.recount(connection, images, one_history=self.one_history)

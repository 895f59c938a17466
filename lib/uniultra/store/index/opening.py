"""The index of a label store: opened and recovered before anybody is answered from it."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from uniultra.store.index import migrate, recovery
from uniultra.store.labels import published_copies

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

logger = logging.getLogger(__name__)


class Opening:
    """Opens the index of a store at the first question, and again when its file is another."""

    def __init__(self, store: LabelStore) -> None:
        self._store = store
        self._one_line: bool | None = None  # the kind of lines that work is counted for
        self._recovered = False
        self._thread: int | None = None  # that opens just now

    def ready(self) -> None:
        """Open the index if it is not, and recover.

        Raises:
            StoreError: the database or the folder cannot be used.
        """
        store = self._store
        if store.lock.held or self._thread == threading.get_ident():
            return  # whoever took the lock asked before
        if self._done:
            if self._one_line != store.one_line:
                self._count()
            return
        try:
            with store.images.turn, store.lock:
                if not self._done:
                    self._open()
        except OSError:
            with store.images.turn:
                if not self._done:
                    logger.warning("The studies folder cannot be written: nothing new lasts for now.")
                    self._open(in_memory=True)
        self._one_line = store.one_line

    def rebuild(self) -> None:
        """Put the index aside and build it again from the files."""
        with self._store.images.turn, self._store.lock:
            self._recovered = False
            self._store.index.discard()
            self._open()

    @property
    def _done(self) -> bool:
        # an index that is not recovered yet knows too little: other threads wait for it
        return self._recovered and self._store.index.alive()

    def _open(self, *, in_memory: bool = False) -> None:
        store = self._store
        self._recovered, self._thread = False, threading.get_ident()
        try:
            store.index.open(in_memory=in_memory)
            recovery.recover(store, repair=not in_memory)
            if not in_memory:
                migrate.migrate(store)
                published_copies.publish(store)
            self._recovered = True
        finally:
            self._thread = None

    def _count(self) -> None:
        """Count all work again: the campaign has another number of readers."""
        with self._store.index.writing() as connection:
            recovery.recount(self._store, connection)
        self._one_line = self._store.one_line

"""The index of a label store: opened and recovered before any question is answered from it."""

from __future__ import annotations

import logging
import threading

from uniultra.store.context import Context
from uniultra.store.labels import published_copies
from uniultra.store.labels.saving import Saving
from uniultra.store.opening import migrate, recovery

logger = logging.getLogger(__name__)


class Opening:
    """Opens the index of a store at the first question, and again when its file is another."""

    def __init__(self, context: Context, saving: Saving) -> None:
        self._context, self._saving = context, saving
        self._one_history: bool | None = None  # what work is counted for
        self._recovered = False
        self._thread: int | None = None  # that opens just now

    def ready(self) -> None:
        """Open the index if it is not, and recover.

        Raises:
            StoreError: the database or the folder cannot be used.
        """
        context = self._context
        if context.lock.held or self._thread == threading.get_ident():
            return  # whoever took the lock asked before
        if self._done:
            if self._one_history != context.one_history:
                self._count()
            return
        try:
            with context.images.turn, context.lock:
                if not self._done:
                    self._open()
        except OSError:
            with context.images.turn:
                if not self._done:
                    logger.warning("The studies folder cannot be written: nothing new lasts for now.")
                    self._open(in_memory=True)
        self._one_history = context.one_history

    def rebuild(self) -> None:
        """Put the index aside and build it again from the files."""
        with self._context.images.turn, self._context.lock:
            self._recovered = False
            self._context.index.discard()
            self._open()

    @property
    def _done(self) -> bool:
        # an index that is not recovered yet knows too little: other threads wait for it
        return self._recovered and self._context.index.alive()

    def _open(self, *, in_memory: bool = False) -> None:
        context = self._context
        self._recovered, self._thread = False, threading.get_ident()
        try:
            context.index.open(in_memory=in_memory)
            recovery.recover(context, repair=not in_memory)
            if not in_memory:
                migrate.migrate(context, self._saving)
                published_copies.publish(context)
            self._recovered = True
        finally:
            self._thread = None

    def _count(self) -> None:
        """Count all work again: the campaign has another number of readers."""
        with self._context.index.writing() as connection:
            recovery.recount(self._context, connection)
        self._one_history = self._context.one_history

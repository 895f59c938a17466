"""Opens and recovers the index of a label store before its first use."""

from __future__ import annotations

import logging
import threading

from uniultra.store.context import Context
from uniultra.store.labels import published_copies
from uniultra.store.labels.saving import Saving
from uniultra.store.opening import migrate, recovery

logger = logging.getLogger(__name__)


class Opening:
    """Opens the index of a store on first use, and again when its file was replaced or deleted."""

    def __init__(self, context: Context, saving: Saving) -> None:
        self._context, self._saving = context, saving
        self._one_history: bool | None = None  # that the work rows were computed for
        self._recovered = False
        self._thread: int | None = None  # the one that is opening the index

    def ready(self) -> None:
        """Open and recover the index if necessary.

        Raises:
            StoreError: the database or the folder cannot be used.
        """
        context = self._context
        if context.lock.held or self._thread == threading.get_ident():
            return  # the holder of the lock has called this before
        if self._done:
            if self._one_history != context.one_history:
                with context.index.writing() as connection:
                    recovery.recount(context, connection)
                self._one_history = context.one_history
            return
        try:
            with context.images.turn, context.lock:
                if not self._done:
                    self._open()
        except OSError:
            with context.images.turn:
                if not self._done:
                    logger.warning("The studies folder cannot be written: the index stays in memory.")
                    self._open(in_memory=True)
        self._one_history = context.one_history

    def rebuild(self) -> None:
        """Set the index aside and rebuild it from the files."""
        with self._context.images.turn, self._context.lock:
            self._recovered = False
            self._context.index.discard()
            self._open()

    @property
    def _done(self) -> bool:
        # an index before its recovery is incomplete: other threads wait
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

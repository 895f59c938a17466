"""HTTP connections that another thread can break off while an answer is awaited."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Dict, Iterator

import requests
import urllib3


class Connections:
    """Knows which connection each thread uses now."""

    def __init__(self) -> None:
        self._used: Dict[int, Any] = {}

    def mount(self, session: requests.Session) -> None:
        """Have all connections of a session known here."""
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self))

    def using(self, connection: Any) -> None:
        """This thread sends a request on a connection."""
        self._used[threading.get_ident()] = connection

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Afterwards this thread has its answer, and what its connection does next is no longer its own."""
        try:
            yield
        finally:
            self._used.pop(threading.get_ident(), None)

    def abort(self, thread: int) -> None:
        """Break off what a thread (its ident) waits for; it gets an error, if it waits for any."""
        sock = getattr(self._used.pop(thread, None), "sock", None)
        if sock is not None:
            # Closing it here would leave the other thread reading a number that may be another's by then.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _Adapter(requests.adapters.HTTPAdapter):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _noted(urllib3.HTTPConnectionPool, self._connections),
            "https": _noted(urllib3.HTTPSConnectionPool, self._connections),
        }


def _noted(pool: Any, connections: Connections) -> Any:
    """A class of pools whose connections tell `connections` when they are used."""

    class Noted(pool.ConnectionCls):  # type: ignore[misc]
        def putrequest(self, *args: Any, **options: Any) -> Any:
            connections.using(self)
            return super().putrequest(*args, **options)

    return type(pool.__name__, (pool,), {"ConnectionCls": Noted})

"""Requests that mean another server are refused: a page cannot reach this one under a name of its own (DNS
rebinding).

A page of `evil.example` whose name suddenly stands for 127.0.0.1 is, to the browser, of the same origin as
this server, so neither CORS nor `origins` stops it. It cannot forge `Host`, though, which then says
`evil.example`. An address in numbers needs no name server, so it cannot be rebound; nor can a name that no
public name server gives out. What is left are names with a domain, which a person must have named.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

EVERY = "*"
# Reserved, so that no public name server has them (RFC 6761, 6762, 8375; ICANN 2024 for `internal`).
PRIVATE = ("localhost", "local", "internal", "home.arpa")


class HostCheck:
    """ASGI middleware that lets through what is asked of this server by a name it may have.

    Args:
        allowed: further names; `.example.org` stands for the domain and all in it, `*` for every name.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self._app = app
        self._allowed = frozenset(name.lower().rstrip(".") for name in (*allowed, socket.gethostname()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host") if scope["type"] in ("http", "websocket") else None
        if host is None or EVERY in self._allowed or self._known(host):
            await self._app(scope, receive, send)
            return
        text = "Expected this server's own name or its address in numbers; the request names another host. "
        text += "If people reach it by that name, start it with --conf allowed_hosts NAME."
        await JSONResponse({"detail": text}, 421)(scope, receive, send)

    def _known(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if _in_numbers(name) or (name and "." not in name):
            return True
        parents = [name.split(".", n)[-1] for n in range(name.count(".") + 1)]
        in_domain = not self._allowed.isdisjoint({f".{parent}" for parent in parents})
        return name in self._allowed or in_domain or not set(PRIVATE).isdisjoint(parents)


def _in_numbers(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True

"""Web pages of other origins are kept out: CORS hides answers from them, this stops their requests."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class OriginCheck:
    """ASGI middleware that refuses requests of web pages whose origin is not allowed.

    A form on any web page can post to 127.0.0.1 without asking first. Browsers say where such a
    request comes from; Slicer and scripts send no `Origin`.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else {}
        origin = headers.get("origin")
        if origin is None or origin in self._allowed or urlsplit(origin).netloc == headers.get("host"):
            await self._app(scope, receive, send)
            return
        text = (
            "Expected a request from this server's own pages or a program; a page of another origin sent it. "
        )
        text += "Name its origin in MONAI_LABEL_CORS_ORIGINS to let it in."
        await JSONResponse({"detail": text}, 403)(scope, receive, send)

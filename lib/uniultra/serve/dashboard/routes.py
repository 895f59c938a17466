"""The routes of the campaign page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from weakref import WeakKeyDictionary

from fastapi import Depends, Header
from fastapi.responses import Response
from monailabel.config import settings
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.utils.app import app_instance

from uniultra.serve.dashboard.page import CampaignPage
from uniultra.serve.dashboard.static_files import static_file
from uniultra.serve.http.thread_pools import Endpoint

AsUser = Annotated[User, Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))]
Known = Annotated[str | None, Header(alias="if-none-match")]
Encodings = Annotated[str, Header(alias="accept-encoding")]

# Nothing but our own files, and no code or style inside the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_pages: WeakKeyDictionary[Any, CampaignPage] = WeakKeyDictionary()


def page(known: Known = None, encodings: Encodings = "") -> Response:
    """The campaign page."""
    return _static("page.html", known, encodings)


def static(name: str, known: Known = None, encodings: Encodings = "") -> Response:
    """Style and code of the page."""
    return _static(name, known, encodings)


def data(user: AsUser, known: Known = None) -> Response:
    """What the page draws; nothing is sent again that the page has (`If-None-Match`)."""
    etag, body = _page().answer()
    return _answer(body, "application/json", etag, known, cache="no-cache")


def thumbnail(user: AsUser, image: str, frame: int, known: Known = None) -> Response:
    """A small picture of a frame."""
    path = Path(app_instance().datastore().get_image_uri(image))
    etag, body = _page().thumbnails.get(path, frame)
    return _answer(body, "image/jpeg", etag, known, cache="private, max-age=300")


def _page() -> CampaignPage:
    app = app_instance()
    found = _pages.get(app)
    if found is None:
        found = _pages[app] = CampaignPage(
            app.datastore().store,
            app.trainings.after,
            lambda: getattr(app, "rankings", None),
        )
    return found


def _static(name: str, known: str | None, encodings: str) -> Response:
    file = static_file(name)
    small = "gzip" in encodings
    more = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if small else {})
    return _answer(
        file.small if small else file.plain, file.media_type, file.etag, known, cache="no-cache", more=more
    )


def _answer(
    body: bytes,
    media_type: str,
    etag: str,
    known: str | None,
    *,
    cache: str,
    more: dict[str, str] | None = None,
) -> Response:
    headers = HEADERS | {"ETag": etag, "Cache-Control": cache}
    if known is not None and etag in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers | (more or {}))


CAMPAIGN_ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/campaign", page),
    ("GET", "/campaign/data", data),
    ("GET", "/campaign/thumbnail/{image}/{frame}", thumbnail),
    ("GET", "/campaign/static/{name}", static),
)

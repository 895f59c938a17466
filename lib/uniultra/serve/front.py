"""Puts our routes and limits in front of MONAI Label's, whoever started the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from monailabel.config import settings
from monailabel.endpoints import (
    activelearning,
    batch_infer,
    datastore,
    infer,
    info,
    login,
    logs,
    model,
    ohif,
    scoring,
    session,
    train,
    wsi_infer,
)
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware

from uniultra.serve.dashboard.routes import CAMPAIGN_ROUTES
from uniultra.serve.http.access import AccessLog
from uniultra.serve.http.guards import guard_for
from uniultra.serve.http.hosts import HostCheck
from uniultra.serve.http.origins import OriginCheck
from uniultra.serve.http.thread_pools import Lane, in_lanes
from uniultra.serve.routes.batch_routes import BATCH_ROUTES
from uniultra.serve.routes.label_routes import LABEL_ROUTES
from uniultra.serve.routes.panel_routes import PANEL_ROUTES
from uniultra.serve.routes.prefetch_routes import PREFETCH_ROUTES
from uniultra.serve.routes.routes import ROUTES, segments_alone
from uniultra.serve.routes.routes import infer as infer_image
from uniultra.serve.routes.train_routes import TRAIN_ROUTES

_STOCK = (
    *(info, model, infer, wsi_infer, batch_infer, train, activelearning),
    *(scoring, datastore, logs, ohif, session),
)
_MARK = "uniultra_front"


def install(app: FastAPI, *, max_upload_bytes: int, allow_reload: bool, hosts: Sequence[str] = ()) -> None:
    """Put the front on MONAI Label's application; a second call does nothing.

    The application has begun to run when an app is built, so its routes are reordered in place and
    its middleware is built again at the next request.
    """
    if getattr(app.state, _MARK, False):
        return
    setattr(app.state, _MARK, True)
    before = len(app.router.routes)
    app.include_router(_router(allow_reload), prefix=settings.MONAI_LABEL_API_STR)
    ours = app.router.routes[before:]
    del app.router.routes[before:]
    app.router.routes[:0] = ours
    app.middleware_stack = None
    origins = [str(origin).rstrip("/") for origin in settings.MONAI_LABEL_CORS_ORIGINS]
    app.user_middleware[:] = [m for m in app.user_middleware if m.cls is not CORSMiddleware]
    if origins:  # no page of another origin may read answers unless a person names it
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(OriginCheck, allowed=origins)
    # a page that a person let in is often served under the same name
    app.add_middleware(HostCheck, allowed=[*hosts, *filter(None, (urlsplit(o).hostname for o in origins))])
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=max_upload_bytes)
    app.add_middleware(AccessLog)
    app.add_exception_handler(RequestValidationError, _misshapen)


def _router(allow_reload: bool) -> APIRouter:
    router = APIRouter()
    quick, work = Lane("info", 2), Lane("work", 8)
    clicks, whole, batches = Lane("infer", 16), Lane("whole", 4), Lane("batch", 2)

    def chosen(values: dict[str, Any]) -> Lane:
        return whole if segments_alone(values) else clicks

    for method, path, endpoint in (*ROUTES, *LABEL_ROUTES, *BATCH_ROUTES, *TRAIN_ROUTES, *PANEL_ROUTES):
        lane = batches if path.startswith(("/batch/", "/train/")) and method == "POST" else work
        router.add_api_route(
            path,
            in_lanes(endpoint, chosen) if endpoint is infer_image else lane.endpoint(endpoint),
            methods=[method],
            tags=[path.split("/")[1]],
            response_model=None,
        )
    ahead = Lane("prefetch", 1)  # of its own: what nobody waits for stands before nobody
    for method, path, endpoint in PREFETCH_ROUTES:
        router.add_api_route(path, ahead.endpoint(endpoint), methods=[method], tags=["prefetch"])
    pages = Lane("page", 2)  # of its own: neither clicks nor /info/ wait for it
    for method, path, endpoint in CAMPAIGN_ROUTES:
        router.add_api_route(
            path, pages.endpoint(endpoint), methods=[method], tags=["campaign"], response_model=None
        )
    taken = {(method, path) for method, path, _ in (*ROUTES, *LABEL_ROUTES, *BATCH_ROUTES, *TRAIN_ROUTES)}
    stock = [*_STOCK, login] if settings.MONAI_LABEL_AUTH_ENABLE else _STOCK
    for module in stock:
        for route in module.router.routes:
            if not isinstance(route, APIRoute) or {(m, route.path) for m in route.methods} <= taken:
                continue
            endpoint = route.endpoint
            lane = quick if module is info else work
            router.add_api_route(
                route.path,
                lane.endpoint(endpoint, guard_for(module.__name__, endpoint.__name__)),
                methods=list(route.methods),
                include_in_schema=False,  # MONAI Label's own route documents it
                response_model=None,
            )
    router.add_api_route("/proxy/{path:path}", _no_proxy, methods=["GET", "POST"], include_in_schema=False)
    if not allow_reload:
        router.add_api_route("/reload", _no_reload, methods=["POST"], include_in_schema=False)
    return router


async def _misshapen(_request: Request, error: Exception) -> JSONResponse:
    """FastAPI's own answer without what was sent: it may be a patient's, or text that JSON cannot carry."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    kept = [{key: one[key] for key in ("type", "loc", "msg") if key in one} for one in found]
    return JSONResponse({"detail": kept}, 422)


def _no_proxy(path: str) -> None:
    raise HTTPException(404, "There is no DICOMweb server behind this one. Ask /datastore/ for its images.")


def _no_reload() -> None:
    raise HTTPException(
        403,
        "Anyone could reload the app here, so it is off. Restart the server, or start it with "
        "--conf allow_reload true.",
    )

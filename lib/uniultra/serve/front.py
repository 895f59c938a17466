"""Puts our routes and limits in front of MONAI Label's, whichever command started the server.

**Threads.** MONAI Label's endpoints are coroutines that block, so one slow request stops its whole server.
Here the event loop only receives, sends and hands over: every endpoint, MONAI Label's too, runs on a thread
of a pool, and each kind of work has its own pool, so that slow work never takes the threads of quick answers.

    info       /info/, which clients poll: it answers whatever else is running
    infer      clicks: a thread reads the frame, then waits for the device's worker
    whole      fully automatic models, which may take their time over a whole image
    batch      starts of batches and trainings (with `run_sync` they last as long as those)
    prefetch   one thread, because no user waits for it
    page       the campaign page
    work       everything else: labels, images, sessions, leases

Networks run on one worker thread per device (`predict.device`). Long-lived work has threads of its own:
`batch-infer` follows a batch, `prefetch` encodes ahead, `scoring` scores units, `leases` renews leases,
`adapter` loads a published bundle, `training` watches a training, which is a process.

**Who may wait for whom.** Any of these may wait for a device's worker; the worker waits for none of them.
Clicks are answered in the order they came. Scoring and batches hand over one frame at a time, so that a click
waits for one such frame at most; work ahead yields to all of them. What runs in a pool never submits to a
pool and waits for it, so no pool can fill up with threads that wait for each other.

**Locks, in the order they are taken.** `Trainings` before the label store; a predictor's loading lock before
the network cache. No store lock is held when a training starts: `on_save_label` starts it on another thread,
after the save. The other locks (image cache, embedding cache, rankings, runs) guard a dictionary during a
look-up and are taken last. No lock is held while a thread waits for a device's worker: the worker takes
the embedding cache's lock, and must never wait for its own caller.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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
from monailabel.endpoints import infer as stock_infer
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware

from uniultra.serve.dashboard.routes import CAMPAIGN_ROUTES
from uniultra.serve.http.access import AccessLog
from uniultra.serve.http.guards import guard_for
from uniultra.serve.http.hosts import HostCheck
from uniultra.serve.http.origins import OriginCheck
from uniultra.serve.http.thread_pools import Chooser, Endpoint, Values, in_pool, pool
from uniultra.serve.routes import batch, images, infer, labels, leases, prefetch, sessions, training
from uniultra.serve.settings import Settings

_STOCK = (
    *(info, model, stock_infer, wsi_infer, batch_infer, train, activelearning),
    *(scoring, datastore, logs, ohif, session),
)
_MARK = "uniultra_front"


def install(app: FastAPI, conf: Settings) -> None:
    """Put the front on MONAI Label's application; a second call does nothing.

    The application has begun to run when an app is built, so its routes are reordered in place and
    its middleware is built again at the next request.
    """
    if getattr(app.state, _MARK, False):
        return
    setattr(app.state, _MARK, True)
    before = len(app.router.routes)
    app.include_router(router(conf.allow_reload), prefix=settings.MONAI_LABEL_API_STR)
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
    named = filter(None, (urlsplit(origin).hostname for origin in origins))
    app.add_middleware(HostCheck, allowed=[*conf.allowed_hosts, *named])
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=conf.max_upload_mb << 20)
    app.add_middleware(AccessLog)
    app.add_exception_handler(RequestValidationError, _misshapen)


def router(allow_reload: bool) -> APIRouter:
    """Our routes, then MONAI Label's own, each on a thread pool."""
    routes = APIRouter()
    quick, work, batches = pool("info", 2), pool("work", 8), pool("batch", 2)
    clicks, whole = pool("infer", 16), pool("whole", 4)
    ahead, pages = pool("prefetch", 1), pool("page", 2)

    def by_model(values: Values) -> ThreadPoolExecutor:
        return whole if infer.is_automatic(values) else clicks

    ours: tuple[tuple[tuple[str, str, Endpoint], Chooser], ...] = (
        *((route, by_model) for route in infer.ROUTES),
        *((route, work) for part in (sessions, images, labels, leases) for route in part.ROUTES),
        *((r, batches if r[0] == "POST" else work) for r in (*batch.ROUTES, *training.ROUTES)),
        *((route, ahead) for route in prefetch.ROUTES),
        *((route, pages) for route in CAMPAIGN_ROUTES),
    )
    for (method, path, endpoint), chosen in ours:
        routes.add_api_route(
            path,
            in_pool(endpoint, chosen),
            methods=[method],
            tags=[path.split("/")[1]],
            response_model=None,
        )
    taken = {(method, path) for (method, path, _), _ in ours}
    stock = [*_STOCK, login] if settings.MONAI_LABEL_AUTH_ENABLE else _STOCK
    for module in stock:
        for route in module.router.routes:
            if not isinstance(route, APIRoute) or {(m, route.path) for m in route.methods} <= taken:
                continue
            endpoint = route.endpoint
            routes.add_api_route(
                route.path,
                in_pool(
                    endpoint,
                    quick if module is info else work,
                    guard_for(module.__name__, endpoint.__name__),
                ),
                methods=list(route.methods),
                include_in_schema=False,  # MONAI Label's own route documents it
                response_model=None,
            )
    routes.add_api_route("/proxy/{path:path}", _no_proxy, methods=["GET", "POST"], include_in_schema=False)
    if not allow_reload:
        routes.add_api_route("/reload", _no_reload, methods=["POST"], include_in_schema=False)
    return routes


async def _misshapen(_request: Request, error: Exception) -> JSONResponse:
    """FastAPI's own answer without what was sent: it may be a patient's, or text that JSON cannot carry."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    kept = [{key: each[key] for key in ("type", "loc", "msg") if key in each} for each in problems]
    return JSONResponse({"detail": kept}, 422)


def _no_proxy(path: str) -> None:
    raise HTTPException(404, "There is no DICOMweb server behind this one. Ask /datastore/ for its images.")


def _no_reload() -> None:
    raise HTTPException(
        403,
        "Anyone could reload the app here, so it is off. Restart the server, or start it with "
        "--conf allow_reload true.",
    )

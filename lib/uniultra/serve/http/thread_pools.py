"""Thread pools for the work of routes, so that the event loop only waits; `serve.front` says which."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from uniultra.serve.http.refusals import refusing

Endpoint = Callable[..., Any]
Values = dict[str, Any]
Guard = Callable[[Values], None]
Chooser = ThreadPoolExecutor | Callable[[Values], ThreadPoolExecutor]


def pool(name: str, threads: int) -> ThreadPoolExecutor:
    """A pool of its own for one kind of work."""
    return ThreadPoolExecutor(threads, thread_name_prefix=name)


def in_pool(endpoint: Endpoint, choose: Chooser, guard: Guard | None = None) -> Endpoint:
    """The same endpoint, run on a thread of a pool after `guard` has seen its values.

    A coroutine function is run to its end on that thread: MONAI Label's endpoints are coroutines that
    never await. A `UniUltraError` becomes an HTTP answer.

    Args:
        endpoint: of a route.
        choose: the pool; a function that chooses one runs on the event loop.
        guard: raises what refuses the request.
    """

    def work(values: Values) -> Any:
        with refusing():
            if guard:
                guard(values)
            result = endpoint(**values)
            return asyncio.run(result) if inspect.iscoroutine(result) else result

    @functools.wraps(endpoint)
    async def run(**values: Any) -> Any:
        chosen = choose(values) if callable(choose) else choose
        return await asyncio.get_running_loop().run_in_executor(chosen, work, values)

    # FastAPI reads the route's parameters here; names in annotations belong to the endpoint's module
    run.__signature__ = inspect.signature(endpoint, eval_str=True)  # type: ignore[attr-defined]
    return run

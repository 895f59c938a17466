"""Threads that do the work of routes, so that the event loop only ever waits."""

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


class Lane:
    """A pool of its own for one kind of work, so that slow work never stands before quick answers."""

    def __init__(self, name: str, threads: int) -> None:
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def endpoint(self, endpoint: Endpoint, guard: Guard | None = None) -> Endpoint:
        """The same endpoint, run in this lane after `guard` has seen its values."""
        return in_lanes(endpoint, lambda _values: self, guard)


def in_lanes(endpoint: Endpoint, lane: Callable[[Values], Lane], guard: Guard | None = None) -> Endpoint:
    """The same endpoint, run in the lane that `lane` names for its values, after `guard` has seen them.

    A coroutine function is run to its end in the thread: MONAI Label's endpoints are coroutines that
    never wait. What the rooms below refuse becomes an HTTP answer. `lane` runs on the event loop.
    """

    def work(values: Values) -> Any:
        with refusing():
            if guard:
                guard(values)
            result = endpoint(**values)
            return asyncio.run(result) if inspect.iscoroutine(result) else result

    @functools.wraps(endpoint)
    async def run(**values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(lane(values).pool, work, values)

    # FastAPI reads the route's parameters here; names in annotations belong to the endpoint's module
    run.__signature__ = inspect.signature(endpoint, eval_str=True)  # type: ignore[attr-defined]
    return run

"""The application on a port of this machine, and Debian's chromium looking at it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """The address of an application that is served in a thread."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(600):
        if server.started:
            break
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


@contextmanager
def chromium() -> Iterator[Any]:
    """The system's browser without a window; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium here; sudo apt-get install chromium")
    sync = pytest.importorskip("playwright.sync_api")
    sandbox = [] if os.getuid() else ["--no-sandbox"]  # chromium refuses to run as root with its sandbox
    with sync.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*sandbox, "--disable-gpu"])
        yield browser
        browser.close()

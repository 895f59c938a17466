"""The real server, started by MONAI Label's own command in a process of its own."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path
from typing import Any

import requests

APP = Path(__file__).resolve().parents[2] / "apps" / "uniultra"
LOG = APP / "logs" / "app.log"
CANARY = "zebra1961doe"
CLICK = {"foreground": [[40, 30, 0]], "background": [], "client_id": CANARY, "label": CANARY}


@dataclass
class Running:
    """A started server."""

    url: str
    studies: Path
    home: Path
    output: Path
    log_start: int  # where this run begins in the app's log file
    process: subprocess.Popen[bytes]

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=60, **more)

    get = partialmethod(request, "GET")
    put = partialmethod(request, "PUT")
    delete = partialmethod(request, "DELETE")

    def infer(self, image: str, params: dict[str, Any], **query: Any) -> requests.Response:
        """POST a multipart request with a `params` field, as every client does."""
        files = {"params": (None, json.dumps(params))}
        return self.request("POST", "/infer/uniultra_mini", params={"image": image, **query}, files=files)


@contextmanager
def started(
    command: list[str], studies: Path, home: Path, port: int, weights: Path | None = None
) -> Iterator[Running]:
    """A server with a weights folder in a process of its own, once it answers."""
    home.mkdir()
    log_start = LOG.stat().st_size if LOG.is_file() else 0
    output = home / "output.txt"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MONAI_LABEL")}
    environment |= {"HOME": str(home), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment |= {"UNIULTRA_WEIGHTS": str(weights)} if weights else {}
    # a proxy that nobody answers: whatever tries the network at start fails at once
    environment |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=home, start_new_session=True
        )
    server = Running(f"http://127.0.0.1:{port}", studies, home, output, log_start, process)
    try:
        for _ in range(240):
            try:
                requests.get(f"{server.url}/info/", timeout=5).raise_for_status()
                break
            except requests.RequestException:
                assert process.poll() is None, output.read_text()[-3000:]
                time.sleep(0.5)
        else:
            raise AssertionError(output.read_text()[-3000:])
        yield server
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def parts_of(response: requests.Response) -> tuple[dict[str, Any], bytes, str]:
    """(params, file, its name) of a stock multipart answer."""
    from requests_toolbelt import MultipartDecoder

    parts = {}
    for part in MultipartDecoder.from_response(response).parts:
        disposition = part.headers[b"Content-Disposition"].decode()
        parts[re.search(r'name="(\w+)"', disposition)[1]] = (part.content, disposition)
    assert set(parts) == {"params", "image"}
    return json.loads(parts["params"][0]), parts["image"][0], parts["image"][1]

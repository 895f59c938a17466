"""A server on loopback that answers each request as a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from UniUltraLib.prompts.mask_packing import pack_mask
from UniUltraLib.prompts.planes import Plane
from UniUltraLib.prompts.prompt_set import PromptSet
from UniUltraLib.wire.client import Client

SHAPE = (20, 30)
PROMPTS = PromptSet((30, 20, 10), Plane("k", 4)).with_prompt("point", (3, 6, 4), "p").to_params()
SECRET = "patient-7"


def mask() -> np.ndarray:
    picture = np.zeros(SHAPE, bool)
    picture[5:9, 2:20] = True
    picture[6, 7] = False
    return picture


def good(**changes: Any) -> dict[str, Any]:
    return {
        **(pack_mask(mask()) or {}),
        "frame": 4,
        "plane": {"axis": "k", "index": 4},
        "score": 0.87,
        "model": "uniultra_mini",
        "adapter": None,
        "timings": {"decode": 0.01},
        **changes,
    }


class Scripted(ThreadingHTTPServer):
    """Answers each request with what `reply` gives for it, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.reply: Callable[[Handler], None] = lambda handler: handler.send(200, good())
        self.asked: list[Handler] = []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.route, self.query = url.path, {k: v[0] for k, v in parse_qs(url.query).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self)
        self.server.reply(self)

    do_POST = do_PUT = do_GET

    def send(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(data)), **named}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def scripted_server(port: int = 0) -> Iterator[Scripted]:
    """A running server, and its end."""
    with Scripted(port) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(client: Client) -> Any:
    """One question about the image `SECRET`."""
    return client.infer("uniultra_mini", PROMPTS, SHAPE, image_id=SECRET)

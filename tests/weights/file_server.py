"""A file server on this machine that keeps to the rules of HTTP ranges, or breaks them as it is told."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Script:
    """What the server does; lists are used up, one item a request.

    Attributes:
        content, etag, modified: the file.
        ranges: whether it knows ranges.
        statuses: answers given instead of the file, with their headers.
        cuts: bytes after which the connection is broken off; None for the whole.
        pause: seconds before every `step` bytes.
        length: whether it says the size.
        headers: more of them, in every answer.
        asked: headers of the requests that came.
    """

    content: bytes
    etag: str | None = '"one"'
    modified: str | None = None
    ranges: bool = True
    statuses: list = field(default_factory=list)
    cuts: list = field(default_factory=list)
    pause: float = 0.0
    step: int = 1 << 16
    length: bool = True
    headers: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        script = self.server.script
        script.asked.append(dict(self.headers))
        if script.statuses:
            status, headers = script.statuses.pop(0)
            return self._head(status, {"Content-Length": "0"} | headers)
        start, whole = 0, len(script.content)
        condition = self.headers.get("If-Range")
        if script.ranges and "Range" in self.headers and condition in (None, script.etag, script.modified):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= whole:
                return self._head(416, {"Content-Range": f"bytes */{whole}", "Content-Length": "0"})
        body = script.content[start:]
        headers = {"Content-Length": str(len(body))} if script.length else {}
        headers |= {"ETag": script.etag} if script.etag else {}
        headers |= {"Last-Modified": script.modified} if script.modified else {}
        headers |= {"Content-Range": f"bytes {start}-{whole - 1}/{whole}"} if start else {}
        self._head(206 if start else 200, headers | script.headers)
        cut = script.cuts.pop(0) if script.cuts else None
        for at in range(0, len(body[:cut]), script.step):
            time.sleep(script.pause)
            self.wfile.write(body[:cut][at : at + script.step])
        self.close_connection = True

    def _head(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_anything):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_anything):
        """A client that goes away is part of these tests."""


@contextmanager
def serving(script, path="/weights.pt"):
    """The address of the script's file while the server runs."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.script = script
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{path}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

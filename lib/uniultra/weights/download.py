"""One big file over HTTPS: checked while it comes, taken up again where it was cut off.

What has come lies beside the target as `NAME.part` with a note of its version (`NAME.part.json`). The
next attempt, or the next run after a kill, asks for the rest (`Range`) of that version (`If-Range`);
a server without ranges starts again. The file takes its name only once its SHA-256 is right.
"""

from __future__ import annotations

import http.client
import ipaddress
import shutil
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from uniultra import __version__
from uniultra.errors import ModelError
from uniultra.weights.partial import Partial

Progress = Callable[[int, int | None], None]  # bytes that have come, bytes in all
CHUNK = 1 << 18
PERMANENT = {400, 401, 403, 404, 405, 410, 451}
LONGEST_WAIT = 60.0  # seconds that a server's Retry-After is heeded


@dataclass(frozen=True)
class Limits:
    """Bounds of a download: bytes, seconds, and attempts in a row that bring less than a MiB."""

    size: int = 4 << 30
    timeout: float = 30.0  # without a byte
    window: float = 60.0  # over which the rate is judged
    slowest: float = 1024.0  # bytes a second
    attempts: int = 6
    backoff: float = 1.0  # the first wait; each further one is twice as long


class _Cut(Exception):
    """This attempt ended early; the next may go on. `wait`: seconds that the server asks for."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


def check_address(url: str) -> None:
    """Refuse what is neither HTTPS nor this machine.

    Raises:
        ModelError: another scheme, no host, or a password in the address.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    local = parts.scheme == "http" and _loopback(host)
    if not host or "@" in parts.netloc or not (parts.scheme == "https" or local):
        raise ModelError(
            "Expected an https:// address for weights; the one given, or one that it leads to, is another. "
            "Nothing was fetched from it."
        )


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Redirects(HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    url: str, target: Path, sha256: str, progress: Progress | None = None, limits: Limits | None = None
) -> None:
    """Fetch `url` into `target`, whole and with the right SHA-256, or not at all.

    Raises:
        ModelError: the address is not HTTPS, the server refuses or stays away, the file is too big for
            the limit or the disk, another run fetches it, or its SHA-256 is another.
    """
    limits = limits or Limits()
    check_address(url)
    opener = build_opener(_Redirects)
    with Partial(target, url) as partial:
        taken_up = partial.done > 0
        _complete(opener, url, partial, progress, limits)
        if partial.hexdigest() != sha256 and taken_up:
            partial.reset()  # the rest may have been of another version: once more, from the start
            _complete(opener, url, partial, progress, limits)
        found = partial.hexdigest()
        if found != sha256:
            partial.discard()
            raise ModelError(
                f"The file has another SHA-256 than expected ({found[:12]}… instead of {sha256[:12]}…): "
                "it was damaged on its way or replaced by its publisher. It was deleted; try again later."
            )
        partial.finish()


def _complete(
    opener: OpenerDirector, url: str, partial: Partial, progress: Progress | None, limits: Limits
) -> None:
    failures = 0
    while True:
        before = partial.done
        try:
            return _attempt(opener, url, partial, progress, limits)
        except _Cut as error:
            failures = 1 if partial.done - before > 1 << 20 else failures + 1
            if failures >= limits.attempts:
                raise ModelError(
                    f"The download stopped {failures} times ({error}); {partial.done} bytes are kept. "
                    "Run the same command again to go on from there."
                ) from error
            wait = limits.backoff * 2 ** (failures - 1) if error.wait is None else error.wait
            time.sleep(min(wait, LONGEST_WAIT))


def _attempt(
    opener: OpenerDirector, url: str, partial: Partial, progress: Progress | None, limits: Limits
) -> None:
    headers = {"User-Agent": f"uniultra/{__version__}", "Accept-Encoding": "identity"} | partial.headers()
    try:
        with opener.open(Request(url, headers=headers), timeout=limits.timeout) as response:
            total = _begin(response, partial, limits)
            _receive(response, partial, total, progress, limits)
    except HTTPError as error:
        with error:
            _refused(error, partial)
    except ValueError as error:
        raise ModelError("The server's answer leads to no valid address; try again later.") from error
    except (URLError, OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
            raise ModelError(
                "The server's certificate is not valid, so that it may be another machine. Nothing was "
                "fetched; check this machine's clock and certificates."
            ) from error
        raise _Cut("no connection" if isinstance(error, URLError) else "the connection broke") from error


def _begin(response: Any, partial: Partial, limits: Limits) -> int | None:
    """Bring `partial` in step with the answer; the size of the whole file, if the server says it."""
    length = response.headers.get("Content-Length")
    total = int(length) if length and length.isascii() and length.isdigit() else None
    if response.headers.get("Content-Encoding", "identity") != "identity" or response.status not in (
        200,
        206,
    ):
        raise ModelError(f"The server answered in a way that is no file (status {response.status}).")
    if response.status == 206:
        first, _, total = _content_range(response.headers.get("Content-Range", ""))
        if first != partial.done:
            partial.reset()
            raise _Cut("the server sent another part")
    elif partial.done:
        partial.reset()
    partial.note(response.headers)
    if total is not None:
        _check_size(total, limits)
        # The converted copy needs as much again.
        needed = 2 * total - partial.done
        if shutil.disk_usage(partial.folder).free < needed:
            raise ModelError(
                f"Expected {needed >> 20} MiB of free space for the download and its converted copy; there "
                "is less. Make room, or set UNIULTRA_WEIGHTS to a folder on another disk."
            )
    return total


def _content_range(text: str) -> tuple[int, int, int | None]:
    """First byte, last byte and size of the whole in `bytes 5-9/10`."""
    try:
        span, _, whole = text.removeprefix("bytes ").partition("/")
        first, _, last = span.partition("-")
        return int(first), int(last), None if whole == "*" else int(whole)
    except ValueError:
        raise ModelError("The server's answer names no valid part of the file; try again later.") from None


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.size:
        raise ModelError(
            f"Expected weights of at most {limits.size} bytes; the server offers {size}. Nothing was kept."
        )


def _receive(
    response: Any, partial: Partial, total: int | None, progress: Progress | None, limits: Limits
) -> None:
    since, counted = time.monotonic(), partial.done
    while chunk := response.read1(CHUNK):
        _check_size(partial.done + len(chunk), limits)
        partial.append(chunk)
        if progress:
            progress(partial.done, total)
        now = time.monotonic()
        if now - since > limits.window:
            if (partial.done - counted) / (now - since) < limits.slowest:
                raise _Cut("the server became too slow")
            since, counted = now, partial.done
    if total is not None and partial.done != total:
        raise _Cut("the connection was cut")


def _refused(error: HTTPError, partial: Partial) -> None:
    """Whether a status other than success is final, passing, or means that everything is here.

    Raises:
        ModelError: it is final.
        _Cut: it may pass.
    """
    if error.code == 416:
        whole = error.headers.get("Content-Range", "").partition("/")[2]
        if whole == str(partial.done):
            return
        partial.reset()
        raise _Cut("the file has changed")
    if error.code in PERMANENT or error.code < 400:
        raise ModelError(
            f"The server does not give the file out (status {error.code}). Fetch it with a browser from "
            "where its publisher says and use `uniultra weights add`."
        )
    wait = error.headers.get("Retry-After", "")
    raise _Cut(f"status {error.code}", float(wait) if wait.isascii() and wait.isdigit() else None)

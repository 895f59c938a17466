"""Resumable download of a large file over HTTPS, hashed as it arrives.

The received part is beside the target as `NAME.part`, with a note of its version in `NAME.part.json`. The
next attempt, or the next run after a kill, requests the rest (`Range`) of that version (`If-Range`); a server
without ranges starts again. The file gets its name only after its SHA-256 is verified.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
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

Progress = Callable[[int, int | None], None]  # bytes received, total bytes if known
CHUNK = 1 << 18
PERMANENT = {400, 401, 403, 404, 405, 410, 451}
LONGEST_WAIT = 60.0  # seconds; a longer Retry-After is cut to this


@dataclass(frozen=True)
class Limits:
    """Limits of a download."""

    size: int = 4 << 30  # bytes
    timeout: float = 30.0  # seconds without a byte
    window: float = 60.0  # seconds over which the rate is measured
    slowest: float = 1024.0  # bytes per second
    attempts: int = 6  # consecutive ones that receive less than a MiB
    backoff: float = 1.0  # seconds before the second attempt, doubled for each further one


class _Cut(Exception):
    """This attempt ended early; the next may resume. `wait`: seconds that the server requests."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


def check_address(url: str) -> None:
    """Check that an address is HTTPS, or HTTP on this machine.

    Raises:
        ModelError: another scheme, no host, or credentials in the address.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    local = parts.scheme == "http" and _loopback(host)
    if not host or "@" in parts.netloc or not (parts.scheme == "https" or local):
        raise ModelError(
            "Expected an https:// address for weights; got another, or a redirect to one. Nothing was "
            "fetched from it."
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
    """Download `url` to `target`, which appears only when complete and with the right SHA-256.

    Raises:
        ModelError: the address is not HTTPS, the server refuses or does not answer, the file is too big for
            the limit or the disk, another run is fetching it, or its SHA-256 differs.
    """
    limits = limits or Limits()
    check_address(url)
    opener = build_opener(_Redirects)
    with Partial(target, url) as partial:
        resumed = partial.done > 0
        _complete(opener, url, partial, progress, limits)
        if partial.hexdigest() != sha256 and resumed:
            # The kept part may have been damaged or of another version: once more, from the start.
            partial.reset()
            _complete(opener, url, partial, progress, limits)
        digest = partial.hexdigest()
        if digest != sha256:
            partial.discard()
            raise ModelError(
                f"Expected a file of SHA-256 {sha256[:12]}…; got {digest[:12]}…. It was damaged in transit "
                "or replaced by its publisher. It was deleted; try again later."
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
                    "Run the same command again to resume."
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
        raise ModelError("Expected a redirect to a valid address; got another. Try again later.") from error
    except (URLError, OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
            raise ModelError(
                "The server's certificate is not valid: it may be another machine. Nothing was fetched. "
                "Check this machine's clock and certificates."
            ) from error
        raise _Cut("no connection" if isinstance(error, URLError) else "the connection broke") from error


def _begin(response: Any, partial: Partial, limits: Limits) -> int | None:
    """Prepare `partial` for the response's body; the size of the whole file, if the server states it."""
    length = response.headers.get("Content-Length")
    total = int(length) if length and length.isascii() and length.isdigit() else None
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity" or response.status not in (200, 206):
        raise ModelError(f"Expected a file; the server sent something else (status {response.status}).")
    if response.status == 206:
        start, total = _content_range(response.headers.get("Content-Range", ""))
        if start != partial.done:
            partial.reset()
            raise _Cut("the server sent another part")
    elif partial.done:
        partial.reset()
    partial.note(response.headers)
    if total is not None:
        _check_size(total, limits)
        # Twice: the converted copy is as big.
        needed = 2 * total - partial.done
        if shutil.disk_usage(partial.folder).free < needed:
            raise ModelError(
                f"Expected {needed >> 20} MiB of free space for the download and its converted copy; there "
                "is less. Make room, or set UNIULTRA_WEIGHTS to a folder on another disk."
            )
    return total


def _content_range(text: str) -> tuple[int, int | None]:
    """First byte and total size in `bytes 5-9/10`; the size may be `*`, unknown."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(?:(\d+)|\*)", text, re.ASCII)
    if match is None:
        raise ModelError("Expected a valid Content-Range from the server; got another. Try again later.")
    return int(match[1]), int(match[2]) if match[2] else None


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.size:
        raise ModelError(
            f"Expected weights of at most {limits.size} bytes; the server has {size}. Nothing was kept."
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
    """Handle an error status; return if it means that the file is already complete.

    Raises:
        ModelError: the error is permanent.
        _Cut: it may be temporary.
    """
    if error.code == 416:
        whole = error.headers.get("Content-Range", "").partition("/")[2]
        if whole == str(partial.done):
            return
        partial.reset()
        raise _Cut("the file has changed")
    if error.code in PERMANENT or error.code < 400:
        raise ModelError(
            f"The server refuses the file (status {error.code}). Download it with a browser from its "
            "publisher's page and use `uniultra weights add`."
        )
    wait = error.headers.get("Retry-After", "")
    raise _Cut(f"status {error.code}", float(wait) if wait.isascii() and wait.isdigit() else None)

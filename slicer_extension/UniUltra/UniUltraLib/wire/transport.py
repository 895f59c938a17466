"""HTTP requests to one server: bounded in time and size, with errors that a person can act on.

A request is never aborted from another thread. Long ones (uploads, downloads) report their progress between
two chunks, and an exception raised by the report ends them; short ones end by their time-out. Until then the
worker's daemon thread waits: nothing joins it, and its answer is dropped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import time
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple
from urllib.parse import urlsplit

import requests
import urllib3

from ..errors import (
    Conflict,
    DiskError,
    Refused,
    ServerFailed,
    ServerTimeout,
    ServerUnreachable,
    UnexpectedAnswer,
)
from .uploads import Report

LOOPBACK = ("127.0.0.1", "localhost", "::1")
CHUNK = 64 * 1024
MAX_DETAIL = 500
# Largest JSON answer and largest download that are accepted, bytes.
MAX_JSON = 64 * 1024 * 1024
MAX_FILE = 4 * 1024 * 1024 * 1024

_START = "Start the server (`uniultra serve --studies FOLDER`) or correct the address."
_NOT_OURS = "Check that this is the address of a UniUltra or MONAI Label server."
_SHOW_LOG = "Look at the server's log, then try again."


class Transport:
    """Sends requests to the server at `address`; cheap to create, connects at the first request.

    TLS certificates are always verified.

    Args:
        address: `http://host:port` or `host:port`; the attribute omits a user name and password.
        api_key: sent as `Authorization: Bearer`, over https or to this machine only.
        timeout: seconds to connect, seconds to answer; the second also bounds the rest of a JSON answer.

    Raises:
        ValueError: the address is malformed, or a key would travel unencrypted.
    """

    def __init__(
        self, address: str, *, api_key: Optional[str] = None, timeout: Tuple[float, float] = (5.0, 60.0)
    ) -> None:
        parts = urlsplit(address.strip() if "://" in address else f"http://{address.strip()}")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                "A server address looks like http://127.0.0.1:8000; got something else. Correct it."
            )
        # A name or password in the address must not reach a message.
        self.address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        local = parts.hostname in LOOPBACK
        if api_key and parts.scheme != "https" and not local:
            raise ValueError("An access key travels over https only. Use an https:// address, or no key.")
        key = (api_key or "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ValueError("An access key is a line of plain letters and digits. Copy it again.")

        def authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
            if key:
                request.headers["Authorization"] = f"Bearer {key}"
            return request

        self._timeout = timeout
        self._session = requests.Session()
        self._session.auth = authorise  # also without a key: else a .netrc entry would be sent
        self._session.headers["Accept-Encoding"] = "identity"
        # A proxy configured for the internet cannot reach this machine.
        self._session.trust_env = not local
        logging.getLogger("urllib3.connectionpool").addFilter(_hide_query)

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()

    def json(self, method: str, path: str, **options: Any) -> Any:
        """The JSON answer to `method path`; `options` as for `requests.request`.

        Raises:
            ServerError: one of its kinds, see `errors`.
        """
        with self._open(method, path, options) as response:
            body = self._body(response)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise UnexpectedAnswer(self.address, "the answer is not JSON.", _NOT_OURS) from None

    def file(self, path: str, target: Path, report: Optional[Report] = None, **options: Any) -> Path:
        """Download `path` to `target`, which appears only when it is complete.

        Args:
            target: if it has no extension, that of the server's file is added.
            report: called with the fraction received (0..1) after each chunk; an exception ends the download.

        Raises:
            ServerError: one of its kinds, see `errors`.
        """
        with self._open("GET", path, options) as response:
            if not target.suffix:
                target = target.with_name(target.name + _ending(response))
            part = target.with_name(target.name + ".part")
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                length = response.headers.get("Content-Length", "")
                size = int(length) if length.isdecimal() else 0
                with part.open("wb") as out:
                    for chunk in self._chunks(response, MAX_FILE):
                        out.write(chunk)
                        if report is not None:
                            report(out.tell() / size if size else 0.0)
                part.replace(target)
            except OSError as error:
                raise DiskError(
                    f"A file of the server cannot be kept on this disk ({error.strerror}). Free some space, "
                    "then try again."
                ) from None
            finally:
                with contextlib.suppress(OSError):
                    part.unlink()
        return target

    def exists(self, path: str, **options: Any) -> bool:
        """Whether the server has `path`: it answers a HEAD, and not with 404.

        Raises:
            ServerError: one of its kinds, see `errors`.
        """
        try:
            with self._open("HEAD", path, options):
                return True
        except Refused as refused:
            if refused.status != 404:
                raise
            return False

    def _open(self, method: str, path: str, options: Any) -> requests.Response:
        # `from None` below: the text of requests' own errors holds the image id.
        try:
            response = self._session.request(
                method,
                self.address + path,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
                **options,
            )
        except requests.exceptions.Timeout as error:
            raise self._too_slow(isinstance(error, requests.exceptions.ConnectTimeout)) from None
        except requests.exceptions.SSLError:
            raise ServerUnreachable(
                self.address,
                "its certificate is not trusted or it does not speak https.",
                "Ask your administrator for a certificate of a known authority, or correct the address.",
            ) from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            raise ServerUnreachable(self.address, _why(error), _START) from None
        if response.status_code not in (200, 202):
            with response:
                self._refuse(response)
        return response

    def _body(self, response: requests.Response) -> bytes:
        # The time-out applies to each read; this deadline ends an answer that only trickles in.
        return b"".join(self._chunks(response, MAX_JSON, time.monotonic() + self._timeout[1]))

    def _chunks(self, response: requests.Response, limit: int, deadline: float = math.inf) -> Iterator[bytes]:
        # requests' own iter_content() waits until a chunk is full, however slowly it fills. Read undecoded,
        # as `identity` was asked for, no answer can grow beyond what is counted here.
        read = getattr(response.raw, "read1", response.raw.read)
        received = 0
        while True:
            try:
                chunk = read(CHUNK)
            except urllib3.exceptions.ReadTimeoutError:
                raise self._too_slow(connecting=False) from None
            except (urllib3.exceptions.HTTPError, OSError):
                raise ServerUnreachable(
                    self.address,
                    "the connection broke off before the answer was complete.",
                    "Check the server, then try again.",
                ) from None
            if not chunk:
                return
            received += len(chunk)
            if received > limit:
                raise UnexpectedAnswer(self.address, f"the answer is larger than {limit} bytes.", _NOT_OURS)
            if time.monotonic() > deadline:
                raise self._too_slow(connecting=False)
            yield chunk

    def _refuse(self, response: requests.Response) -> None:
        status = response.status_code
        if 300 <= status < 400:
            cause = f"it redirects elsewhere (status {status})."
            raise UnexpectedAnswer(self.address, cause, "Set the address it redirects to.")
        detail, newer = _detail(self._body(response))
        if status == 409 and newer is not None:
            raise Conflict(self.address, status, detail, newer)
        says = f" and says: {detail}" if detail else "."
        if status in (401, 403):
            kind, cause, step = (
                Refused,
                "it refused access",
                "Set the access key your administrator gave you.",
            )
        elif 400 <= status < 500:
            kind, cause, step = Refused, "it refused the request", "Correct what it names, then try again."
        else:
            kind, cause, step = ServerFailed, "it failed on the request", _SHOW_LOG
        raise kind(self.address, f"{cause} (status {status}){says}", step, status, detail)

    def _too_slow(self, connecting: bool) -> ServerTimeout:
        cause = f"no connection within {self._timeout[0]:g} s."
        step = "Check the address, the network and the firewall."
        if not connecting:
            cause = f"no answer within {self._timeout[1]:g} s."
            step = "The server may be busy or the image large: try again, or set a longer time-out."
        return ServerTimeout(self.address, cause, step)


def _why(error: Exception) -> str:
    text = str(error)
    if "refused" in text:
        return "the connection was refused: no server listens there."
    if "resolve" in text or "Failed to parse" in text or "Name or service" in text or "getaddrinfo" in text:
        return "this network does not know the name."
    if "ProxyError" in type(error).__name__:
        return "the proxy did not let the request through."
    return "the connection failed."


def _detail(body: bytes) -> Tuple[str, Optional[Dict[str, Any]]]:
    """FastAPI's `detail` on one line of at most `MAX_DETAIL` characters, and the newer version that a 409
    reports. The rejected value itself, which FastAPI quotes, is left out.
    """
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", None
    newer = None
    if isinstance(detail, dict):
        newer, detail = detail.get("newer"), detail.get("message", "")
    if isinstance(detail, list):
        detail = "; ".join(str(entry.get("msg", "")) for entry in detail if isinstance(entry, dict))
    text = re.sub(r"[\x00-\x1f\x7f]+", " ", str(detail))[:MAX_DETAIL].strip()
    return text, newer if isinstance(newer, dict) and type(newer.get("revision")) is int else None


def _ending(response: requests.Response) -> str:
    """The extension of the file name in the server's answer, such as `.nii.gz`; empty without one."""
    ending = re.search(
        r"((?:\.nii|\.seq|\.seg|\.igs)?\.[A-Za-z0-9]{1,5})\"?\s*$",
        response.headers.get("Content-Disposition", ""),
    )
    return ending.group(1).lower() if ending else ""


def _hide_query(record: logging.LogRecord) -> bool:
    """Cut the query, which names the image, from urllib3's debug line about a request."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            value.partition("?")[0] if isinstance(value, str) and value.startswith("/") else value
            for value in record.args
        )
    return True

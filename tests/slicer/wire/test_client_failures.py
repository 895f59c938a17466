"""The client's failures: each kind has its own error class and a text that says what to do."""

from __future__ import annotations

import base64
import contextlib
import socket
import time
import traceback
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from scripted_server import SECRET, Handler, Scripted, ask, good
from UniUltraLib.errors import (
    Refused,
    ServerError,
    ServerFailed,
    ServerTimeout,
    ServerUnreachable,
    UnexpectedAnswer,
    UniUltraLibError,
)
from UniUltraLib.wire import transport
from UniUltraLib.wire.client import Client


def fails(client: Client, kind: type[ServerError], *words: str) -> ServerError:
    """A request fails; the text names the address, the cause and the next step, but no image ID, nor does the
    traceback."""
    with pytest.raises(kind) as caught:
        ask(client)
    error, text = caught.value, str(caught.value)
    assert type(error) is kind and text.startswith(client.address)
    assert error.cause in text and error.next_step in text and all(word in text for word in words), text
    assert SECRET not in "".join(traceback.format_exception(error)) and len(text) < 800
    return error


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        fails(Client(f"127.0.0.1:{free.getsockname()[1]}"), ServerUnreachable, "refused", "uniultra serve")


def test_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("NO_PROXY", "*")
    fails(Client("no-such-host.invalid:8000"), ServerUnreachable, "does not know the name")


def test_https_to_a_server_without_it(server: Scripted) -> None:
    fails(Client(server.address.replace("http", "https")), ServerUnreachable, "https", "certificate")


def test_no_answer_in_time(server: Scripted, client: Client) -> None:
    server.reply = lambda handler: time.sleep(0.8)
    fails(client, ServerTimeout, "0.5 s", "try again")


def trickle(handler: Handler, blocks: int = 15, pause: float = 0.1) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(blocks):
            handler.wfile.write(b" ")
            time.sleep(pause)


stall = partial(trickle, blocks=1, pause=0.8)


@pytest.mark.parametrize("reply", [trickle, stall])
def test_an_answer_that_never_ends(
    server: Scripted, client: Client, reply: Callable[[Handler], None]
) -> None:
    server.reply = reply
    started = time.monotonic()
    fails(client, ServerTimeout, "0.5 s")
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (404, {"detail": "Expected a known image."}, Refused, ["404", "Expected a known image"]),
        (422, {"detail": [{"loc": ["a"], "msg": "Too long", "input": SECRET}]}, Refused, ["422", "Too long"]),
        (401, {"detail": "No key"}, Refused, ["401", "No key", "access key"]),
        (403, b"", Refused, ["403", "access key"]),
        (429, {"detail": "x" * 9000}, Refused, ["429"]),
        (500, b"Internal Server Error", ServerFailed, ["500", "log"]),
        (503, {"detail": "Out of GPU memory"}, ServerFailed, ["503", "Out of GPU memory"]),
        (302, b"", UnexpectedAnswer, ["302", "redirects"]),
    ],
)
def test_a_refusal_says_what_the_server_said(
    server: Scripted, client: Client, status: int, body: Any, kind: type[ServerError], words: list[str]
) -> None:
    server.reply = lambda handler: handler.send(status, body, Location="http://127.0.0.1:9/")
    error = fails(client, kind, *words)
    assert getattr(error, "status", status) == status
    assert len(server.asked) == 1


BOMB = base64.b64encode(zlib.compress(b"\xff" * 10**8)).decode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", ["not JSON"]),
        (b"", ["not JSON"]),
        (b"[" * 200_000, ["not JSON"]),
        (b"[]", ["bbox"]),
        ({"mask": ""}, ["bbox"]),
        (good(mask=BOMB), ["mask cannot be used"]),
        (good(mask=7), ["mask cannot be used"]),
        (good(bbox=[0, 0, 10**9, 10**9]), ["30 x 20 pixels"]),
        (good(bbox={"x0": 1}), ["four whole numbers"]),
        (good(plane={"axis": "k", "index": 5}), ["another plane"]),
        (good(plane={"axis": "?", "index": 4}), ["mask cannot be used"]),
        (good(plane=3), ["mask cannot be used"]),
        (b" " * 2_000_001 + b"{}", ["2000000 bytes"]),
    ],
)
def test_an_answer_that_makes_no_sense(
    server: Scripted, client: Client, monkeypatch: pytest.MonkeyPatch, body: Any, words: list[str]
) -> None:
    monkeypatch.setattr(transport, "MAX_JSON", 2_000_000)
    server.reply = lambda handler: handler.send(200, body)
    fails(client, UnexpectedAnswer, *words)


def test_odd_extras_of_an_answer_do_no_harm(server: Scripted, client: Client) -> None:
    server.reply = lambda handler: handler.send(200, good(score="high", timings=[1], adapter=3))
    answer = ask(client)
    assert (answer.score, answer.timings, answer.adapter) == (None, {}, "3")


def test_other_services_are_no_server(server: Scripted, client: Client) -> None:
    server.reply = lambda handler: handler.send(200, {"hello": "world"})
    for call in (client.info, client.image_ids, lambda: client.upload(b"x")):
        with pytest.raises(UnexpectedAnswer, match="has no"):
            call()
    server.reply = lambda handler: handler.send(200, {"objects": []})
    with pytest.raises(UnexpectedAnswer, match="list of images"):
        client.image_ids()
    server.reply = lambda handler: handler.send(200, {"session_id": None})
    with pytest.raises(UnexpectedAnswer, match="session id"):
        client.upload(b"x")


@pytest.mark.parametrize("key", ["abc\r\nX-Other: 1", "ключ"])
def test_a_key_that_cannot_travel_is_told_at_once(key: str) -> None:
    with pytest.raises(ValueError, match="key") as told:
        Client("http://127.0.0.1:1", api_key=key)
    assert key not in str(told.value)


def test_blanks_around_a_key_are_no_part_of_it(server: Scripted) -> None:
    server.reply = lambda handler: handler.send(200, {"models": {}})
    Client(server.address, api_key=" abc\n").info()
    assert server.asked[0].headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "..", "[::1"])
def test_a_name_that_no_server_has(host: str) -> None:
    try:
        client = Client(f"http://{host}:80")
    except ValueError:
        return
    with pytest.raises(ServerUnreachable):
        client.info()


def test_a_download_that_the_disk_refuses(server: Scripted, client: Client, tmp_path: Any) -> None:
    server.reply = lambda handler: handler.send(200, b"picture")
    (tmp_path / "nowhere").write_bytes(b"")
    with pytest.raises(UniUltraLibError, match="disk") as told:
        client.download_image(SECRET, tmp_path / "nowhere" / "file.png")
    assert SECRET not in str(told.value) and "nowhere" not in str(told.value)

"""The client against a server on loopback that answers as told: good answers and every kind of failure."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from UniUltraLib.client import Client
from UniUltraLib.errors import (
    Refused,
    ServerError,
    ServerFailed,
    ServerTimeout,
    ServerUnreachable,
    UnexpectedAnswer,
)
from UniUltraLib.packed import pack_mask
from UniUltraLib.planes import Plane
from UniUltraLib.prompts import PromptSet

SHAPE = (20, 30)
PROMPTS = PromptSet((30, 20, 10), Plane("k", 4)).with_point("p", (3, 6, 4)).to_params()
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

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
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


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def client(server: Scripted) -> Iterator[Client]:
    made = Client(server.address, timeout=(1.0, 0.5))
    yield made
    made.close()


def ask(client: Client) -> Any:
    return client.infer("uniultra_mini", PROMPTS, SHAPE, image_id=SECRET)


def test_an_answer_is_a_mask_of_the_asked_plane(server: Scripted, client: Client) -> None:
    answer = ask(client)
    np.testing.assert_array_equal(answer.mask, mask())
    assert answer.bbox == [2, 5, 19, 8] and answer.frame == 4 and answer.plane == Plane("k", 4)
    assert (answer.score, answer.model, answer.adapter) == (0.87, "uniultra_mini", None)
    assert answer.timings == {"decode": 0.01}
    asked = server.asked[0]
    assert (asked.command, asked.route) == ("POST", "/infer/uniultra_mini")
    assert asked.query == {"image": SECRET, "output": "json"}
    sent = parse_qs(asked.body.decode())["params"][0]
    assert json.loads(sent) == {**PROMPTS, "result": "packed"}


def test_an_answer_in_pieces(server: Scripted, client: Client) -> None:
    def in_pieces(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        data = json.dumps(good()).encode()
        for start in range(0, len(data), 50):
            piece = data[start : start + 50]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    server.reply = in_pieces
    np.testing.assert_array_equal(ask(client).mask, mask())


def test_an_empty_mask_is_an_answer(server: Scripted, client: Client) -> None:
    server.reply = lambda handler: handler.send(200, {"bbox": None, "score": float("nan")})
    answer = ask(client)
    assert not answer.mask.any() and answer.mask.shape == SHAPE
    assert (answer.bbox, answer.score, answer.plane) == (None, None, None)


def test_the_campaign_routes(server: Scripted, client: Client, tmp_path: Path) -> None:
    answers = {
        "/info/": {"models": {"uniultra_mini": {}}},
        "/datastore/": {"objects": {"a": {}, "b": {}}},
        "/activelearning/first": {"id": "b", "path": "x"},
        "/activelearning/a%2Fb": {},
    }
    server.reply = lambda handler: handler.send(200, answers[handler.route])
    assert client.info() == answers["/info/"]
    assert client.image_ids() == ["a", "b"]
    assert (client.next_sample("first", client_id="me") or {})["id"] == "b"
    assert json.loads(server.asked[2].body) == {"client_id": "me"}
    assert client.next_sample("a/b") is None
    assert server.asked[1].query == {"output": "all"}


def test_a_download_appears_whole_or_not_at_all(server: Scripted, client: Client, tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(300_000)
    header = {"Content_Disposition": 'attachment; filename="x.1970.nii.gz"'}
    server.reply = lambda handler: handler.send(200, data, **header)
    saved = client.download_image(SECRET, tmp_path / "image")
    assert saved == tmp_path / "image.nii.gz" and saved.read_bytes() == data
    assert client.download_image(SECRET, tmp_path / "own.nrrd") == tmp_path / "own.nrrd"
    assert server.asked[0].query == {"image": SECRET}

    server.reply = lambda handler: handler.send(200, data, Content_Length=str(10**6))
    with pytest.raises(ServerUnreachable, match="broke off"):
        client.download_image(SECRET, tmp_path / "cut.nrrd")
    small = Client(server.address, max_file=1000)
    server.reply = lambda handler: handler.send(200, data)
    with pytest.raises(UnexpectedAnswer, match="1000 bytes"):
        small.download_image(SECRET, tmp_path / "cut.nrrd")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["image.nii.gz", "own.nrrd"]


class Sessions:
    """MONAI Label's session routes, and inference that wants a live one."""

    def __init__(self, server: Scripted) -> None:
        self.live: list[str] = []
        self.names: list[str] = []
        self.bodies: list[bytes] = []
        server.reply = self

    def __call__(self, handler: Handler) -> None:
        if handler.command == "PUT":
            head, _, rest = handler.body.partition(b"\r\n\r\n")
            self.names.append(head.decode().partition('filename="')[2].partition('"')[0])
            self.bodies.append(rest.rpartition(b"\r\n--")[0])
            self.live.append(f"session-{len(self.names)}")
            handler.send(200, {"session_id": self.live[-1], "session_info": {}})
        elif handler.query.get("session_id") in self.live:
            handler.send(200, good())
        else:
            handler.send(404, {"detail": "Session Not Found"})


@pytest.mark.parametrize("from_file", [False, True])
def test_an_image_is_uploaded_once_and_again_when_its_session_expired(
    server: Scripted, client: Client, tmp_path: Path, from_file: bool
) -> None:
    sessions, image = Sessions(server), b"NRRD0004\n..."
    file = tmp_path / "DOE JANE.1970.nrrd"
    file.write_bytes(image)
    first = client.upload(file if from_file else image)
    assert client.upload(image) == first and len(sessions.names) == 1, "the same content is known"
    assert sessions.bodies[0] == image
    assert "DOE" not in sessions.names[0] and sessions.names[0].endswith(".nrrd")
    assert "1970" not in sessions.names[0]

    def infer() -> Any:
        return client.infer("uniultra_mini", PROMPTS, SHAPE, session_id=first)

    np.testing.assert_array_equal(infer().mask, mask())
    sessions.live.clear()
    np.testing.assert_array_equal(infer().mask, mask())
    assert sessions.bodies == [image, image] and sessions.live == ["session-2"]
    infer()
    assert len(sessions.names) == 2, "the first id goes on working without another upload"
    assert client.upload(image) == "session-2"

    client.forget("session-2")
    sessions.live.clear()
    with pytest.raises(Refused, match="Session Not Found"):
        infer()
    assert len(sessions.names) == 2


def test_a_server_that_never_finds_its_session_is_asked_twice_only(server: Scripted, client: Client) -> None:
    sessions = Sessions(server)
    session = client.upload(b"x")
    sessions.live = []
    keep = server.reply
    server.reply = lambda h: keep(h) if h.command == "PUT" else h.send(404, {"detail": "Session Not Found"})
    with pytest.raises(Refused):
        client.infer("uniultra_mini", PROMPTS, SHAPE, session_id=session)
    assert [h.command for h in server.asked] == ["PUT", "POST", "PUT", "POST"]


def check(error: ServerError, address: str, *words: str) -> None:
    """The text names the address, the cause and the next step, and no image id, nor does a traceback."""
    text = str(error)
    assert text.startswith(address) and error.cause in text and error.next_step in text
    assert all(word in text for word in words), text
    assert SECRET not in "".join(traceback.format_exception(error))


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ServerUnreachable) as caught:
            ask(Client(address))
    check(caught.value, address, "refused", "uniultra serve")


def test_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(ServerUnreachable) as caught:
        ask(Client("no-such-host.invalid:8000"))
    check(caught.value, "http://no-such-host.invalid:8000", "does not know the name")


def test_https_to_a_server_without_it(server: Scripted) -> None:
    address = server.address.replace("http", "https")
    with pytest.raises(ServerUnreachable) as caught:
        ask(Client(address))
    check(caught.value, address, "https", "CA")


def test_no_answer_in_time(server: Scripted, client: Client) -> None:
    server.reply = lambda handler: time.sleep(0.8)
    with pytest.raises(ServerTimeout) as caught:
        ask(client)
    check(caught.value, server.address, "0.5 s", "try again")


def trickle(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(15):
        time.sleep(0.1)
        try:
            handler.wfile.write(b" ")
        except OSError:
            return


def stall(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")
    time.sleep(0.8)


@pytest.mark.parametrize("reply", [trickle, stall])
def test_an_answer_that_never_ends(
    server: Scripted, client: Client, reply: Callable[[Handler], None]
) -> None:
    server.reply = reply
    started = time.monotonic()
    with pytest.raises(ServerTimeout) as caught:
        ask(client)
    assert time.monotonic() - started < 1.5
    check(caught.value, server.address, "0.5 s")


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (
            404,
            {"detail": "Expected a known image; see /datastore/."},
            Refused,
            ["404", "Expected a known image"],
        ),
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
    with pytest.raises(kind) as caught:
        ask(client)
    check(caught.value, server.address, *words)
    assert type(caught.value) is kind and len(str(caught.value)) < 800
    if kind is not UnexpectedAnswer:
        assert caught.value.status == status  # type: ignore[attr-defined]
    assert len(server.asked) == 1


BOMB = base64.b64encode(zlib.compress(b"\xff" * 10**8)).decode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", ["not JSON"]),
        (b"", ["not JSON"]),
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
def test_an_answer_that_makes_no_sense(server: Scripted, body: Any, words: list[str]) -> None:
    server.reply = lambda handler: handler.send(200, body)
    with pytest.raises(UnexpectedAnswer) as caught:
        ask(Client(server.address, max_json=2_000_000))
    check(caught.value, server.address, *words)


def test_odd_extras_of_an_answer_do_no_harm(server: Scripted, client: Client) -> None:
    server.reply = lambda handler: handler.send(200, good(score="high", frame="4", timings=[1], adapter=3))
    answer = ask(client)
    assert (answer.score, answer.frame, answer.timings, answer.adapter) == (None, None, {}, "3")


def test_other_services_are_no_server(server: Scripted, client: Client) -> None:
    server.reply = lambda handler: handler.send(200, {"hello": "world"})
    for call in (client.info, client.image_ids, lambda: client.next_sample("x"), lambda: client.upload(b"x")):
        with pytest.raises(UnexpectedAnswer, match="has no"):
            call()
    server.reply = lambda handler: handler.send(200, {"objects": []})
    with pytest.raises(UnexpectedAnswer, match="list of images"):
        client.image_ids()
    server.reply = lambda handler: handler.send(200, {"session_id": None})
    with pytest.raises(UnexpectedAnswer, match="session id"):
        client.upload(b"x")


def test_the_key_goes_to_this_machine_or_over_https_only(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    ask(Client(server.address, api_key="open"))
    ask(Client(server.address))
    assert [handler.headers["Authorization"] for handler in server.asked] == ["Bearer open", None]
    Client("https://hospital.example", api_key="open")
    with pytest.raises(ValueError, match="https"):
        Client("http://hospital.example", api_key="open")


@pytest.mark.parametrize("address", ["", "ftp://host", "http://", "http://host?x=1", "//"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:8000"):
        Client(address)


def test_an_address_is_shown_without_its_password() -> None:
    assert Client("http://me:secret@127.0.0.1:8000/label/").address == "http://127.0.0.1:8000/label"
    assert Client(" 127.0.0.1:8000 ").address == "http://127.0.0.1:8000"


def test_logs_name_no_image(server: Scripted, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ask(client)
    server.reply = lambda handler: handler.send(404, {"detail": "no"})
    with pytest.raises(Refused):
        ask(client)
    assert "/infer/uniultra_mini" in caplog.text, "urllib3 does log requests"
    assert SECRET not in caplog.text and "foreground" not in caplog.text


def test_an_image_is_named_one_way(client: Client) -> None:
    for names in ({}, {"image_id": "a", "session_id": "b"}):
        with pytest.raises(ValueError, match="session id"):
            client.infer("m", PROMPTS, SHAPE, **names)

"""The client without failures: answers, campaign, downloads, keys."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from scripted_server import PROMPTS, SECRET, SHAPE, Handler, Scripted, ask, good, mask
from UniUltraLib.errors import Refused, ServerUnreachable, UnexpectedAnswer
from UniUltraLib.wire import campaign_calls, transport
from UniUltraLib.wire.client import Client


def test_an_answer_is_a_mask_of_the_asked_plane(server: Scripted, client: Client) -> None:
    answer = ask(client)
    np.testing.assert_array_equal(answer.mask, mask())
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
    assert answer.score is None


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
    assert campaign_calls.next_unit(client, "first", "me") == campaign_calls.Unit("b", path="x")
    assert json.loads(server.asked[2].body) == {"client_id": "me"}
    assert campaign_calls.next_unit(client, "a/b", "me") is None
    assert server.asked[1].query == {"output": "all"}


def test_a_download_appears_whole_or_not_at_all(
    server: Scripted, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    monkeypatch.setattr(transport, "MAX_FILE", 1000)
    server.reply = lambda handler: handler.send(200, data)
    with pytest.raises(UnexpectedAnswer, match="1000 bytes"):
        client.download_image(SECRET, tmp_path / "cut.nrrd")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["image.nii.gz", "own.nrrd"]


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


def test_what_the_third_axis_is_travels_with_the_prompts(server: Scripted, client: Client) -> None:
    client.infer("uniultra_mini", PROMPTS, SHAPE, image_id=SECRET, axis_kind="cine")
    sent = json.loads(parse_qs(server.asked[0].body.decode())["params"][0])
    assert sent == {**PROMPTS, "result": "packed", "axis_kind": "cine"}

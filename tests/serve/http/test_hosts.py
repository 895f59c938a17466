"""A page whose name was made to stand for this server gets nothing; people on the network still do."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from uniultra.serve.http.hosts import HostCheck


def asked(host: str, *allowed: str) -> Any:
    app = Starlette(
        routes=[Route("/", lambda _: PlainTextResponse("in"))],
        middleware=[Middleware(HostCheck, allowed=allowed)],
    )
    return TestClient(app).get("/", headers={"host": host})


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "app.localhost", "127.8.9.1"),
        *("192.168.1.7:8000", "10.0.0.2", "[fd00::7]:8000", "[fe80::1%25eth0]:8000"),
        *("us-server:8000", "us-server.local", "us.internal:8000", "us.home.arpa.", socket.gethostname()),
    ],
)
def test_names_that_nobody_else_can_have_are_let_in(host: str) -> None:
    assert asked(host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example"),
        *("notlocal.example", "0x7f.1.example", "evil.example.", "a@evil.example"),
        *("", "[::1", "mylocalhost.de"),
    ],
)
def test_names_with_a_domain_are_not(host: str) -> None:
    answer = asked(host)
    assert answer.status_code == 421 and "allowed_hosts" in answer.json()["detail"]
    assert not host or host not in answer.text


def test_a_person_may_name_them() -> None:
    assert asked("us.ward.example:8000", "us.ward.example").status_code == 200
    assert asked("US.ward.example", "us.Ward.example").status_code == 200
    assert asked("x.us.ward.example", "us.ward.example").status_code == 421
    for host in ("ward.example", "us.ward.example", "a.b.ward.example"):
        assert asked(host, ".ward.example").status_code == 200
    assert asked("notward.example", ".ward.example").status_code == 421
    assert asked("evil.example", "*").status_code == 200


def test_it_stands_before_the_server(client: Any) -> None:
    evil = {"host": "evil.example"}
    assert client.get("/info/", headers=evil).status_code == 421
    post = client.post("/infer/uniultra_mini?image=grey", data={"params": "{}"}, headers=evil)
    assert post.status_code == 421
    # of the same origin as the page that was let in under that name: `origins` alone would not stop it
    both = {"host": "evil.example", "origin": "http://evil.example"}
    assert client.get("/info/", headers=both).status_code == 421
    assert client.get("/info/", headers={"host": "127.0.0.1:8000"}).status_code == 200

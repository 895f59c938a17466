"""How a server starts, and what it writes down."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import requests
from started_server import CANARY, CLICK, LOG, Running, free_port, started


def test_no_record_holds_anything_of_a_request(server: Running) -> None:
    """Every kind of request with a telling value in every place, then both logs are searched."""
    url, picture = server.url, (server.studies / "grey.png").read_bytes()
    telling = {**CLICK, "image": CANARY}
    assert server.infer(CANARY, CLICK).status_code == 200
    for params in (
        {**telling, "foreground": CANARY},
        {**telling, "model": CANARY},
        {**telling, CANARY: CANARY},
    ):
        server.infer(CANARY, params)
    server.infer(f"/{CANARY}/x.png", CLICK, session_id=CANARY)
    server.infer("grey", {**CLICK, "save_label": True, "label_tag": CANARY})
    asked = {"image": CANARY, "label": CANARY, "tag": CANARY, "id": CANARY, "secret": CANARY}
    for path in ("/datastore/image", "/datastore/label", "/datastore/image/info", "/datastore/label/info"):
        for method in ("GET", "HEAD", "DELETE", "PUT"):
            body = {"file": (f"{CANARY}.dcm", picture), "label": (f"{CANARY}.nrrd", picture)}
            fields = {"info": json.dumps({"PatientName": CANARY}), "params": json.dumps({CANARY: CANARY})}
            requests.request(method, url + path, params=asked, files=body, data=fields, timeout=30)
    for method, path in (
        *(("GET", f"/{CANARY}"), ("GET", f"/session/{CANARY}"), ("DELETE", f"/session/{CANARY}")),
        *(("POST", f"/infer/{CANARY}"), ("POST", f"/infer/wsi/{CANARY}"), ("POST", f"/train/{CANARY}")),
        *(("POST", f"/scoring/{CANARY}"), ("GET", f"/ohif/{CANARY}"), ("GET", f"/proxy/dicom/wado/{CANARY}")),
        *(("POST", f"/batch/infer/{CANARY}"), ("GET", f"/model/{CANARY}"), ("PUT", f"/model/{CANARY}")),
        *(("POST", "/activelearning/random"), ("POST", f"/activelearning/{CANARY}")),
    ):
        requests.request(method, url + path, params=asked, json={"client_id": CANARY}, timeout=30)
    broken = {"files": (f"{CANARY}.dcm", b"\0" * 128 + b"DICM" + CANARY.encode() * 9)}
    requests.put(f"{url}/session/", files=broken, timeout=30)
    requests.put(f"{url}/session/", files={"files": (f"{CANARY}.png", picture)}, timeout=30)
    raw = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10)
    raw.sendall(f"GARBAGE {CANARY} \r\n{CANARY}\r\n\r\n".encode())
    raw.close()
    assert requests.get(f"{url}/info/", timeout=10).status_code == 200
    console = server.output.read_text(errors="replace")
    log = LOG.read_bytes()[server.log_start :].decode(errors="replace")
    assert "POST /infer/{model} 200" in console and "POST /infer/{model} 200" in log
    for text in (console, log):
        assert [line for line in text.splitlines() if CANARY in line] == []
    started = console[console.index("Application startup complete") :]
    assert [line for line in started.splitlines() if str(server.studies.parent) in line] == []


def test_our_own_command_starts_the_same_server(tmp_path: Path, tiny_studies: Any) -> None:
    studies, port = tiny_studies(tmp_path / "studies"), free_port()
    sessions = tmp_path / "sessions"
    (sessions / "11111111-1111-4111-8111-111111111111").mkdir(parents=True)
    (sessions / "stray").mkdir()
    code = (
        f"import os, pathlib; os.environ['MONAI_LABEL_SESSION_PATH'] = {str(sessions)!r}\n"
        "from uniultra.serve.server import run_server\n"
        f"run_server(pathlib.Path({str(studies)!r}), port={port}, conf={{'preload': 'false'}})"
    )
    with started([sys.executable, "-c", code], studies, tmp_path / "home", port) as running:
        assert running.get("/info/").json()["name"] == "UniUltra"
        assert running.get("/datastore/").json()["total"] == 4
        assert str(studies) not in running.output.read_text()

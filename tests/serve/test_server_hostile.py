"""What a hostile client sends, and what it gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from started_server import CLICK, Running


def test_a_header_cannot_name_a_file_of_the_server(server: Running, tmp_path: Path) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes(48))
    for target in (str(secret), "../" * 8 + str(secret).lstrip("/")):
        header = f"NDims = 2\nDimSize = 8 6\nElementType = MET_UCHAR\nElementDataFile = {target}\n"
        made = server.put("/session/", files={"files": ("a.mhd", header)})
        assert made.status_code == 422, made.text


TRAVERSALS = [
    "/etc/hostname",
    "../grey",
    "..",
    "grey.png",
    "ward 3/colour",
    "grey\0",
    "%2e%2e/grey",
    "x" * 4000,
]


@pytest.mark.parametrize("bad", TRAVERSALS)
def test_no_path_is_an_image(server: Running, bad: str) -> None:
    assert server.infer(bad, CLICK).status_code == 404
    assert server.infer("grey", {**CLICK, "image": bad}).status_code == 404
    assert server.get("/datastore/image", params={"image": bad}).status_code == 404
    assert server.delete("/datastore/image", params={"id": bad}).status_code == 404


@pytest.mark.parametrize(
    ("params", "query", "status"),
    [
        ({"model": "/etc/hostname"}, {}, 404),
        ({"model": ["uniultra_mini"]}, {}, 404),
        ({"image": ["grey"]}, {}, 404),
        ({"image": {"a": 1}}, {}, 404),
        ({"label_tag": "../../evil", "save_label": True}, {}, 422),
        ({"label_tag": "/tmp/evil"}, {}, 422),
        ({"result_extension": ".exe"}, {}, 422),
        ({"result_extension": "/../../evil.nrrd"}, {}, 422),
        ({"result_extension": ".seg.nrrd"}, {}, 422),
        ({}, {"session_id": "../evil"}, 404),
        ({}, {"session_id": "/etc"}, 404),
        ({}, {"output": "dicom_seg"}, 422),
        ({}, {"output": "nonsense"}, 422),
        ({"result": "packed"}, {"output": "image"}, 422),
        ({"result": "packed", "save_label": True}, {}, 422),
        ({"foreground": [[400, 30, 0]]}, {}, 422),
        ({"foreground": [[40, 30, 7]]}, {}, 422),
        ({"foreground": [[40, 30, -1]]}, {}, 422),
        ({"foreground": []}, {}, 422),
        ({"plane": {"axis": "i", "index": 3}, "foreground": [[3, 3, 0]]}, {}, 422),
        ({"axis_kind": "film"}, {}, 422),
    ],
)
def test_a_hostile_request_is_refused_with_a_reason(
    server: Running, params: dict[str, Any], query: dict[str, Any], status: int
) -> None:
    answer = server.infer("grey", {**CLICK, **params}, **query)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]
    assert str(server.studies) not in answer.text


def test_params_that_are_no_object_are_refused(server: Running) -> None:
    for text in ("[]", "text", "null", '{"foreground": [[NaN, 1, 0]]}', "[" * 50_000):
        answer = server.request("POST", "/infer/uniultra_mini?image=grey", data={"params": text})
        assert answer.status_code == 422, answer.text


def test_uploads_never_leave_the_studies_folder(server: Running) -> None:
    picture = (server.studies / "grey.png").read_bytes()
    label = {"label": ("grey.png", picture)}
    before = sorted(p for p in server.studies.rglob("*") if ".uniultra" not in p.parts)
    for bad in ("../evil", "/tmp/evil", "..", "a\\b", ".hidden"):
        made = server.put("/datastore/image", params={"image": bad}, files={"file": ("a.png", picture)})
        assert made.status_code == 422, made.text
        for query in ({"image": "grey", "tag": bad}, {"image": bad, "tag": "final"}):
            made = server.put("/datastore/label", params=query, files=label)
            assert made.status_code in (404, 422), made.text
    script = {"label": ("evil.py", b"import os")}
    made = server.put("/datastore/label?image=grey&tag=final", files=script)
    assert made.status_code == 422
    assert sorted(p for p in server.studies.rglob("*") if ".uniultra" not in p.parts) == before
    assert not list(server.studies.parent.glob("evil*")) and not Path("/tmp/evil.png").exists()


def test_only_what_was_added_can_be_deleted(server: Running) -> None:
    for path in ("/datastore/image", "/datastore/"):
        refused = server.delete(path, params={"id": "grey"})
        assert refused.status_code == 403 and "original" in refused.json()["detail"]
    assert (server.studies / "grey.png").is_file()
    files = {"file": ("upload.png", (server.studies / "grey.png").read_bytes())}
    made = server.put("/datastore/?image=mine", files=files)
    assert made.json() == {"image": "mine"}
    assert server.infer("mine", {"foreground": [[4, 4]], "result": "packed"}).status_code == 200
    again = server.put("/datastore/?image=mine", files=files)
    assert again.status_code == 403
    assert server.delete("/datastore/image?id=mine").status_code == 200
    assert not (server.studies / "mine.png").exists()

"""The real server, started by MONAI Label's own command, asked as MONAI Label's own clients ask."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import itk
import numpy as np
import pytest
import requests

from uniultra.models import registry
from uniultra.serve.packing import unpack_mask

LOG = Path(__file__).resolve().parents[2] / "apps" / "uniultra" / "logs" / "app.log"
CANARY = "zebra1961doe"
CLICK = {"foreground": [[40, 30, 0]], "background": [], "client_id": CANARY, "label": CANARY}


@dataclass
class Running:
    """A started server."""

    url: str
    studies: Path
    home: Path
    output: Path
    log_start: int  # where this run begins in the app's log file
    process: subprocess.Popen[bytes]

    def infer(self, image: str, params: dict[str, Any], **query: Any) -> requests.Response:
        """POST a multipart request with a `params` field, as every client does."""
        return requests.post(
            f"{self.url}/infer/uniultra_mini",
            params={"image": image, **query},
            files={"params": (None, json.dumps(params))},
            timeout=60,
        )


def start(command: list[str], studies: Path, home: Path, port: int) -> Running:
    """Start a server in a process of its own and wait until it answers."""
    home.mkdir()
    log_start = LOG.stat().st_size if LOG.is_file() else 0
    output = home / "output.txt"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MONAI_LABEL")}
    environment |= {"HOME": str(home), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    # a proxy that nobody answers: whatever tries the network at start fails at once
    environment |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=home, start_new_session=True
        )
    server = Running(f"http://127.0.0.1:{port}", studies, home, output, log_start, process)
    for _ in range(240):
        try:
            requests.get(f"{server.url}/info/", timeout=5).raise_for_status()
            return server
        except requests.RequestException:
            assert process.poll() is None, output.read_text()[-3000:]
            time.sleep(0.5)
    raise AssertionError(output.read_text()[-3000:])


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, project_root: Path, tiny_studies: Any
) -> Iterator[Running]:
    """Stock `start_server` at its most talkative, over tiny images, one of them with a telling name."""
    if not registry.entry("uniultra_mini").available:
        pytest.skip("the weights of uniultra_mini are not on this machine")
    folder = tmp_path_factory.mktemp("stock")
    studies = tiny_studies(folder / "studies")
    shutil.copy(studies / "grey.png", studies / f"{CANARY}.png")
    sessions = folder / "home" / ".cache" / "monailabel" / "sessions"
    port = free_port()
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--host", "127.0.0.1"]
    command += ["--app", str(project_root / "apps" / "uniultra"), "--studies", str(studies)]
    command += [
        "--port",
        str(port),
        "--conf",
        "models",
        "uniultra_mini",
        "--verbose",
        "DEBUG",
        "--access_log",
    ]
    running = start(command, studies, folder / "home", port)
    yield running
    assert not list(sessions.glob("*evil*"))
    running.process.terminate()
    running.process.wait(30)


def ijk(response: requests.Response) -> tuple[dict[str, Any], bytes, str]:
    """(params, file, its name) of a stock multipart answer."""
    from requests_toolbelt import MultipartDecoder

    parts = {}
    for part in MultipartDecoder.from_response(response).parts:
        disposition = part.headers[b"Content-Disposition"].decode()
        parts[re.search(r'name="(\w+)"', disposition)[1]] = (part.content, disposition)
    assert set(parts) == {"params", "image"}
    return json.loads(parts["params"][0]), parts["image"][0], parts["image"][1]


def test_info_is_what_stock_clients_read(server: Running) -> None:
    info = requests.get(f"{server.url}/info/", timeout=10).json()
    model = info["models"]["uniultra_mini"]
    assert model["type"] == "deepgrow" and model["dimension"] == 2 and model["labels"] == ["structure"]
    assert info["strategies"].keys() == {"random"}
    assert info["trainers"] == {} and info["datastore"]["total"] == 5


def test_the_store_lists_every_format_and_nested_folders(server: Running) -> None:
    listing = requests.get(f"{server.url}/datastore/", params={"output": "all"}, timeout=10).json()
    assert {"grey", "ward 3__colour", "volume", "cine"} <= set(listing["objects"])
    assert listing["objects"]["volume"]["image"]["ext"] == ".nii.gz"
    assert requests.get(f"{server.url}/datastore/?output=train", timeout=10).json() == []
    assert requests.get(f"{server.url}/datastore/", timeout=10).json()["total"] == 5


@pytest.mark.parametrize(
    ("image", "file", "k"),
    [("grey", "grey.png", 0), ("ward 3__colour", "ward 3/colour.png", 0), ("volume", "volume.nii.gz", 3)],
)
@pytest.mark.parametrize("ext", [".nrrd", ".nii.gz"])
def test_a_stock_click_gets_a_mask_in_the_geometry_of_its_file(
    server: Running, tmp_path: Path, image: str, file: str, k: int, ext: str
) -> None:
    # what the Slicer plugin sends: points in ijk, the options of the model, extension and type
    params = {
        "foreground": [[40, 30, k]],
        "background": [[2, 2, k]],
        "roi": [60, 20, 45, 15, k, k],
        "slice": k,
        "label": "structure",
        "result_extension": ext,
        "result_dtype": "uint8",
        "client_id": "user-xyz",
    }
    answer = server.infer(image, params)
    assert answer.status_code == 200, answer.text
    json_part, mask_part, disposition = ijk(answer)
    assert json_part["label_names"] == {"structure": 1} and json_part["model"] == "uniultra_mini"
    assert 0 <= json_part["score"] <= 1 and json_part["latencies"]["total"] > 0
    assert f'{ext}"' in disposition
    path = tmp_path / f"mask{ext}"
    path.write_bytes(mask_part)
    mask, source = itk.imread(str(path)), itk.imread(str(server.studies / file))
    values = itk.array_from_image(mask)
    assert values.dtype == np.uint8 and set(np.unique(values)) <= {0, 1}
    assert values.shape[1:] == (60, 80)
    assert not values[np.arange(len(values)) != k].any()
    n = source.GetImageDimension()
    assert list(mask.GetSpacing())[:n] == pytest.approx(list(source.GetSpacing()))
    assert list(mask.GetOrigin())[:n] == pytest.approx(list(source.GetOrigin()))
    directions = [itk.array_from_matrix(i.GetDirection())[:n, :n] for i in (mask, source)]
    assert np.allclose(*directions, atol=1e-6)


def test_the_packed_answer_is_the_same_mask(server: Running, tmp_path: Path) -> None:
    params = {"foreground": [[40, 30, 2]]}
    stock, mine = server.infer("cine", params), server.infer("cine", {**params, "result": "packed"})
    path = tmp_path / "mask.nrrd"
    path.write_bytes(ijk(stock)[1])
    body = mine.json()
    assert body["frame"] == 2 and body["plane"] == {"axis": "k", "index": 2}
    assert body["timings"]["cached"] == 1  # the first answer's embedding
    expected = itk.array_from_image(itk.imread(str(path)))[2] > 0
    assert np.array_equal(unpack_mask(body["bbox"], body["mask"], (60, 80)), expected)


def test_monai_labels_own_client(server: Running, tmp_path: Path) -> None:
    client_module = pytest.importorskip("monailabel.client.client", reason="needs the cgi module")
    client = client_module.MONAILabelClient(server.url, str(tmp_path), client_id="someone")
    assert not client.auth_enabled()
    sample = client.next_sample("random", {})
    assert Path(sample["path"]).is_file() and sample["name"]
    file, params = client.infer(
        "uniultra_mini", "volume", {"foreground": [[40, 30, 1]], "result_extension": ".nrrd"}
    )
    assert Path(file).read_bytes().startswith(b"NRRD") and params["label_names"]
    saved = client.save_label("volume", file, "final", {"label_info": [{"name": "structure", "idx": 1}]})
    assert saved == {"image": "volume", "label": "volume"}
    assert (server.studies / "labels" / "final" / "volume.nrrd").is_file()
    assert Path(client.download_label("volume", "final")).read_bytes() == Path(file).read_bytes()
    assert client.datastore()["objects"]["volume"]["labels"]["final"]["info"]["client_id"] == "someone"
    assert requests.get(f"{server.url}/info/", timeout=10).json()["datastore"]["completed"] == 1
    own = client.create_session(str(server.studies / "volume.nii.gz"))["session_id"]
    assert client.get_session(own)["name"] == own
    file, _ = client.infer("uniultra_mini", "my volume", {"foreground": [[40, 30, 4]]}, session_id=own)
    assert Path(file).stat().st_size > 100
    client.remove_session(own)
    with pytest.raises(client_module.MONAILabelClientException):
        client.get_session(own)


def test_an_own_volume_in_any_format_lives_in_a_session(server: Running) -> None:
    for name in ("grey.png", "cine.seq.nrrd", "volume.nii.gz"):
        with (server.studies / name).open("rb") as file:
            made = requests.put(f"{server.url}/session/", files={"files": (name, file)}, timeout=30)
        assert made.status_code == 200, made.text
        session = made.json()["session_id"]
        assert str(server.home) not in made.text
        packed = {"foreground": [[40, 30, 0]], "result": "packed"}
        assert server.infer("whatever", packed, session_id=session).json()["frame"] == 0
        image = requests.get(f"{server.url}/session/{session}?image=true", timeout=10)
        assert image.content == (server.studies / name).read_bytes()
        assert requests.delete(f"{server.url}/session/{session}", timeout=10).status_code == 200
        gone = server.infer("whatever", packed, session_id=session)
        assert gone.status_code == 404 and "Upload the image again" in gone.json()["detail"]


def test_a_header_and_its_data_may_come_together_and_archives_may_not(server: Running) -> None:
    header = (
        "ObjectType = Image\nNDims = 2\nDimSize = 8 6\nElementType = MET_UCHAR\nElementDataFile = a.raw\n"
    )
    both = [("files", ("a.mhd", header)), ("files", ("a.raw", bytes(48)))]
    made = requests.put(f"{server.url}/session/", files=both, timeout=30)
    assert made.status_code == 200, made.text
    answer = server.infer(
        "", {"foreground": [[3, 3]], "result": "packed"}, session_id=made.json()["session_id"]
    )
    assert answer.status_code == 200, answer.text
    for files in (both[1:], [*both, ("files", ("b.png", b"x"))], [("files", ("a.png", b"no picture"))]):
        assert requests.put(f"{server.url}/session/", files=files, timeout=30).status_code == 422
    refused = requests.put(f"{server.url}/session/?uncompress=true", files=both[:1], timeout=30)
    assert refused.status_code == 422 and "Archives" in refused.json()["detail"]


def test_a_header_cannot_name_a_file_of_the_server(server: Running, tmp_path: Path) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes(48))
    for target in (str(secret), "../" * 8 + str(secret).lstrip("/")):
        header = f"NDims = 2\nDimSize = 8 6\nElementType = MET_UCHAR\nElementDataFile = {target}\n"
        made = requests.put(f"{server.url}/session/", files={"files": ("a.mhd", header)}, timeout=30)
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
    assert requests.get(f"{server.url}/datastore/image", params={"image": bad}, timeout=10).status_code == 404
    assert requests.delete(f"{server.url}/datastore/image", params={"id": bad}, timeout=10).status_code == 404


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
        answer = requests.post(
            f"{server.url}/infer/uniultra_mini?image=grey", data={"params": text}, timeout=30
        )
        assert answer.status_code == 422, answer.text


def test_uploads_never_leave_the_studies_folder(server: Running) -> None:
    picture = (server.studies / "grey.png").read_bytes()
    label = {"label": ("grey.png", picture)}
    before = sorted(p for p in server.studies.rglob("*") if ".uniultra" not in p.parts)
    for bad in ("../evil", "/tmp/evil", "..", "a\\b", ".hidden"):
        made = requests.put(
            f"{server.url}/datastore/image",
            params={"image": bad},
            files={"file": ("a.png", picture)},
            timeout=30,
        )
        assert made.status_code == 422, made.text
        for query in ({"image": "grey", "tag": bad}, {"image": bad, "tag": "final"}):
            made = requests.put(f"{server.url}/datastore/label", params=query, files=label, timeout=30)
            assert made.status_code in (404, 422), made.text
    script = {"label": ("evil.py", b"import os")}
    made = requests.put(f"{server.url}/datastore/label?image=grey&tag=final", files=script, timeout=30)
    assert made.status_code == 422
    assert sorted(p for p in server.studies.rglob("*") if ".uniultra" not in p.parts) == before
    assert not list(server.studies.parent.glob("evil*")) and not Path("/tmp/evil.png").exists()


def test_only_what_was_added_can_be_deleted(server: Running) -> None:
    for path in ("/datastore/image", "/datastore/"):
        refused = requests.delete(server.url + path, params={"id": "grey"}, timeout=10)
        assert refused.status_code == 403 and "original" in refused.json()["detail"]
    assert (server.studies / "grey.png").is_file()
    files = {"file": ("upload.png", (server.studies / "grey.png").read_bytes())}
    made = requests.put(f"{server.url}/datastore/?image=mine", files=files, timeout=30)
    assert made.json() == {"image": "mine"}
    assert server.infer("mine", {"foreground": [[4, 4]], "result": "packed"}).status_code == 200
    again = requests.put(f"{server.url}/datastore/?image=mine", files=files, timeout=30)
    assert again.status_code == 403
    assert requests.delete(f"{server.url}/datastore/image?id=mine", timeout=10).status_code == 200
    assert not (server.studies / "mine.png").exists()


def test_new_files_are_seen_and_lost_ones_are_a_clear_404(server: Running) -> None:
    new = server.studies / "late.png"
    shutil.copy(server.studies / "grey.png", new)
    click = {"foreground": [[4, 4]], "result": "packed"}
    assert server.infer("late", click).status_code == 200
    new.unlink()
    lost = server.infer("late", click)
    assert lost.status_code == 404 and "gone" in lost.json()["detail"]


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
        *(("POST", f"/infer/{CANARY}"), ("POST", f"/train/{CANARY}"), ("POST", f"/scoring/{CANARY}")),
        *(("POST", f"/batch/infer/{CANARY}"), ("GET", f"/model/{CANARY}"), ("PUT", f"/model/{CANARY}")),
        *(
            ("POST", f"/infer/wsi/{CANARY}"),
            ("GET", f"/ohif/{CANARY}"),
            ("GET", f"/proxy/dicom/wado/{CANARY}"),
        ),
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
    running = start([sys.executable, "-c", code], studies, tmp_path / "home", port)
    try:
        assert requests.get(f"{running.url}/info/", timeout=10).json()["name"] == "UniUltra"
        assert requests.get(f"{running.url}/datastore/", timeout=10).json()["total"] == 4
        assert str(studies) not in running.output.read_text()
    finally:
        running.process.terminate()
        running.process.wait(30)


def test_real_dicom_is_listed_by_its_magic_and_clicked(server: Running, shared_dir: Path) -> None:
    dicom = shared_dir / "dicom"
    shutil.copy(dicom / "DIRW0007.dcm", server.studies / "IM0007")  # a cine, without an ending
    shutil.copy(dicom / "examples_palette.dcm", server.studies / "ward 3" / "palette.dcm")
    shutil.copy(dicom / "dcm4che_will-jxl.dcm", server.studies / "jxl.dcm")
    last = server.infer("IM0007", {"foreground": [[288, 228, 64]], "result": "packed"})
    assert last.status_code == 200 and last.json()["frame"] == 64, last.text
    beyond = server.infer("IM0007", {"foreground": [[288, 228, 65]], "result": "packed"})
    assert beyond.status_code == 422 and "0 to 64" in beyond.json()["detail"]
    assert server.infer("ward 3__palette", {"foreground": [[90, 90]]}).status_code == 200
    nobody = server.infer("jxl", {"foreground": [[9, 9]]})
    assert nobody.status_code == 422 and "JPEG XL" in nobody.json()["detail"]
    sample = requests.get(f"{server.url}/datastore/image?image=IM0007", timeout=10)
    assert sample.content == (dicom / "DIRW0007.dcm").read_bytes()

"""Downloads: whole, checked, taken up again, and refused where they should be."""

import hashlib
import json
import random
import shutil
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock
from urllib.error import URLError
from urllib.request import OpenerDirector

import pytest
from file_server import Script, serving
from filelock import FileLock

from uniultra.errors import ModelError
from uniultra.models.official import OFFICIAL
from uniultra.models.registry import entry, names
from uniultra.weights.download import Limits, check_address, download
from uniultra.weights.fetch import fetch

CONTENT = random.Random(5).randbytes(3_000_000)
QUICK = Limits(timeout=5.0, backoff=0.0, attempts=3)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def straight(monkeypatch):
    """Loopback is not reached through a proxy."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "weights" / "model.pt"


def get(script, target, content=CONTENT, limits=QUICK, progress=None, part=None):
    with serving(script) as url:
        if part is not None:
            leave_part(target, part, url)
        download(url, target, sha256(content), progress, limits)
    assert target.read_bytes() == content
    assert {p.name for p in target.parent.iterdir()} <= {target.name, f"{target.name}.lock"}


def refused(script, target, text, limits=QUICK, content=CONTENT):
    with serving(script) as url, pytest.raises(ModelError, match=text) as caught:
        download(url, target, sha256(content), None, limits)
    assert str(target.parent) not in str(caught.value)
    assert not target.exists()


def leave_part(target, content, url, validator='"one"'):
    """What a run that was killed leaves behind."""
    target.parent.mkdir(exist_ok=True)
    target.with_name("model.pt.part").write_bytes(content)
    target.with_name("model.pt.part.json").write_text(json.dumps({"url": url, "validator": validator}))


def test_a_file_comes_whole_and_says_how_far_it_is(target):
    script, told = Script(CONTENT), []
    get(script, target, progress=lambda done, total: told.append((done, total)))
    assert len(script.asked) == 1 and "Range" not in script.asked[0]
    assert told == sorted(told) and told[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize(
    "version",
    [
        {},
        {"etag": 'W/"weak"', "modified": "Mon, 01 Jan 2024 00:00:00 GMT"},
        {"etag": None},
    ],
)
def test_a_cut_connection_is_taken_up_where_it_broke(target, version):
    script = Script(CONTENT, cuts=[1_000_000, 700_001], **version)
    get(script, target)
    assert [asked.get("Range") for asked in script.asked] == [None, "bytes=1000000-", "bytes=1700001-"]
    strong = script.etag if script.etag and not script.etag.startswith("W/") else script.modified
    assert script.asked[1].get("If-Range") == strong


def test_a_server_without_ranges_starts_again(target):
    get(Script(CONTENT, ranges=False, cuts=[1_000_000]), target)


def test_a_file_without_a_stated_size(target):
    get(Script(CONTENT, length=False), target)


def test_a_new_version_in_between_is_not_mixed_with_the_old(target):
    with serving(Script(b"x" * 500_000, etag='"old"', cuts=[300_000])) as url, pytest.raises(ModelError):
        download(url, target, sha256(CONTENT), None, replace(QUICK, attempts=1))
    kept = target.with_name("model.pt.part")
    assert kept.stat().st_size == 300_000
    note = target.with_name("model.pt.part.json")
    script = Script(CONTENT, etag='"new"')
    with serving(script) as url:
        note.write_text(json.dumps({"url": url, "validator": '"old"'}))
        download(url, target, sha256(CONTENT), None, QUICK)
    assert script.asked[0]["If-Range"] == '"old"' and len(script.asked) == 1
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_damaged_is_fetched_again_from_the_start(target):
    script = Script(CONTENT)
    get(script, target, part=b"?" * 1_000_000)
    assert [asked.get("Range") for asked in script.asked] == ["bytes=1000000-", None]


def test_a_part_of_another_address_is_not_used(target):
    leave_part(target, b"?" * 1000, "https://x.test/", None)
    script = Script(CONTENT)
    get(script, target)
    assert "Range" not in script.asked[0]


@pytest.mark.parametrize("note", ["", "[", '["x"]', '{"url": 7}', "[" * 9000, '{"validator": "a\\r\\nX: y"}'])
def test_a_damaged_note_is_not_believed(target, note):
    script = Script(CONTENT[:5000])
    with serving(script) as url:
        target.parent.mkdir()
        target.with_name("model.pt.part").write_bytes(CONTENT[:1000])
        text = note.replace("{", f'{{"url": "{url}", ', 1) if "validator" in note else note
        target.with_name("model.pt.part.json").write_text(text)
        download(url, target, sha256(CONTENT[:5000]), None, QUICK)
    assert target.read_bytes() == CONTENT[:5000]
    assert "If-Range" not in script.asked[0] and "X" not in script.asked[0]


def test_a_whole_part_only_needs_its_name(target):
    """Killed between the last byte and the renaming."""
    script = Script(CONTENT)
    get(script, target, part=CONTENT)
    assert len(script.asked) == 1


def test_a_run_that_was_killed_goes_on(target, tmp_path):
    code = (
        "import sys; from pathlib import Path; from uniultra.weights.download import download; "
        "download(sys.argv[1], Path(sys.argv[2]), sys.argv[3])"
    )
    script = Script(CONTENT, pause=0.2)
    with serving(script) as url:
        process = subprocess.Popen([sys.executable, "-c", code, url, str(target), sha256(CONTENT)])
        part = target.with_name("model.pt.part")
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 200_000):
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        kept = part.stat().st_size
        assert 200_000 < kept < len(CONTENT) and not target.exists()
        script.pause = 0.0
        download(url, target, sha256(CONTENT), None, QUICK)
    assert script.asked[-1]["Range"] == f"bytes={kept}-"
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_keeps_nothing(target):
    refused(Script(CONTENT + b"!"), target, "SHA-256")
    assert [p.name for p in target.parent.iterdir() if ".lock" not in p.name] == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_final_answer_is_not_asked_for_twice(target, status):
    script = Script(CONTENT, statuses=[(status, {})])
    refused(script, target, f"status {status}.*weights add")
    assert len(script.asked) == 1


def test_a_passing_failure_is_tried_again_and_waits_are_heeded(target, monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    answers = [(503, {"Retry-After": "7"}), (429, {"Retry-After": "99999"}), (500, {"Retry-After": "soon"})]
    get(Script(CONTENT, statuses=answers), target, limits=replace(QUICK, attempts=4, backoff=0.5))
    assert [w for w in waits if w] == [7, 60, 2.0]


def test_a_server_that_stays_away_ends_in_a_sentence(target):
    script = Script(CONTENT, statuses=[(500, {})] * 9)
    refused(script, target, "3 times.*same command")
    assert len(script.asked) == 3
    with pytest.raises(ModelError, match="no connection"):
        download("http://127.0.0.1:9/x", target, sha256(CONTENT), None, QUICK)


def test_progress_renews_the_attempts(target):
    big = random.Random(6).randbytes(6 << 20)
    get(Script(big, cuts=[(1 << 20) + 1] * 5), target, big, replace(QUICK, attempts=2))


def test_a_silent_and_a_dripping_server_are_given_up(target):
    start = time.monotonic()
    refused(Script(CONTENT, pause=3.0), target, "broke", Limits(timeout=0.3, backoff=0, attempts=2))
    drip = Script(CONTENT[:2000], pause=0.05, step=10)
    limits = Limits(timeout=5, backoff=0, attempts=2, window=0.3, slowest=5000)
    refused(drip, target, "too slow", limits)
    assert time.monotonic() - start < 10


def test_what_is_too_big_is_refused(target, monkeypatch):
    small = replace(QUICK, size=1000)
    refused(Script(CONTENT), target, "at most 1000", small)
    refused(Script(CONTENT, length=False), target, "at most 1000", small)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * len(CONTENT) - 1))
    refused(Script(CONTENT), target, "free space")


def test_a_full_disk_and_a_folder_that_is_none(target, monkeypatch):
    from uniultra.weights.partial import Partial

    with monkeypatch.context() as patch:
        real = Partial._open

        def opened(self):
            real(self)
            self._stream = Mock(wraps=self._stream)
            self._stream.write.side_effect = OSError(28, "No space left on device")

        patch.setattr(Partial, "_open", opened)
        refused(Script(CONTENT), target, "No space left")
    shutil.rmtree(target.parent)
    target.parent.write_text("not a folder")
    refused(Script(CONTENT), target, "cannot be written")


def test_two_runs_do_not_write_into_one_file(target):
    target.parent.mkdir()
    with FileLock(target.with_name("model.pt.lock")):
        refused(Script(CONTENT), target, "Another run")


def test_a_certificate_that_is_not_valid_ends_it(target, monkeypatch):
    asked = []

    def opened(*_anything, **_more):
        asked.append(1)
        raise URLError(ssl.SSLCertVerificationError(1, "certificate has expired"))

    monkeypatch.setattr(OpenerDirector, "open", opened)
    with pytest.raises(ModelError, match="certificate"):
        download("https://example.com/x.pt", target, sha256(b""), None, QUICK)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("script", "word"),
    [
        (Script(CONTENT, headers={"Content-Encoding": "gzip"}), "status 200"),
        (Script(CONTENT, statuses=[(206, {"Content-Range": "bytes x-y/z"})]), "Content-Range"),
        (Script(CONTENT, statuses=[(204, {})]), "status 204"),
    ],
)
def test_answers_that_are_no_plain_file(target, script, word):
    refused(script, target, word)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x.pt",
        "http://127.0.0.1.example.com/x.pt",
        "http://localhost.example.com/x.pt",
        "http://[::2]/x.pt",
        "https://user:word@example.com/x.pt",
        "http://localhost@example.com/x.pt",
        "ftp://127.0.0.1/x.pt",
        "file:///etc/passwd",
        "https:///x.pt",
        "https://[::1/x.pt",
        "//example.com/x.pt",
        "weights.pt",
        "",
    ],
)
def test_only_https_and_this_machine(url, target):
    with pytest.raises(ModelError, match="https"):
        check_address(url)
    with pytest.raises(ModelError, match="https"):
        download(url, target, sha256(b""))
    if "://" in url:
        script = Script(CONTENT, statuses=[(302, {"Location": url})])
        refused(script, target, "https|status 302|redirect")
        assert len(script.asked) == 1
    for good in ("https://example.com/x", "http://localhost/x", "http://127.0.0.9:80/x", "http://[::1]:8/x"):
        check_address(good)


def test_redirects_are_followed_on_this_machine_but_not_for_ever(target):
    script = Script(CONTENT, statuses=[(302, {"Location": "/other.pt"}), (307, {"Location": "/third.pt"})])
    get(script, target)
    target.unlink()
    refused(Script(CONTENT, statuses=[(302, {"Location": "/weights.pt"})] * 30), target, "status 302")


def offered(url, content=CONTENT):
    return replace(entry("mobile_sam"), url=url, url_sha256=sha256(content))


def test_nothing_is_sent_before_the_licence_is_accepted(tmp_path):
    script, shown = Script(CONTENT), []
    with serving(script) as url:
        model = offered(url)
        with pytest.raises(ModelError, match="not accepted"):
            fetch(model, tmp_path, None, lambda e: shown.append(e.licence))
        assert shown == ["Apache-2.0"] and not script.asked and not list(tmp_path.iterdir())
        path = fetch(model, tmp_path, None, lambda _: True, limits=QUICK)
        assert path.read_bytes() == CONTENT
        assert fetch(model, tmp_path, None, lambda _: True) == path
    assert len(script.asked) == 1


def test_a_file_without_a_known_checksum_needs_one_from_the_person(tmp_path):
    with serving(Script(CONTENT)) as url:
        unknown = replace(offered(url), url_sha256=None)
        with pytest.raises(ModelError, match="--sha256"):
            fetch(unknown, tmp_path, None, lambda _: True)
        with pytest.raises(ModelError, match="64"):
            fetch(unknown, tmp_path, None, lambda _: True, sha256="abc")
        with pytest.raises(ModelError, match="not published at"):
            fetch(entry("uniultra_l"), tmp_path, None, lambda _: True)
        with pytest.raises(ModelError, match="not the published"):
            fetch(offered(url), tmp_path, None, lambda _: True, sha256="0" * 64)
        given = sha256(CONTENT).upper()
        assert fetch(unknown, tmp_path, None, lambda _: True, sha256=given, limits=QUICK).is_file()


def test_official_files_are_pinned():
    """What is offered for download is on HTTPS, with a checksum, a licence and a way to convert it."""
    offers = [entry(name) for name in names() if entry(name).url]
    assert {model.name for model in offers} == set(OFFICIAL)
    for model in offers:
        check_address(model.url)
        assert (model.url, model.url_sha256) == OFFICIAL[model.name][:2]
        assert len(model.url_sha256) == 64 and model.licence == "Apache-2.0" and model.convert
        assert OFFICIAL[model.name].size < Limits().size

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path

import pytest

from uniultra.serve.tasks.sessions import CheckedSessions
from uniultra.store.errors import NotFoundError


@pytest.fixture
def sessions(tmp_path: Path) -> CheckedSessions:
    return CheckedSessions(str(tmp_path / "sessions"), 3600)


def upload(sessions: CheckedSessions, tmp_path: Path) -> str:
    file = tmp_path / "image.png"
    file.write_bytes(b"pixels")
    return sessions.add_session(str(file), session_id=str(uuid.uuid4()))[0]


def test_an_upload_is_found_again_also_after_a_restart(sessions: CheckedSessions, tmp_path: Path) -> None:
    session_id = upload(sessions, tmp_path)
    for store in (sessions, CheckedSessions(sessions.store_path, 3600)):
        assert Path(store.live(session_id).image).read_bytes() == b"pixels"


@pytest.mark.parametrize("bad", ["", ".", "..", "../evil", "/etc", "a" * 5000, "x\0", None, 7])
def test_an_id_that_is_no_uuid_is_none(sessions: CheckedSessions, tmp_path: Path, bad: object) -> None:
    planted = tmp_path / "evil"
    planted.mkdir()
    (planted / "meta.info").write_text(json.dumps({"image": "/etc/hostname", "expiry": 10**10}))
    upload(sessions, tmp_path)
    with pytest.raises(NotFoundError, match="Upload the image again"):
        sessions.live(bad)  # type: ignore[arg-type]
    sessions.remove_session(bad)  # type: ignore[arg-type]
    assert planted.is_dir()


def test_a_session_that_points_elsewhere_is_none(sessions: CheckedSessions, tmp_path: Path) -> None:
    session_id = upload(sessions, tmp_path)
    meta = Path(sessions.store_path) / session_id / "meta.info"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "image": "/etc/hostname"}))
    with pytest.raises(NotFoundError):
        CheckedSessions(sessions.store_path, 3600).live(session_id)


def test_an_expired_session_says_to_upload_again(sessions: CheckedSessions, tmp_path: Path) -> None:
    session_id = upload(sessions, tmp_path)
    sessions[session_id].last_access_ts = int(time.time()) - 4000
    with pytest.raises(NotFoundError, match="Upload the image again"):
        sessions.live(session_id)
    assert sessions.remove_expired() == 1
    assert not (Path(sessions.store_path) / session_id).exists()


def test_stray_folders_stop_nobody(sessions: CheckedSessions, tmp_path: Path) -> None:
    live = upload(sessions, tmp_path)
    root = Path(sessions.store_path)
    old, young, foreign = root / str(uuid.uuid4()), root / str(uuid.uuid4()), root / "not-ours"
    for folder in (old, young, foreign):
        folder.mkdir()
    (young / "meta.info").write_text("{half")
    os.utime(old, (1, 1))
    os.utime(foreign, (1, 1))
    assert CheckedSessions(sessions.store_path, 3600).remove_expired() == 1
    assert sorted(p.name for p in root.iterdir()) == sorted([live, young.name, foreign.name])


def test_an_empty_store_is_cleaned_too(sessions: CheckedSessions) -> None:
    assert sessions and sessions.remove_expired() == 0

"""Own volumes of a client, kept for an hour outside the campaign."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from monailabel.utils.sessions import SessionInfo, Sessions

from uniultra.store.errors import NotFoundError


class CheckedSessions(Sessions):
    """MONAI Label's sessions, for ids that are UUIDs and files that lie in their own session's folder."""

    def get_session(
        self, session_id: str, update_ts: bool = True, fetch_cache: bool = True
    ) -> SessionInfo | None:
        if not _is_uuid(session_id):
            return None
        try:
            found = super().get_session(session_id, update_ts, fetch_cache)
        except (OSError, ValueError, AttributeError):  # its folder is damaged or was removed meanwhile
            return None
        if found is None:
            return None
        folder = Path(self.store_path) / session_id
        return found if Path(found.image).resolve().is_relative_to(folder.resolve()) else None

    def remove_session(self, session_id: str) -> None:
        if _is_uuid(session_id):
            super().remove_session(session_id)

    def remove_expired(self) -> int:
        """Delete what has expired, and session folders that a crash left without their description."""
        root = Path(self.store_path)
        for folder in root.iterdir() if root.is_dir() else ():
            if not folder.is_dir() or not _is_uuid(folder.name):
                continue
            # a folder this young may be one that is being written
            young = folder.stat().st_mtime > _now() - 60
            if not young and self.get_session(folder.name, update_ts=False) is None:
                shutil.rmtree(folder, ignore_errors=True)
        expired = [key for key, info in self._all() if info.last_access_ts + info.expiry < _now()]
        for key in expired:
            self.remove_session(key)
        return len(expired)

    def file(self, session_id: str) -> Path:
        """The upload of a session: a file, or a folder when several came.

        Raises:
            NotFoundError: no such session, or it has expired.
        """
        found = self.get_session(session_id)
        if found is None:
            raise NotFoundError(
                "Expected the id of a live session; this one has expired or never was. "
                "Upload the image again with PUT /session/."
            )
        return Path(found.image)

    def _all(self) -> list[tuple[str, SessionInfo]]:
        root = Path(self.store_path)
        names = [f.name for f in root.iterdir() if f.is_dir()] if root.is_dir() else []
        found = [(name, self.get_session(name, update_ts=False)) for name in names]
        return [(name, info) for name, info in found if info is not None]


def _is_uuid(session_id: object) -> bool:
    try:
        return isinstance(session_id, str) and str(uuid.UUID(session_id)) == session_id
    except ValueError:
        return False


def _now() -> float:
    import time

    return time.time()

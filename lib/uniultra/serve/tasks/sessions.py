"""Own volumes of a client, kept for an hour outside the campaign."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from monailabel.utils.sessions import SessionInfo, Sessions

from uniultra.store.errors import NotFoundError


class CheckedSessions(Sessions):
    """MONAI Label's sessions, for ids that are UUIDs and files that lie in their own session's folder."""

    def __bool__(self) -> bool:
        return True  # MONAI Label never cleans sessions that it takes for an empty dict

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
        root, count = Path(self.store_path), 0
        for folder in list(root.iterdir()) if root.is_dir() else ():
            if not folder.is_dir() or not _is_uuid(folder.name):
                continue
            info = self.get_session(folder.name, update_ts=False)
            # one that is being written has no description yet, or half of one
            abandoned = (
                info is None and folder.exists() and folder.stat().st_mtime < time.time() - self.expiry
            )
            if abandoned or (info and _expired(info)):
                self.remove_session(folder.name)
                count += 1
        return count

    def live(self, session_id: str, *, update_ts: bool = True) -> SessionInfo:
        """A session; its `image` is a file, or a folder when several came.

        Raises:
            NotFoundError: no such session, or it has expired.
        """
        found = self.get_session(session_id, update_ts=False)
        if found is None or _expired(found):
            raise NotFoundError(
                "Expected the id of a live session; this one has expired or never was. "
                "Upload the image again with PUT /session/."
            )
        if update_ts:
            self.get_session(session_id)
        return found


def _is_uuid(session_id: object) -> bool:
    try:
        return isinstance(session_id, str) and str(uuid.UUID(session_id)) == session_id
    except ValueError:
        return False


def _expired(info: SessionInfo) -> bool:
    return info.last_access_ts + info.expiry < time.time()

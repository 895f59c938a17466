"""Roles, parameters and look-ups that several routes share."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Depends, File, Form, HTTPException, UploadFile
from fastapi import Path as InPath
from monailabel.config import settings
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.utils.app import app_instance

from uniultra.serve.http.thread_pools import Endpoint
from uniultra.serve.tasks.sessions import CheckedSessions
from uniultra.store.store import LabelStore
from uniultra.store.types import MAX_INDEX

Routes = tuple[tuple[str, str, Endpoint], ...]  # (method, path, endpoint)

AsUser = Annotated[User, Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))]
AsAnnotator = Annotated[User, Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))]
AsReviewer = Annotated[User, Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_REVIEWER))]
AsAdmin = Annotated[User, Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ADMIN))]
OneFile = Annotated[UploadFile, File()]
MaybeFile = Annotated[UploadFile | None, File()]
JsonText = Annotated[str, Form()]
JsonBody = Annotated[dict[str, Any] | None, Body()]
Revision = Annotated[int, InPath(ge=0, le=MAX_INDEX)]


def label_store() -> LabelStore:
    """The server's label store, its index open.

    Raises:
        StoreError: the index cannot be opened.
    """
    store: LabelStore = app_instance().datastore().store
    store.ready()
    return store


def client_sessions() -> CheckedSessions:
    """The uploads that clients keep here.

    Raises:
        HTTPException: 406 where sessions are switched off.
    """
    sessions: CheckedSessions | None = app_instance().sessions()
    if sessions is None:
        raise HTTPException(406, "Sessions are off. Start the server with MONAI_LABEL_SESSIONS=true.")
    return sessions

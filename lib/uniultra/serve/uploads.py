"""Files that clients send: received under a name of our own, gone when their request is over."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

from fastapi import UploadFile

from uniultra.errors import RequestError
from uniultra.store.ids import split_name

_PLAIN = re.compile(r"[\w][\w .()+@-]{0,180}")


def plain_name(upload: UploadFile) -> str:
    """The last part of an upload's file name (stock clients send whole paths).

    Raises:
        RequestError: nothing that could be a file name.
    """
    name = PureWindowsPath(upload.filename or "").name
    if not _PLAIN.fullmatch(name) or name == "meta.info":
        raise RequestError(
            "Expected a file with a plain name and an ending such as .nrrd; got another name. "
            "Rename the file."
        )
    return name


@contextmanager
def received(upload: UploadFile) -> Iterator[Path]:
    """The upload as a private temporary file with its own extension.

    Raises:
        RequestError: nothing that could be a file name.
    """
    handle, name = tempfile.mkstemp(prefix="uniultra-", suffix=split_name(plain_name(upload))[1].lower())
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(upload.file, file, 1 << 20)
        yield path
    finally:
        path.unlink(missing_ok=True)


def json_object(text: str | None) -> dict[str, Any]:
    """A form field that holds a JSON object; empty is an empty one.

    Raises:
        RequestError: not JSON, or not an object.
    """
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RequestError(
            'Expected a JSON object such as {"foreground": [[64, 48, 0]]}; got something else.'
        )
    return value

"""Files that clients send: received under a name of our own, gone when their request is over."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

from fastapi import UploadFile

from uniultra.errors import RequestError
from uniultra.store.catalogue.ids import split_name

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
    """The upload as a temporary file with its own extension, alone in a private folder.

    Raises:
        RequestError: nothing that could be a file name.
    """
    ext = split_name(plain_name(upload))[1].lower()
    # a folder of its own: a header can then name no other upload beside it
    with tempfile.TemporaryDirectory(prefix="uniultra-") as folder:
        path = Path(folder) / f"upload{ext}"
        with path.open("xb") as file:
            shutil.copyfileobj(upload.file, file, 1 << 20)
        yield path


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

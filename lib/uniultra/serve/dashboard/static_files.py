"""The page's own files, and plotly.js out of the installed `plotly` package."""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from uniultra.store.errors import NotFoundError

FOLDER = Path(__file__).parent / "static"
PLOTLY = "plotly.min.js"
SCRIPTS = ("page.js", "parts.js", "charts.js", "text.js")
TYPES = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(
        ("page.js", "parts.js", "charts.js", "text.js", PLOTLY), "text/javascript; charset=utf-8"
    ),
}


class StaticFile(NamedTuple):
    """A file as it is sent: its bytes, the same compressed, and its ETag."""

    plain: bytes
    small: bytes
    etag: str
    media_type: str


@lru_cache(maxsize=len(TYPES))
def static_file(name: str) -> StaticFile:
    """One of the files by its name; read once.

    Raises:
        NotFoundError: no file of that name, or the `plotly` package is not installed.
    """
    if name not in TYPES:
        raise NotFoundError("There is no such file of the campaign page. Open /campaign.")
    content = (_plotly() if name == PLOTLY else FOLDER / name).read_bytes()
    return StaticFile(
        content, gzip.compress(content, 6), f'"{hashlib.sha256(content).hexdigest()[:32]}"', TYPES[name]
    )


def _plotly() -> Path:
    # found, not imported: only its JavaScript is wanted
    spec = find_spec("plotly")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / "package_data" / PLOTLY).is_file():
            return path
    raise NotFoundError("The charts need the package plotly, which is missing. Run: pip install plotly.")

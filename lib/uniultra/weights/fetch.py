"""Fetch a model's official file from its publisher, after its licence was accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from uniultra.errors import ModelError
from uniultra.models.registry import ModelEntry
from uniultra.weights.download import Limits, Progress, download
from uniultra.weights.tensors import file_sha256


def fetch(
    entry: ModelEntry,
    folder: Path,
    progress: Progress | None,
    accept_licence: Callable[[ModelEntry], bool],
    *,
    sha256: str | None = None,
    limits: Limits | None = None,
) -> Path:
    """Path of `entry`'s official file in `folder`, downloaded unless it is there already.

    Args:
        entry: a model with a `url`.
        folder: created if needed.
        progress: called with the bytes received and the total.
        accept_licence: shows the licence to the user and returns whether it is accepted; called before
            anything is sent over the network.
        sha256: the expected checksum, if the entry has none.
        limits: limits of size, time and attempts.

    Raises:
        ModelError: no URL or no checksum, the licence is not accepted, or the download fails.
    """
    if entry.url is None:
        raise ModelError(f"{entry.name!r} is not published at an address that allows automatic download.")
    expected = _expected(entry, sha256)
    if not accept_licence(entry):
        raise ModelError("The licence was not accepted, so nothing was fetched.")
    target = folder / f"{entry.name}{PurePosixPath(urlsplit(entry.url).path).suffix}"
    if not (target.is_file() and file_sha256(target) == expected):
        download(entry.url, target, expected, progress, limits)
    return target


def _expected(entry: ModelEntry, given: str | None) -> str:
    given = given.lower() if given else None
    if given and (len(given) != 64 or not set(given) <= set("0123456789abcdef")):
        raise ModelError("Expected a SHA-256 of 64 hexadecimal digits.")
    if entry.url_sha256 and given and given != entry.url_sha256:
        raise ModelError(f"The given SHA-256 is not the published one of {entry.name!r}; omit it.")
    expected = entry.url_sha256 or given
    if expected is None:
        raise ModelError(
            f"No confirmed checksum of the official file of {entry.name!r} is known. Take it from a source "
            "you trust and pass it with --sha256."
        )
    return expected

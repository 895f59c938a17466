"""Validity of image ids, label tags and names; assignment of ids to files."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from enum import Enum
from pathlib import PurePosixPath

from uniultra.errors import RequestError

MAX_LENGTH = 200
_DOUBLE = (".nii.gz", ".seg.nrrd", ".seq.nrrd", ".igs.mha")
# followed by a label's extension, these would form one of the above: another image's label
_HALVES = (".seg", ".seq", ".igs")
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)
# characters that no database or JSON holds, and those forbidden in names
_UNKEPT = re.compile(r"[\x00\ud800-\udfff]")
_UNNAMED = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")


def split_name(name: str) -> tuple[str, str]:
    """(stem, extension) of a file name; `.nii.gz` and similar are one extension.

    >>> split_name("clip.nii.gz"), split_name("1.2.840.99")
    (('clip', '.nii.gz'), ('1.2.840.99', ''))
    """
    for double in _DOUBLE:
        if name.lower().endswith(double) and len(name) > len(double):
            return name[: -len(double)], name[-len(double) :]
    path = PurePosixPath(name)
    # a DICOM UID without an extension has dots: digits are no extension
    if path.suffix[1:].isdigit():
        return name, ""
    return path.stem, path.suffix


def check_id(image_id: object) -> str:
    """Return the id if it is valid for a new image.

    Raises:
        RequestError: not a plain name of 1 to 200 characters.
    """
    if (
        not isinstance(image_id, str)
        or not 0 < len(image_id) <= MAX_LENGTH
        or _FORBIDDEN.search(image_id)
        or _DEVICES.match(image_id)
        or image_id[0] in ". "
        or image_id[-1] in ". "
        or image_id.lower().endswith(_HALVES)
        or unicodedata.normalize("NFC", image_id) != image_id
    ):
        raise RequestError(
            f"An image id is a plain name of 1 to {MAX_LENGTH} characters without slashes, control "
            f"characters, a leading dot or {', '.join(_HALVES)} at its end; got something else. "
            "Choose another name."
        )
    return image_id


def check_name(name: object, what: str) -> str:
    """Return the name of a person, or another short text, if it is valid; it may be empty.

    Raises:
        RequestError: too long, or not plain text; the message calls it `what`.
    """
    if not isinstance(name, str) or not is_name(name):
        raise RequestError(
            f"Expected {what} as at most {MAX_LENGTH} characters without control characters or halves of "
            "surrogate pairs; got something else. Nothing was saved. Correct it."
        )
    return name


def is_name(name: str) -> bool:
    """Whether a text is a valid name: short, and without control characters."""
    return len(name) <= MAX_LENGTH and not _UNNAMED.search(name)


def is_text(text: str) -> bool:
    """Whether a text can be stored in every database and in JSON."""
    return not _UNKEPT.search(text)


def check_tag(tag: object) -> str:
    """Return the tag of a label if it is valid.

    Raises:
        RequestError: not letters, digits, `_`, `-`, `.`, `@`, or too long.
    """
    if not isinstance(tag, str) or not is_tag(tag):
        raise RequestError(
            "A label tag is 1 to 64 letters, digits, '_', '-', '.' or '@', starting with a letter or digit; "
            "got something else. The usual ones are final and original."
        )
    return str(tag.value) if isinstance(tag, Enum) else tag


def is_tag(name: str) -> bool:
    """Whether this is a valid tag of a label."""
    return bool(_TAG.fullmatch(name)) and not name.endswith(".") and not _DEVICES.match(name)


def new_ids(paths: Iterable[PurePosixPath], taken: Collection[str]) -> dict[PurePosixPath, str]:
    """Assign ids to new files, given relative to the studies folder; ids in `taken` are not reused.

    An id is the stem with its folders joined by `__`; on a collision, new files keep their extension too. Ids
    differ by more than case, so that they are distinct file names on any system.

    >>> list(new_ids([PurePosixPath("ward/one.png"), PurePosixPath("two.dcm")], ["two"]).values())
    ['two.dcm', 'ward__one']
    """
    paths = sorted(paths)
    used = {name.casefold() for name in taken}
    short = {path: _joined(path, with_extension=False) for path in paths}
    uses = Counter(name.casefold() for name in short.values())
    ids: dict[PurePosixPath, str] = {}
    for path in paths:
        name = short[path]
        if uses[name.casefold()] > 1 or name.casefold() in used:
            name = _joined(path, with_extension=True)
        unique, n = name, 2
        while unique.casefold() in used:
            unique, n = f"{name}__{n}", n + 1
        used.add(unique.casefold())
        ids[path] = unique
    return ids


def _joined(path: PurePosixPath, *, with_extension: bool) -> str:
    last = path.name if with_extension else split_name(path.name)[0]
    name = "__".join((*path.parts[:-1], last))
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).strip(". ") or "image"
    # the end of a long path distinguishes its files, the beginning rarely does
    name = name[-MAX_LENGTH:].lstrip(". ")
    if name.lower().endswith(_HALVES):
        name = f"{name[:-4]}_{name[-3:]}"
    return f"_{name}" if _DEVICES.match(name) else name

"""Check the annotator's name that labels are saved under; warn of names that several people may share."""

from __future__ import annotations

import re
from typing import Optional

from ..errors import UniUltraLibError

_SHARED = re.compile(
    r"(user|users|admin|administrator|root|annotator|reader|doctor|dr\.?|radiolog(y|ist)|slicer|test|demo|guest"
    r"|me|name|anonymous|workstation|station|pc|desktop|reviewer|team|us|ultrasound|monai(label)?|user-xyz)"
    r"[ _-]?\d*",
    re.IGNORECASE,
)
_MAX = 200


class AnnotatorError(UniUltraLibError):
    """An empty or malformed annotator's name."""


def checked_name(name: str) -> str:
    """The name with its white space normalised.

    Raises:
        AnnotatorError: the name is empty, too long, or not on one line.
    """
    name = " ".join(name.split())
    if not name:
        raise AnnotatorError("Labels are saved under a name. Enter your own name.")
    if len(name) > _MAX or not name.isprintable():
        raise AnnotatorError(f"Expected a name of at most {_MAX} letters on one line. Enter another.")
    return name


def name_warning(name: str) -> Optional[str]:
    """A warning if several people may share the name; else None."""
    if not _SHARED.fullmatch(name.strip()):
        return None
    return (
        "This name looks like one that several people use. Agreement, leases and resumed drafts go by name: "
        "enter your own."
    )

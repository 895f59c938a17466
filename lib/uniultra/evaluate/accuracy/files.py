"""Results as files: JSON with a line per picture, and back."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import ValidationError

from uniultra.errors import RequestError
from uniultra.evaluate.accuracy.schema import Accuracy


def check_writable(path: Path) -> None:
    """Refuse before hours are spent what could not be written after them.

    Raises:
        RequestError: another ending than .json, or a place where nothing can be written.
    """
    if path.suffix != ".json":
        raise RequestError("Expected the results' name to end in .json. Name the file so.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise RequestError("The folder for the results cannot be made. Name another place.") from None
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise RequestError("The results cannot be written there. Name a .json in another folder.")


def write(found: Accuracy, path: Path) -> None:
    """Write results as JSON, one line per picture."""
    told = json.loads(found.model_dump_json(exclude={"pictures"}))
    systems = [
        f"  {json.dumps(name)}: [\n"
        + ",\n".join("   " + json.dumps(one.model_dump(mode="json", exclude_defaults=True)) for one in scores)
        + "\n  ]"
        for name, scores in found.pictures.items()
    ]
    text = json.dumps(told, indent=1, ensure_ascii=False).removesuffix("\n}")
    path.write_text(text + ',\n "pictures": {\n' + ",\n".join(systems) + "\n }\n}\n", encoding="utf-8")


def read(path: Path) -> Accuracy:
    """Read results.

    Raises:
        RequestError: the file is not a result of this benchmark.
    """
    try:
        return Accuracy.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise RequestError(
            "Expected a result of `uniultra benchmark accuracy`; this file is none. Make it again."
        ) from None

"""Reads and writes result files: JSON with one line per picture."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from uniultra.errors import RequestError
from uniultra.evaluate.accuracy.schema import Accuracy


def write(accuracy: Accuracy, path: Path) -> None:
    """Write results as JSON, one line per picture."""
    head = json.loads(accuracy.model_dump_json(exclude={"pictures"}))
    systems = [
        f"  {json.dumps(name)}: [\n"
        + ",\n".join("   " + json.dumps(p.model_dump(mode="json", exclude_defaults=True)) for p in scores)
        + "\n  ]"
        for name, scores in accuracy.pictures.items()
    ]
    text = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
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
            "Expected a result file of `uniultra benchmark accuracy`; this file cannot be read as one. "
            "Run the benchmark again."
        ) from None

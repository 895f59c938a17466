"""Parts of a JSON answer as values of the right kind; what is of another kind gets a harmless value."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence


def text_of(value: Any) -> str:
    """The text, or none."""
    return value if isinstance(value, str) else ""


def whole_of(value: Any) -> Optional[int]:
    """The whole number from 0 up, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def number_of(value: Any) -> Optional[float]:
    """The number, or None."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def list_of(value: Any) -> Sequence[Any]:
    """The list, or an empty one."""
    return value if isinstance(value, (list, tuple)) else ()


def dict_of(value: Any) -> Dict[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}

"""Logs without patients: no path, id, query or body in any record, whichever library writes it.

Records are cleaned where they are made, so every handler of every library gets the clean one, also
those that MONAI Label and uvicorn configure. What stays: where a record comes from, constant text,
numbers, the class of an error and the lines of code it passed. What MONAI Label writes is text with
values already in it, so all of that text goes.
"""

from __future__ import annotations

import logging
import re
import threading
import traceback
from pathlib import PurePath
from types import TracebackType
from typing import Any

from uniultra.errors import ModelError
from uniultra.serve.settings import SettingsError

# these name a setting, never a request, and the person who starts the server must read them
_READABLE = (ModelError, SettingsError)
_OURS = "uniultra."
_HIDDEN = "…"
_STARTED = "Uvicorn running on"
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
_factory = logging.getLogRecordFactory()


class _Cleaner:
    """The record factory that cleans what the one before it makes."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        return clean(self.inner(*args, **kwargs))


def install() -> None:
    """Clean all records from now on, warnings and the last words of threads included."""
    if isinstance(logging.getLogRecordFactory(), _Cleaner):
        return
    logging.setLogRecordFactory(_Cleaner(logging.getLogRecordFactory()))
    logging.captureWarnings(True)
    threading.excepthook = _thread_died


def uninstall() -> None:
    """Leave records as they are made again; for tests."""
    factory = logging.getLogRecordFactory()
    if isinstance(factory, _Cleaner):
        logging.setLogRecordFactory(factory.inner)
        logging.captureWarnings(False)
        threading.excepthook = threading.__excepthook__


def clean(record: logging.LogRecord) -> logging.LogRecord:
    """The record, changed in place, with nothing in it that came with a request."""
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = error_text(record.exc_info)
    record.exc_info = None
    record.stack_info = None
    if record.name.startswith(_OURS):
        return record
    if isinstance(record.msg, BaseException):
        record.msg, record.args = _error_name(record.msg), ()
    elif record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == 5:
        _, method, _, version, status = record.args  # uvicorn's formatter takes them apart again
        record.args = (_HIDDEN, method, f"/{_HIDDEN}", version, status)
    elif record.args:
        record.msg = str(record.msg)
        if not record.msg.startswith(_STARTED):
            record.args = _hidden(record.args)
    elif record.name.startswith("uvicorn"):
        record.msg = _without_traceback(str(record.msg))
    else:
        record.msg = f"{record.funcName} ({_HIDDEN})"
    return record


def error_text(exc_info: Any) -> str:
    """Class and lines of code of an error and its causes, without its words."""
    _, error, trace = exc_info
    lines = [f"{_error_name(error)} at:"]
    lines += [f"  {PurePath(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        lines.append(f"after {_error_name(cause)}")
    return "\n".join(lines)


def _error_name(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, _READABLE):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.strerror:  # the system's own words, such as "Address in use"
        return f"{name}: errno {error.errno}"
    return name


def _hidden(args: Any) -> Any:
    if isinstance(args, dict):
        return {key: _value(value) for key, value in args.items()}
    return tuple(map(_value, args)) if isinstance(args, tuple) else _value(args)


def _value(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float)) else _HIDDEN


def _without_traceback(text: str) -> str:
    """uvicorn reports a failed start as the text of a traceback: its last line names the error."""
    if "Traceback (most recent call last)" not in text and "\n" not in text:
        return text
    last = text.rstrip().splitlines()[-1]
    name, _, words = last.partition(": ")
    readable = any(name.endswith(kind.__name__) for kind in _READABLE)
    return f"{name}: {words}" if readable else re.sub(r"[^\w.]", "", name)[-80:]


def _thread_died(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit and args.exc_value is not None:
        logging.getLogger(__name__).error(
            "A thread died.", exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
        )

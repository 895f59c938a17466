from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator

import pytest
from uvicorn.logging import AccessFormatter, DefaultFormatter

from uniultra.errors import ModelError, PromptError
from uniultra.serve.http import logs

SECRET = "jane-doe-1961"


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What a plain handler on the root logger writes while the cleaner is at work."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    logs.install()
    yield stream
    logs.uninstall()
    root.removeHandler(handler)


def test_values_written_into_text_go(output: io.StringIO) -> None:
    logger = logging.getLogger("monailabel.endpoints.infer")
    logger.error(f"Infer Request: {{'image': '{SECRET}'}}")
    logger.error("COMMAND:: python -r " + SECRET)
    assert SECRET not in output.getvalue()
    assert output.getvalue().count("monailabel.endpoints.infer ERROR test_values_written_into_text_go") == 2


def test_values_given_apart_go_and_numbers_stay(output: io.StringIO) -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    logger.error("%s took %d ms at %.1f", SECRET, 35, 0.5)
    logger.error("%(path)s of %(n)d", {"path": SECRET, "n": 3})
    logger.error("%s", [SECRET])
    text = output.getvalue()
    assert SECRET not in text
    assert "… took 35 ms at 0.5" in text and "… of 3" in text


@pytest.mark.parametrize("name", ["monailabel.x", "uvicorn.error", "uniultra.serve", "root", "asyncio"])
def test_errors_keep_their_class_and_lines_and_lose_their_words(output: io.StringIO, name: str) -> None:
    def fails() -> None:
        raise ValueError(f"cannot read /data/{SECRET}.dcm")

    try:
        try:
            fails()
        except ValueError as error:
            raise PromptError(SECRET) from error
    except PromptError:
        logging.getLogger(name).exception("Exception in ASGI application")
    text = output.getvalue()
    assert SECRET not in text and "/data" not in text
    assert "PromptError at:" in text and "after ValueError" in text
    assert "test_logs.py:" in text


def test_an_error_as_the_message_keeps_its_class(output: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").error(OSError(98, f"address in use by {SECRET}"))
    logging.getLogger("monailabel").error(KeyError(SECRET))
    assert SECRET not in output.getvalue()
    assert "OSError: errno 98" in output.getvalue() and "KeyError" in output.getvalue()


def test_a_failed_start_names_its_reason_but_no_path(output: io.StringIO) -> None:
    trace = f'Traceback (most recent call last):\n  File "/home/{SECRET}/main.py", line 3\n'
    logger = logging.getLogger("uvicorn.error")
    logger.error(trace + "uniultra.errors.ModelError: Unknown model; expected one of uniultra_mini.")
    logger.error(trace + f"FileNotFoundError: [Errno 2] No such file: '/data/{SECRET}'")
    text = output.getvalue()
    assert "expected one of uniultra_mini" in text and "FileNotFoundError" in text
    assert SECRET not in text and "/data" not in text


def test_what_uvicorn_says_about_itself_stays(output: io.StringIO) -> None:
    logger = logging.getLogger("uvicorn.error")
    logger.error("Application startup complete.")
    logger.error("Uvicorn running on %s://%s:%d (Press CTRL+C to quit)", "http", "127.0.0.1", 8000)
    assert "Application startup complete." in output.getvalue()
    assert "http://127.0.0.1:8000" in output.getvalue()


def test_uvicorns_own_formatters_work_on_clean_records() -> None:
    logs.install()
    try:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        logger = logging.getLogger("uvicorn.access")
        logger.addHandler(handler)
        arguments = ("10.0.0.7:1234", "GET", f"/session/{SECRET}?q={SECRET}", "1.1", 200)
        for formatter in (
            AccessFormatter("%(client_addr)s %(request_line)s %(status_code)s"),
            DefaultFormatter(),
        ):
            handler.setFormatter(formatter)
            logger.error('%s - "%s %s HTTP/%s" %d', *arguments)
        logger.removeHandler(handler)
    finally:
        logs.uninstall()
    assert stream.getvalue().count("GET /…") == 2
    assert SECRET not in stream.getvalue() and "10.0.0.7" not in stream.getvalue()


def test_warnings_are_records_too(output: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"Invalid value for VR UI: {SECRET}", stacklevel=1)
    assert "py.warnings" in output.getvalue() and SECRET not in output.getvalue()


def test_a_thread_that_dies_says_nothing_of_its_data(output: io.StringIO, capsys) -> None:
    def dies() -> None:
        raise RuntimeError(SECRET)

    thread = threading.Thread(target=dies)
    thread.start()
    thread.join()
    assert "A thread died." in output.getvalue() and "RuntimeError" in output.getvalue()
    assert SECRET not in output.getvalue() + capsys.readouterr().err


def test_our_own_lines_and_errors_about_settings_are_readable(output: io.StringIO) -> None:
    logger = logging.getLogger("uniultra.serve.http.access")
    logger.error("%s %s %d", "POST", "/infer/{model}", 200)
    try:
        raise ModelError("The weights are damaged.")
    except ModelError:
        logger.exception("no warm-up")
    assert "POST /infer/{model} 200" in output.getvalue()
    assert "ModelError: The weights are damaged." in output.getvalue()


def test_installing_twice_cleans_once() -> None:
    before = logging.getLogRecordFactory()
    logs.install()
    first = logging.getLogRecordFactory()
    logs.install()
    assert logging.getLogRecordFactory() is first
    logs.uninstall()
    assert logging.getLogRecordFactory() is before

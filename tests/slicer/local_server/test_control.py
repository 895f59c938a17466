"""The one button: find, ask, make, start, stop; taken on the caller's thread by `poll()`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from UniUltraLib.local_server import server
from UniUltraLib.local_server.control import LocalControl


class Button(LocalControl):
    """A control in a home folder of the test; `seen` are the states its listener got."""

    def __init__(self, home: Path, near: Path | None, variables: dict[str, str]) -> None:
        super().__init__(variables, home, near)
        self.seen: list[server.LocalServerState] = []
        self.threads: set[int] = set()
        self.subscribe(self._listen)

    def _listen(self, state: server.LocalServerState) -> None:
        self.seen.append(state)
        self.threads.add(threading.get_ident())

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.state, self.log.tail(20))
            self.poll()
            time.sleep(0.01)


@pytest.fixture
def button(tmp_path: Path, tree: Path, variables: dict[str, str]) -> Iterator[Button]:
    made = Button(tmp_path / "home", tree / "lib", variables)
    yield made
    made.close()


def test_from_nothing_to_a_running_server(button: Button, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    button.start()
    assert button.state.kind == server.SEARCHING and button.state.busy
    button.until(lambda: button.state.kind == server.ASKING)
    assert "Downloads:" in button.state.question
    assert list((tmp_path / "home").iterdir()) == []
    button.answer(True)
    button.until(lambda: button.state.kind == server.RUNNING)
    assert server.answers(button.state.address)
    assert button.default_studies.is_dir()
    kinds = list(dict.fromkeys(state.kind for state in button.seen))
    assert kinds == [server.SEARCHING, server.ASKING, server.MAKING, server.STARTING, server.RUNNING]
    assert button.threads == {threading.get_ident()}, "listeners hear of it on the caller's thread"
    address = button.state.address
    button.stop()
    assert button.state.kind == server.STOPPING
    button.until(lambda: button.state.kind == server.STOPPED)
    assert not server.answers(address)
    button.start(str(tmp_path / "images"))
    button.until(lambda: button.state.kind == server.RUNNING)
    assert (tmp_path / "images").is_dir(), "the second time nothing is asked"
    child = int((tmp_path / "images" / "self").read_text())
    os.kill(child, 9)
    button.until(lambda: button.state.kind == server.DIED)
    assert button.state.problem is not None and "signal 9" in str(button.state.problem)


def test_no_leaves_everything_as_it_was(button: Button, tmp_path: Path) -> None:
    button.start()
    button.until(lambda: button.state.kind == server.ASKING)
    button.answer(False)
    assert button.state == server.LocalServerState()
    button.answer(True)  # there is no question any more
    assert button.state == server.LocalServerState()
    assert not (tmp_path / "home").exists()


def test_stopping_while_it_makes_keeps_nothing(button: Button, tmp_path: Path) -> None:
    folder = tmp_path / "new environment"
    button.start("", str(folder))
    button.until(lambda: button.state.kind == server.ASKING)
    assert str(folder) in button.state.question
    button.answer(True)
    button.until(folder.exists)
    button.stop()
    assert button.state == server.LocalServerState()
    button.until(lambda: not folder.exists())
    assert button.state.problem is None


def test_what_is_missing_is_said(button: Button, tmp_path: Path) -> None:
    (tmp_path / "not python").mkdir()
    (tmp_path / "not python" / "file").touch()
    button.start("", str(tmp_path / "not python"))
    button.until(lambda: not button.state.busy)
    assert "no Python environment" in str(button.state.problem)
    empty = Button(tmp_path / "home", None, {"PATH": ""})
    empty.start()
    empty.until(lambda: not empty.state.busy)
    assert "source tree" in str(empty.state.problem)
    empty.close()

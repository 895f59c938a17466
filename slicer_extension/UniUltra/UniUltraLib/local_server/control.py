"""The button for a server on this machine: find or create an environment; start, watch and stop the server.

Long work runs in a thread; `poll()` delivers its results, so that listeners run on the caller's thread.
Nothing is downloaded before `answer(True)`.
"""

from __future__ import annotations

import queue
import threading
from functools import partial
from pathlib import Path
from typing import Any, Callable, Mapping, Optional

from ..control.observable import Observable
from ..control.state import Problem
from ..errors import UniUltraLibError
from . import environments, install
from .environments import Environment, own_home, source_tree
from .install_plan import InstallPlan, plan
from .process_log import ProcessLog
from .server import (
    ASKING,
    DIED,
    MAKING,
    RUNNING,
    SEARCHING,
    STARTING,
    STOPPED,
    STOPPING,
    LocalServer,
    LocalServerState,
)  # fmt: skip


class LocalControl(Observable[LocalServerState]):
    """A local server and the environment it needs.

    Args:
        variables: environment variables, cleaned by `processes.clean_environment`.
        home: the person's home folder.
        near: a file of this module, to find the source tree that may contain it.
    """

    def __init__(self, variables: Mapping[str, str], home: Path, near: Optional[Path] = None) -> None:
        super().__init__(LocalServerState())
        self.log = ProcessLog()
        self._variables, self._home, self._near = variables, home, near
        self._done: queue.Queue[Callable[[], None]] = queue.Queue()
        self._server: Optional[LocalServer] = None
        self._plan: Optional[InstallPlan] = None
        self._studies = self.default_studies
        self._turn = 0
        self._cancelled = threading.Event()

    @property
    def has_source(self) -> bool:
        """Whether this module lies in UniUltra's source tree, so that `start` needs no `source`."""
        return self._near is not None and source_tree(self._near) is not None

    @property
    def default_studies(self) -> Path:
        """The studies folder when none was chosen."""
        return own_home(self._home) / "studies"

    def start(self, studies: str = "", chosen: str = "", *, source: str = "", gpu: bool = False) -> None:
        """Start a server, or ask whether to create the environment it needs.

        Args:
            studies: the folder of images; `default_studies` when empty.
            chosen: the person's environment (see `environments.find`), or an empty folder to create one in.
            source: UniUltra's source tree, or a .zip of it, to install from; this module's own when empty.
            gpu: see `install_plan.plan`.
        """
        if self._state.busy or self._state.kind in (RUNNING, STOPPING):
            return
        self._studies = Path(studies).expanduser() if studies.strip() else self.default_studies
        self._publish(LocalServerState(SEARCHING))
        self._work(lambda: self._search(chosen, source, gpu))

    def answer(self, yes: bool) -> None:
        """Answer the question; after a no, nothing is done."""
        todo, self._plan = self._plan, None
        if self._state.kind != ASKING or todo is None:
            return
        if not yes:
            self._publish(LocalServerState())
            return
        self._publish(LocalServerState(MAKING))
        log, cancelled = self.log, self._cancelled

        def work() -> Callable[[], None]:
            environment = install.make(todo, self._variables, log, cancelled)
            return lambda: self._begin(environment)

        self._work(work)

    def stop(self) -> None:
        """Stop the search, the installation or the server; stopping a server takes seconds, in a thread."""
        server = self._let_go()
        if server is None:
            self._publish(LocalServerState())
            return

        def work() -> Callable[[], None]:
            server.stop()
            return lambda: self._publish(LocalServerState())

        self._publish(LocalServerState(STOPPING))
        self._work(work)

    def poll(self) -> None:
        """Deliver results of threads and follow the server's state; a timer calls this."""
        while True:
            try:
                self._done.get_nowait()()
            except queue.Empty:
                break
        if self._server is not None and self._server.state.kind != self._state.kind:
            state = self._server.state
            self._publish(state)
            if state.kind in (DIED, STOPPED):
                self._server = None

    def close(self) -> None:
        """Close the panel's part: the server has stopped when this returns."""
        server = self._let_go()
        if server is not None:
            server.stop(5)
        super().close()

    def _let_go(self) -> Optional[LocalServer]:
        self._turn += 1
        self._cancelled.set()
        self._cancelled = threading.Event()
        self._plan = None
        server, self._server = self._server, None
        return server

    def _search(self, chosen: str, source: str, gpu: bool) -> Callable[[], None]:
        folder = Path(chosen.strip()).expanduser() if chosen.strip() else None
        # An empty folder, or one that does not exist yet, is where to create one.
        new = folder is not None and (not folder.exists() or (folder.is_dir() and not any(folder.iterdir())))
        if not new:
            search = environments.find(chosen, self._variables, self._home, self._near)
            if search.environment is not None or chosen.strip():
                return lambda: self._begin(search.environment, search.text)
            self.log.add(search.text)
        target = folder if new and folder is not None else own_home(self._home) / "environment"
        tree = Path(source).expanduser() if source.strip() else self._near
        if tree is None:
            tree = target
        elif tree.suffix.lower() == ".zip" and tree.is_file():
            tree = install.unpack(tree, own_home(self._home) / "sources")
        todo = plan(target, tree, self._variables, gpu=gpu)
        return lambda: self._question(todo)

    def _question(self, todo: InstallPlan) -> None:
        self._plan = todo
        self._publish(LocalServerState(ASKING, question=todo.question))

    def _begin(self, environment: Optional[Environment], text: str = "") -> None:
        if environment is None:
            self._fail(UniUltraLibError(text))
            return
        self.log.add(f"UniUltra {environment.version}, found by {environment.found_by}")
        server = LocalServer(environment, self._variables, self.log)
        try:
            address = server.start(self._studies)
        except UniUltraLibError as error:
            self._fail(error)
            return
        self._server = server
        self._publish(LocalServerState(STARTING, address))

    def _fail(self, error: UniUltraLibError) -> None:
        self._publish(LocalServerState(STOPPED, problem=Problem("", str(error), "")))

    def _work(self, work: Callable[[], Callable[[], None]]) -> None:
        """Run `work` in a thread, and the function it returns in `poll()`.

        Each call, and each `stop`, begins a new turn. A result of an older turn is dropped: a search or an
        installation that was stopped must not start a server afterwards.
        """
        self._turn += 1
        turn = self._turn

        def run() -> None:
            try:
                then: Callable[[], Any] = work()
            except UniUltraLibError as error:
                then = partial(self._fail, error)
            self._done.put(lambda: then() if turn == self._turn else None)

        threading.Thread(target=run, name="UniUltra local server", daemon=True).start()

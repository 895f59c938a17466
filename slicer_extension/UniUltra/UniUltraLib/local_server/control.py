"""The one button for a server on this machine: find an environment or create one, start, watch, stop.

Long work runs in a thread; `poll()` takes its results, so that listeners are called on the caller's thread. A
question waits for `answer(yes)`; nothing is downloaded before.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

from ..control.observable import Observable
from ..control.state import Problem
from ..errors import UniUltraLibError
from . import environments, install
from .environments import Environment, own_home, source_tree
from .install_plan import InstallPlan, plan
from .process_log import ProcessLog
from .server import DIED, RUNNING, STARTING, STOPPED, LocalServer

SEARCHING, ASKING, MAKING, STOPPING = "searching", "asking", "making", "stopping"
BUSY = (SEARCHING, MAKING, STARTING)


@dataclass(frozen=True)
class LocalControlState:
    """What the panel shows.

    Attributes:
        kind: stopped, searching, asking, making, starting, running, stopping or died.
        address: the server's, once it is known; to connect to when `kind` is running.
        question: what is to be downloaded, when `kind` is asking.
        found: the environment in words.
        problem: why there is no server.
    """

    kind: str = STOPPED
    address: str = ""
    question: str = ""
    found: str = ""
    problem: Optional[Problem] = None

    @property
    def busy(self) -> bool:
        """Whether something goes on that can be stopped."""
        return self.kind in BUSY


class LocalControl(Observable[LocalControlState]):
    """A local server and the environment it needs.

    Args:
        variables: cleaned, see `processes.clean_environment`.
        home: the person's home folder.
        secrets: texts that the log never shows.
        near: a file of this module, to find the source tree it may lie in.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        home: Path,
        *,
        secrets: Sequence[str] = (),
        near: Optional[Path] = None,
    ) -> None:
        super().__init__(LocalControlState())
        self.log = ProcessLog(secrets)
        self._variables, self._home, self._near = variables, home, near
        self._done: queue.Queue[Callable[[], None]] = queue.Queue()
        self._server: Optional[LocalServer] = None
        self._plan: Optional[InstallPlan] = None
        self._studies = self.default_studies
        self._turn = 0
        self._cancelled = threading.Event()

    @property
    def has_source(self) -> bool:
        """Whether this module lies in UniUltra's source tree, so that `start` needs no other."""
        return self._near is not None and source_tree(self._near) is not None

    @property
    def default_studies(self) -> Path:
        """Where images are served from when no folder was chosen."""
        return own_home(self._home) / "studies"

    def start(
        self,
        studies: str = "",
        chosen: str = "",
        *,
        source: str = "",
        gpu: bool = False,
    ) -> None:
        """The button: start a server, or ask whether to make what it needs.

        Args:
            studies: the folder of images; `default_studies` when empty.
            chosen: a person's environment (see `environments.find`), or an empty folder to make one in.
            source: UniUltra's source tree, or a .zip of it, for making one; this module's own when empty.
        """
        if self._state.busy or self._state.kind in (RUNNING, STOPPING):
            return
        self._studies = Path(studies).expanduser() if studies.strip() else self.default_studies
        self._publish(LocalControlState(SEARCHING))
        self._work(lambda: self._look(chosen, source, gpu))

    def answer(self, yes: bool) -> None:
        """Answer the question; nothing is done after a no."""
        todo, self._plan = self._plan, None
        if self._state.kind != ASKING or todo is None:
            return
        if not yes:
            self._publish(LocalControlState())
            return
        self._publish(LocalControlState(MAKING))
        log, cancelled = self.log, self._cancelled

        def work() -> Callable[[], None]:
            environment = install.make(todo, self._variables, log, cancelled)
            return lambda: self._begin(environment)

        self._work(work)

    def stop(self) -> None:
        """Stop the search, the installation or the server; stopping a server takes seconds, in a thread."""
        server = self._let_go()
        if server is None:
            self._publish(LocalControlState())
            return

        def work() -> Callable[[], None]:
            server.stop()
            return lambda: self._publish(LocalControlState())

        self._publish(LocalControlState(STOPPING))
        self._work(work)

    def poll(self) -> None:
        """Take what has come; a timer calls this."""
        while True:
            try:
                self._done.get_nowait()()
            except queue.Empty:
                break
        if self._server is not None and self._server.state.kind != self._state.kind:
            now = self._server.state
            self._publish(replace(self._state, kind=now.kind, address=now.address, problem=now.problem))
            if now.kind in (DIED, STOPPED):
                self._server = None

    def close(self) -> None:
        """The panel closes: the server is stopped before this returns."""
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

    def _look(self, chosen: str, source: str, gpu: bool) -> Callable[[], None]:
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
        self._publish(LocalControlState(ASKING, question=todo.question))

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
        self._publish(LocalControlState(STARTING, address, found=f"UniUltra {environment.version}"))

    def _fail(self, error: UniUltraLibError) -> None:
        self._publish(LocalControlState(STOPPED, problem=Problem("", str(error), "")))

    def _work(self, work: Callable[[], Callable[[], None]]) -> None:
        """Run `work` in a thread and what it gives in `poll()`, unless `stop` came between."""
        self._turn += 1
        turn = self._turn

        def take(then: Callable[[], Any]) -> None:
            if turn == self._turn:
                then()

        def run() -> None:
            try:
                then = work()
            except UniUltraLibError as error:
                failed = error
                self._done.put(lambda: take(lambda: self._fail(failed)))
                return
            self._done.put(lambda: take(then))

        threading.Thread(target=run, name="UniUltra local server", daemon=True).start()

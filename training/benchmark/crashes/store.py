"""Kills of processes that work with the label store."""

from __future__ import annotations

import multiprocessing
import os
import random
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from crashes import annotator, made
from crashes.acknowledged import Acknowledged, check, check_folder
from crashes.schema import Part, Violation

from uniultra.errors import UniUltraError
from uniultra.store.store import LabelStore

PICTURES = 8
KILLS_EACH = 20  # of one campaign, so that young ones are met too
PATIENCE = 60.0


def context() -> Any:
    """Processes are forked from one that has imported everything: a kill in each second instead of ten."""
    method = multiprocessing.get_context("forkserver")
    # Python 3.11 does not hand its path on to the process that is forked from
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    method.set_forkserver_preload(["crashes.annotator", "crashes.trainer"])
    return method


@dataclass
class Child:
    """A running process and its messages."""

    process: BaseProcess
    pipe: Connection
    waiting: list[tuple[Any, ...]] = field(default_factory=list)

    def heard(self) -> list[tuple[Any, ...]]:
        """Messages since the last call; all remaining messages of a dead process."""
        found, self.waiting = self.waiting, []
        try:
            while self.pipe.poll(0):
                found.append(self.pipe.recv())
        except (EOFError, OSError):
            pass
        return found

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.join()


class StoreKills:
    """Kills of annotators at one campaign after the other.

    Args:
        part: to count in.
        violations: to add to.
    """

    def __init__(self, part: Part, violations: list[Violation]) -> None:
        self.part, self.violations = part, violations
        self.context, self.restarts = context(), list[float]()

    def run(self, kills: int, seed: int) -> None:
        """Kill so often."""
        began = time.monotonic()
        while self.part.kills < kills:
            with tempfile.TemporaryDirectory() as name:
                self._campaign(Path(name), min(KILLS_EACH, kills - self.part.kills), seed)
            seed += 1
        self.part.seconds = round(time.monotonic() - began, 1)

    def _campaign(self, folder: Path, kills: int, seed: int) -> None:
        self.part.seeds.append(seed)
        self.folder, self.acknowledged, self.seed, self.done = folder / "studies", Acknowledged(), seed, 0
        made.pictures(self.folder, PICTURES)
        chance = random.Random(seed)
        before = self.part.kills
        while self.part.kills - before < kills:
            self.number = self.part.kills - before
            self._round(chance, both=kills - self.number > 1 and chance.random() < 0.5)
        for what, count in self.acknowledged.counts.items():
            self.part.add("acknowledged", what, count)
        for reason, count in self.aside.items():
            self.part.add("put_aside", reason, count)

    def _round(self, chance: random.Random, both: bool) -> None:
        """Kill a process at any moment, then the one that worked beside it, if there is one."""
        children = [self._start(chance) for _ in range(1 + both)]
        # from microseconds to a second, each order of magnitude as often: opening and recovery are met too
        time.sleep(10 ** chance.uniform(-4, 0))
        first, rest = children[0], children[1:]
        self._kill(first)
        if rest:
            self._check(rest)
            self._going_on(rest[0])
            self._kill(rest[0])
        store = self._check([])
        self.aside = check_folder(store, self.acknowledged, self._complain)
        for lease in store.leases():  # who is dead does not come back for it
            store.release(lease.unit, lease.annotator)
        self.acknowledged.leases.clear()
        store.index.close()

    def _start(self, chance: random.Random) -> Child:
        ours, theirs = self.context.Pipe(duplex=False)
        values = (theirs, str(self.folder), chance.randrange(1, 10**9), PICTURES)
        process = self.context.Process(target=annotator.work, args=values, daemon=True)
        process.start()
        theirs.close()
        if not ours.poll(PATIENCE) or ours.recv() != ("alive",):
            raise RuntimeError("a process did not begin")
        return Child(process, ours)

    def _kill(self, child: Child) -> None:
        alive = child.process.is_alive()
        child.kill()
        heard = child.heard()
        self.part.kills += alive
        self.part.add("moments", f"in {heard[-1][1]}" if heard and heard[-1][0] == "try" else "between")
        self.acknowledged.hear(heard, self._complain)

    def _check(self, running: list[Child]) -> LabelStore:
        """Open the store as a restart does, and compare."""

        def listen() -> None:
            for child in running:
                self.acknowledged.hear(child.heard(), self._complain)

        listen()
        began = time.perf_counter()
        store = LabelStore(self.folder)
        try:
            store.ready()
            self.restarts.append(time.perf_counter() - began)
            if not running:
                self.part.checked += check(store, self.acknowledged, self._complain, listen)
            else:  # leases and reviews of who still works change under the question
                self.part.checked += len(store.trainable())
        except (UniUltraError, OSError) as error:
            self._complain(f"the store did not open: {type(error).__name__}: {error}")
        return store

    def _going_on(self, child: Child) -> None:
        """Check that the surviving process continues to work."""
        end = time.monotonic() + PATIENCE
        while not self.acknowledged.hear(child.heard(), self._complain):
            if time.monotonic() > end or not child.process.is_alive():
                self._complain("the process beside a killed process does not continue")
                return
            time.sleep(0.01)

    def _complain(self, what: str) -> None:
        self.violations.append(Violation(part="store", seed=self.seed, number=self.number, what=what))

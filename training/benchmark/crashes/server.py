"""Kills of the whole server, its training included, while labels are submitted over HTTP."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import requests
from crashes import made
from crashes.acknowledged import quarantined
from crashes.schema import Part, Violation

from uniultra.adapt.job import jobs
from uniultra.errors import UniUltraError
from uniultra.store.store import LabelStore
from uniultra.weights import loading
from uniultra.weights.deployed import Published

MODEL = "uniultra_mini"
PICTURES = 12
STARTING, ENDING = 300.0, 1200.0


class Server:
    """`uniultra serve` in a process group of its own."""

    def __init__(self, studies: Path, home: Path, *conf: str) -> None:
        self.studies, self.home, self.conf = studies, home, conf
        home.mkdir(exist_ok=True)

    def start(self) -> float:
        """Start it; seconds until it answers `/info/`.

        Raises:
            RuntimeError: it does not.
        """
        began = time.monotonic()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "uniultra.cli", "serve", "--studies", str(self.studies)]
        command += ["--port", str(port), "--device", "cpu", "--model", MODEL]
        for key, _, value in (one.partition("=") for one in self.conf):
            command += ["--conf", key, value]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MONAI_LABEL")}
        environment |= {"HOME": str(self.home), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        with (self.home / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env=environment, cwd=self.home, start_new_session=True
            )
        while time.monotonic() - began < STARTING and self.process.poll() is None:
            try:
                requests.get(f"{self.url}/info/", timeout=30).raise_for_status()
                return time.monotonic() - began
            except requests.RequestException:
                time.sleep(0.2)
        raise RuntimeError("the server did not start: " + (self.home / "output.txt").read_text()[-1500:])

    def kill(self) -> None:
        """SIGKILL to every process of it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it as a person does."""
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()

    def submit(self, image: str, data: bytes, **params: Any) -> int:
        """Submit a label; its revision."""
        answer = requests.put(
            f"{self.url}/datastore/label",
            params={"image": image, "tag": "final"},
            data={"params": json.dumps(params)},
            files={"label": (f"{image}.png", data)},
            timeout=120,
        )
        answer.raise_for_status()
        return int(answer.json()["revision"])

    def click(self, image: str, x: int = made.SIDE // 2, y: int = made.SIDE // 2) -> dict[str, Any]:
        """The packed answer to a click."""
        params = {"foreground": [[x, y, 0]], "background": [], "result": "packed"}
        answer = requests.post(
            f"{self.url}/infer/{MODEL}",
            params={"image": image},
            data={"params": json.dumps(params)},
            timeout=120,
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


class ServerKills:
    """Kills of one server over one campaign.

    Args:
        part: to count in.
        violations: to add to.
        folder: to work in.
    """

    def __init__(self, part: Part, violations: list[Violation], folder: Path) -> None:
        self.part, self.violations, self.folder = part, violations, folder
        self.restarts: list[float] = []
        self.saved: dict[tuple[str, int], str] = {}
        self.sent: set[str] = set()
        self.answered = 0

    def run(self, kills: int, seed: int) -> None:
        """Kill so often, then let the training end."""
        began = time.monotonic()
        self.seed, chance = seed, random.Random(seed)
        self.part.seeds.append(seed)
        made.small_weights(self.folder / "weights")
        os.environ["UNIULTRA_WEIGHTS"] = str(self.folder / "weights")
        made.pictures(self.folder / "studies", PICTURES)
        (self.folder / "studies" / "campaign.yaml").write_text(
            "patients: {by: path, pattern: '(image[0-9]+)'}\n"
        )
        conf = ("train_after=0", "train_threads=1")
        self.server = Server(self.folder / "studies", self.folder / "home", *conf)
        self.server.start()
        for n in range(PICTURES):
            self._submit(n, chance.randrange(1 << 30))
        for _ in range(kills):
            self._kill(chance)
            self._check()
        self._end()
        self.part.seconds = round(time.monotonic() - began, 1)

    def _submit(self, n: int, key: int) -> None:
        data, image = made.mask(n, (key,)), f"image{n:03}"
        digest = made.sha256(data)
        self.sent.add(digest)
        revision = self.server.submit(image, data, annotator="anna")
        self.saved[image, revision] = digest

    def _kill(self, chance: random.Random) -> None:
        """Kill while two people submit labels, one clicks and a training runs."""
        self._train()
        ended = threading.Event()

        def label(own: random.Random) -> None:
            while not ended.is_set():
                try:
                    self._submit(own.randrange(PICTURES), own.randrange(1 << 30))
                except requests.RequestException:
                    return

        def click() -> None:
            while not ended.is_set():
                try:
                    self.server.click("image000")
                    self.answered += 1
                except requests.RequestException:
                    return

        people = [threading.Thread(target=label, args=(random.Random(chance.random()),)) for _ in range(2)]
        people.append(threading.Thread(target=click))
        for one in people:
            one.start()
        time.sleep(chance.uniform(0.2, 20))
        self.server.kill()
        ended.set()
        for one in people:
            one.join()
        self.part.kills += 1
        newest = jobs(self.server.studies)[-1]
        progress = newest.progress() if newest.ended() is None else None
        self.part.add("moments", progress.phase if progress else "before or after a training")

    def _train(self) -> None:
        """Request a training unless one is running; an interrupted training resumes automatically."""
        if all(job.ended() is not None for job in jobs(self.server.studies)):
            url = f"{self.server.url}/train/{MODEL}"
            # a process that has said how it ended may still be ending
            answer = requests.post(url, params={"enqueue": True}, json={"steps": 20}, timeout=60)
            answer.raise_for_status()

    def _check(self) -> None:
        """Start it again and compare everything, over HTTP and in the folder."""
        try:
            self.restarts.append(self.server.start())
        except RuntimeError as error:
            self._complain(str(error))
            raise
        for image in {image for image, _ in self.saved}:
            answer = requests.get(f"{self.server.url}/labels/{image}", timeout=120).json()
            there = {version["revision"]: version["sha256"] for version in answer["versions"]}
            for (of, revision), digest in self.saved.items():
                if of == image and there.get(revision) != digest:
                    self._complain(f"an acknowledged label is lost or another: {image}@{revision}")
            if not set(there.values()) <= self.sent:
                self._complain(f"a version is not what anybody sent: {image}")
            newest = max(there)
            file = requests.get(f"{self.server.url}/labels/{image}/{newest}", timeout=120).content
            if made.sha256(file) != there[newest]:
                self._complain(f"a label's file is not what its record says: {image}@{newest}")
            self.part.checked += len(there) + 1
        store = LabelStore(self.server.studies)
        for label in store.trainable():
            if made.sha256((store.studies / label.file).read_bytes()) not in self.sent:
                self._complain(f"a damaged label is trained on: {label.image}@{label.revision}")
        self._check_adapter()
        self.aside = quarantined(store.private, self._complain)
        store.index.close()

    def _check_adapter(self) -> None:
        """The adapter that answers is the one that was published, and it is whole."""
        published = Published(self.server.studies)
        try:
            current = published.current(MODEL)
            if current is not None:
                loading.assemble(published.path(current), name=MODEL)
        except UniUltraError as error:
            self._complain(f"the adapter is damaged: {error}")
            return
        answered = self.server.click("image001")["adapter"]
        if answered != current and published.current(MODEL) == current:
            self._complain(f"{answered} answers and not {current}")

    def _end(self) -> None:
        """Check that a training killed with the server resumes automatically and ends."""
        end = time.monotonic() + ENDING
        while any(job.ended() is None for job in jobs(self.server.studies)) and time.monotonic() < end:
            time.sleep(1)
        for job in jobs(self.server.studies):
            ended = job.ended()
            if ended is None or ended.status != "DONE":
                self._complain(f"a training did not end well: {ended and ended.error}")
            self.part.add("acknowledged", "adapters" if ended and ended.adapter else "trainings")
        time.sleep(2)  # until the server has seen it
        self.server.click("image001")
        time.sleep(5)
        self._check_adapter()
        self.server.stop()
        self.part.add("acknowledged", "labels", len(self.saved))
        self.part.add("acknowledged", "clicks", self.answered)
        for reason, count in self.aside.items():
            self.part.add("put_aside", reason, count)

    def _complain(self, what: str) -> None:
        self.violations.append(
            Violation(part="server", seed=self.seed, number=max(0, self.part.kills - 1), what=what)
        )


def work(part: Part, violations: list[Violation], kills: int, seed: int) -> list[float]:
    """All of it in a folder of its own; seconds of each restart."""
    with tempfile.TemporaryDirectory() as name:
        found = ServerKills(part, violations, Path(name))
        try:
            found.run(kills, seed)
        finally:
            if found.server.process.poll() is None:
                found.server.kill()
        return found.restarts

r"""Eight people at one server: who is given what, and whether every label arrives where it belongs.

    .venv/bin/python training/benchmark/annotators.py --output training/benchmark/results/annotators.json

Each asks for the next image, clicks on it and submits a label that no other has, until nothing is left; over
HTTP, with the default strategy. Then what the server says of every label is compared with what was sent.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import requests
from crashes import made
from crashes.server import Server
from pydantic import BaseModel, ConfigDict

KINDS = ("next_sample", "click", "submit")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Times(_Strict):
    """Seconds of one kind of request."""

    n: int
    p50_s: float
    p95_s: float
    worst_s: float


class Campaign(_Strict):
    """One campaign to its end.

    Attributes:
        given: units that were handed out, counting each time.
        labels: that were acknowledged; versions: that the server has.
        twice: units that more were given than there are readers.
        again: units that one annotator was given twice.
        forgotten: units that too few were given.
        lost: labels that were acknowledged and are not there.
        crossed: labels on another image, of another annotator or with other content than what was sent.
        errors: requests that were refused or failed.
    """

    annotators: int
    images: int
    readers: int
    given: int
    labels: int
    versions: int
    twice: int
    again: int
    forgotten: int
    lost: int
    crossed: int
    errors: list[str]
    seconds: float
    requests_per_s: float
    times: dict[str, Times]


class Report(_Strict):
    """All of it."""

    date: str
    machine: dict[str, Any]
    campaigns: list[Campaign]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--annotators", type=int, default=8)
    parser.add_argument("--images", type=int, default=100, help="of each annotator")
    parser.add_argument("--own-weights", action="store_true", help="the shipped weights")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    import torch

    from uniultra.evaluate.machine import this_machine

    report = Report(
        date=str(date.today()),
        machine=this_machine(torch.device("cpu")).model_dump(mode="json"),
        campaigns=[],
    )
    for readers in (1, 2):
        with tempfile.TemporaryDirectory() as name:
            count = options.annotators * options.images // readers
            found = campaign(Path(name), options.annotators, count, readers, small=not options.own_weights)
        report.campaigns.append(found)
        print(found.model_dump_json(), flush=True)
    options.output.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")


def campaign(folder: Path, annotators: int, images: int, readers: int, *, small: bool) -> Campaign:
    """Label `images` pictures by so many annotators, `readers` of them each, and look at what came of it."""
    studies = folder / "studies"
    made.pictures(studies, images)
    (studies / "campaign.yaml").write_text(f"readers: {readers}\ntrain_after: 0\n")
    if small:
        made.small_weights(folder / "weights")
        os.environ["UNIULTRA_WEIGHTS"] = str(folder / "weights")
    server = Server(studies, folder / "home")
    server.start()
    try:
        server.click("image000")  # the network is loaded
        people = [Person(server, f"person {n}") for n in range(annotators)]
        began = time.perf_counter()
        threads = [threading.Thread(target=one.work) for one in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        return judge(server, people, images, readers, seconds)
    finally:
        server.stop()


class Person:
    """An annotator: asks, clicks, submits, until there is nothing left."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.session = requests.Session()
        self.given: list[tuple[str, int]] = []
        self.saved: dict[tuple[str, int], str] = {}
        self.seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.errors: list[str] = []

    def work(self) -> None:
        """Label until nothing is left or a request fails."""
        try:
            while self._one():
                pass
        except (requests.RequestException, KeyError, ValueError) as error:
            self.errors.append(f"{type(error).__name__}: {error}"[:300])

    def _one(self) -> bool:
        asked = self._timed("next_sample", "POST", "/activelearning/default", json={"annotator": self.name})
        if not asked:
            return False
        image, frame = asked["id"], asked["frame"]
        self.given.append((image, frame))
        answer = self._timed(
            "click",
            "POST",
            "/infer/uniultra_mini",
            params={"image": image},
            data={
                "params": _json(
                    foreground=[[24, 24, frame]], background=[], result="packed", annotator=self.name
                )
            },
        )
        data = made.mask(int(image[-3:]), (int(self.name.split()[1]), len(self.given)))
        said = _json(annotator=self.name, clicks=1, model=answer["model"], client_says=f"{self.name} {image}")
        kept = self._timed(
            "submit",
            "PUT",
            "/datastore/label",
            params={"image": image, "tag": "final"},
            data={"params": said},
            files={"label": (f"{image}.png", data)},
        )
        self.saved[image, kept["revision"]] = made.sha256(data)
        return True

    def _timed(self, kind: str, method: str, path: str, **rest: Any) -> dict[str, Any]:
        began = time.perf_counter()
        answer = self.session.request(method, f"{self.server.url}{path}", timeout=300, **rest)
        self.seconds[kind].append(time.perf_counter() - began)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def judge(server: Server, people: list[Person], images: int, readers: int, seconds: float) -> Campaign:
    """Compare what everybody was given and sent with what the server has."""
    given = Counter(unit for one in people for unit in one.given)
    again = sum(count > 1 for one in people for count in Counter(one.given).values())
    lost = crossed = versions = 0
    sent = {key: (one.name, digest) for one in people for key, digest in one.saved.items()}
    for n in range(images):
        image = f"image{n:03}"
        told = requests.get(f"{server.url}/labels/{image}", timeout=300).json()["versions"]
        there = {(image, one["revision"]): one for one in told}
        versions += len(there)
        lost += sum(key[0] == image and key not in there for key in sent)
        for key, version in there.items():
            file = requests.get(f"{server.url}/labels/{image}/{key[1]}", timeout=300).content
            right = (version["annotator"], made.sha256(file)) == sent.get(key)
            crossed += not (right and version["info"]["client_says"] == f"{version['annotator']} {image}")
    times = {kind: [second for one in people for second in one.seconds[kind]] for kind in KINDS}
    return Campaign(
        annotators=len(people),
        images=images,
        readers=readers,
        given=sum(given.values()),
        labels=len(sent),
        versions=versions,
        twice=sum(count > readers for count in given.values()),
        again=again,
        forgotten=sum(given[f"image{n:03}", 0] < readers for n in range(images)),
        lost=lost,
        crossed=crossed,
        errors=[error for one in people for error in one.errors],
        seconds=round(seconds, 1),
        requests_per_s=round(sum(map(len, times.values())) / seconds, 2),
        times={kind: _times(found) for kind, found in times.items()},
    )


def _times(seconds: list[float]) -> Times:
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return Times(
        n=len(seconds), p50_s=round(float(p50), 4), p95_s=round(float(p95), 4), worst_s=round(max(seconds), 4)
    )


def _json(**values: Any) -> str:
    return json.dumps(values)


if __name__ == "__main__":
    main()

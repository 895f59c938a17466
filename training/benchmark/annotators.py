r"""Eight annotators at one server: how units are handed out, and whether every label is stored correctly.

    .venv/bin/python training/benchmark/annotators.py --output training/benchmark/results/annotators.json

Each annotator requests the next image, clicks on it and submits a unique label, until nothing is left; over
HTTP, with the default strategy. Then the server's record of every label is compared with the label sent.
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
Key = tuple[str, int]  # image, revision


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Times(_Strict):
    """Durations of one kind of request, seconds."""

    n: int
    p50_s: float
    p95_s: float
    worst_s: float


class Campaign(_Strict):
    """One complete campaign.

    Attributes:
        given: units handed out, counting repetitions.
        labels: acknowledged labels.
        versions: label versions on the server.
        twice: units handed out to more annotators than `readers`.
        again: units handed out twice to one annotator.
        forgotten: units handed out to fewer annotators than `readers`.
        lost: acknowledged labels missing on the server.
        crossed: labels stored with another image, annotator or content than sent.
        errors: rejected or failed requests.
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
    """The result file."""

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
            result = campaign(Path(name), options.annotators, count, readers, small=not options.own_weights)
        report.campaigns.append(result)
        print(result.model_dump_json(), flush=True)
    options.output.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")


def campaign(folder: Path, annotators: int, images: int, readers: int, *, small: bool) -> Campaign:
    """Label `images` pictures with several annotators, `readers` per picture, and check the result."""
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
        threads = [threading.Thread(target=person.work) for person in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        return judge(server, people, images, readers, seconds)
    finally:
        server.stop()


class Person:
    """An annotator: requests the next image, clicks and submits until nothing is left."""

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
            while self._label_next():
                pass
        except (requests.RequestException, KeyError, ValueError) as error:
            self.errors.append(f"{type(error).__name__}: {error}"[:300])

    def _label_next(self) -> bool:
        unit = self._timed("next_sample", "POST", "/activelearning/default", json={"annotator": self.name})
        if not unit:
            return False
        image, frame = unit["id"], unit["frame"]
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
        info = _json(annotator=self.name, clicks=1, model=answer["model"], client_says=f"{self.name} {image}")
        version = self._timed(
            "submit",
            "PUT",
            "/datastore/label",
            params={"image": image, "tag": "final"},
            data={"params": info},
            files={"label": (f"{image}.png", data)},
        )
        self.saved[image, version["revision"]] = made.sha256(data)
        return True

    def _timed(self, kind: str, method: str, path: str, **rest: Any) -> dict[str, Any]:
        began = time.perf_counter()
        answer = self.session.request(method, f"{self.server.url}{path}", timeout=300, **rest)
        self.seconds[kind].append(time.perf_counter() - began)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body


def judge(server: Server, people: list[Person], images: int, readers: int, seconds: float) -> Campaign:
    """Compare the handed-out units and the submitted labels with the server's records."""
    given = Counter(unit for person in people for unit in person.given)
    sent = {key: (person.name, digest) for person in people for key, digest in person.saved.items()}
    stored: dict[Key, dict[str, Any]] = {}
    for n in range(images):
        stored |= _stored(server, f"image{n:03}")
    times = {kind: [second for person in people for second in person.seconds[kind]] for kind in KINDS}
    return Campaign(
        annotators=len(people),
        images=images,
        readers=readers,
        given=sum(given.values()),
        labels=len(sent),
        versions=len(stored),
        twice=sum(count > readers for count in given.values()),
        again=sum(count > 1 for person in people for count in Counter(person.given).values()),
        forgotten=sum(given[f"image{n:03}", 0] < readers for n in range(images)),
        lost=len(sent.keys() - stored.keys()),
        crossed=sum(_crossed(server, key, version, sent.get(key)) for key, version in stored.items()),
        errors=[error for person in people for error in person.errors],
        seconds=round(seconds, 1),
        requests_per_s=round(sum(map(len, times.values())) / seconds, 2),
        times={kind: _times(values) for kind, values in times.items()},
    )


def _stored(server: Server, image: str) -> dict[Key, dict[str, Any]]:
    """The server's label versions of an image."""
    answer = requests.get(f"{server.url}/labels/{image}", timeout=300).json()
    return {(image, version["revision"]): version for version in answer["versions"]}


def _crossed(server: Server, key: Key, version: dict[str, Any], sent: tuple[str, str] | None) -> bool:
    """Whether a stored version differs in annotator, content or image from the label that was sent."""
    image, revision = key
    file = requests.get(f"{server.url}/labels/{image}/{revision}", timeout=300).content
    name = version["annotator"]
    return (name, made.sha256(file)) != sent or version["info"]["client_says"] != f"{name} {image}"


def _times(seconds: list[float]) -> Times:
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return Times(
        n=len(seconds), p50_s=round(float(p50), 4), p95_s=round(float(p95), 4), worst_s=round(max(seconds), 4)
    )


def _json(**values: Any) -> str:
    return json.dumps(values)


if __name__ == "__main__":
    main()

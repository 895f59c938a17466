"""The store's acknowledgements to annotators, and checks that the studies folder still agrees with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from crashes.made import sha256

from uniultra.store.store import LabelStore
from uniultra.store.types import Unit

Complain = Callable[[str], None]


class Acknowledged:
    """Everything that was sent and everything that was acknowledged."""

    def __init__(self) -> None:
        self.saved: dict[tuple[str, int], str] = {}
        self.sent: set[str] = set()
        self.reviews: set[tuple[str, int, str, str]] = set()
        self.skips: dict[tuple[str, str], set[str]] = {}
        self.leases: set[tuple[str, int, str]] = set()
        self.counts: dict[str, int] = {}

    def hear(self, messages: Iterable[tuple[Any, ...]], complain: Complain) -> int:
        """Record an annotator's messages; returns the number of acknowledgements."""
        done = 0
        for message in messages:
            if message[0] == "error":
                complain(f"a process that was not killed ended: {message[1]}")
            elif message[0] == "try":
                self._try(message[1], message[2])
            elif message[0] == "done":
                done += 1
                self.counts[message[1]] = self.counts.get(message[1], 0) + 1
                self._done(message[1], message[2])
        return done

    def _try(self, what: str, of: dict[str, Any]) -> None:
        if what in ("save", "draft"):
            self.sent.add(of["sha256"])
        if what in ("save", "skip", "release"):  # may end the lease even if the process dies in it
            self.leases = {held for held in self.leases if (held[0], held[2]) != (of["image"], of["by"])}
        if what == "skip":
            self.skips.setdefault((of["image"], of["by"]), set()).add("?")

    def _done(self, what: str, of: dict[str, Any]) -> None:
        if what in ("save", "draft"):
            self.saved[of["image"], of["revision"]] = of["sha256"]
        elif what == "review":
            self.reviews.add((of["image"], of["revision"], of["state"], of["comment"]))
        elif what == "skip":
            self.skips[of["image"], of["by"]] = {of["reason"]}
        elif what == "claim":
            self.leases.add((of["image"], of["frame"], of["by"]))


def check(
    store: LabelStore, acknowledged: Acknowledged, complain: Complain, listen: Callable[[], None]
) -> int:
    """Compare everything; returns the number of comparisons. `listen` records new messages of processes."""
    expected, reviews = dict(acknowledged.saved), set(acknowledged.reviews)
    versions = store.versions()
    listen()
    stored = {(version.image, version.revision): version for version in versions}
    for key, digest in expected.items():
        if key not in stored or stored[key].sha256 != digest:
            complain(f"an acknowledged label is lost or changed: {key}")
    for key, version in stored.items():
        if (
            sha256(store.path(version).read_bytes()) != version.sha256
            or version.sha256 not in acknowledged.sent
        ):
            complain(f"a version differs from all sent labels: {key}")
    found = {
        (review.image, review.revision, review.state, review.comment)
        for image in {image for image, _, _, _ in reviews}
        for review in store.reviews(image)
    }
    for review in reviews - found:
        complain(f"an acknowledged review is lost: {review[:3]}")
    _check_work(store, acknowledged, complain)
    trained = store.trainable()
    listen()
    for label in trained:
        data = (store.studies / label.file).read_bytes()
        if sha256(data) != label.sha256 or label.sha256 not in acknowledged.sent:
            complain(f"a training label differs from all sent labels: {label.image}@{label.revision}")
    return len(expected) + len(stored) + len(reviews) + len(trained)


def _check_work(store: LabelStore, acknowledged: Acknowledged, complain: Complain) -> None:
    skipped = store.skipped()
    for (image, who), reasons in acknowledged.skips.items():
        if "?" not in reasons and skipped.get(Unit(image, 0), {}).get(who) not in reasons:
            complain(f"an acknowledged skip is lost: {image}")
    running = store.leases()
    if len({lease.unit for lease in running}) < len(running):
        complain("a unit is leased twice")
    held = {(lease.unit.image, lease.unit.frame, lease.annotator) for lease in running}
    for image, _, _ in acknowledged.leases - held:
        complain(f"an acknowledged lease is lost: {image}")


def check_folder(store: LabelStore, acknowledged: Acknowledged, complain: Complain) -> dict[str, int]:
    """Check the files while no process is running; returns the number of quarantined files by reason."""
    studies, private = store.studies, store.private
    for part in studies.rglob("*.part"):
        if "quarantine" not in part.parts:
            complain("a half-written file remains")
    for folder in (private / "versions").glob("*"):
        names = [path.name for path in folder.iterdir()]
        records = {name.split(".")[0] for name in names if name.count(".") == 1 and name.endswith(".json")}
        masks = {name.split(".")[0] for name in names if not name.endswith(".json")}
        if records != masks:
            complain(f"masks and records do not match: {sorted(records ^ masks)}")
    for (image, tag), version in store.current().items():
        copy = studies / "labels" / tag / f"{image}{version.ext}"
        if not copy.is_file() or sha256(copy.read_bytes()) != version.sha256:
            complain(f"the copy in labels/ is not the latest version: {image}")
    return quarantined(private, complain)


def quarantined(private: Path, complain: Complain) -> dict[str, int]:
    """Number of quarantined files by reason; a file without a reason is a violation."""
    explained: dict[str, str] = {}
    for file in (private / "quarantine").glob("*.json"):
        if file.stem.isdecimal():
            body = json.loads(file.read_bytes())
            explained |= dict.fromkeys(body["files"], body["reason"])
    reasons: dict[str, int] = {}
    for file in (private / "quarantine").glob("*"):
        if file.stem.isdecimal():
            continue
        if file.name not in explained:
            complain(f"a file in quarantine has no reason: {file.suffix}")
            continue
        reason = explained[file.name]
        reasons[reason] = reasons.get(reason, 0) + 1
        if reason not in ("half written", "mask without a record"):
            complain(f"a kill left: {reason}")
    return reasons

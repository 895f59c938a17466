"""Flips single bits and truncates files of a campaign, and checks that the damage is noticed."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from crashes import made
from crashes.schema import Damage, Outcome, Violation

from uniultra.errors import UniUltraError
from uniultra.store.errors import NotFoundError
from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion, State, TrainingLabel
from uniultra.weights import bundle, loading
from uniultra.weights.deployed import CURRENT, Published

MODEL = "uniultra_mini"
PICTURES = 4
FILES = {
    "label": "versions/*/*.png",
    "record": "versions/*/[0-9].json",
    "review": "versions/*/*.review-*.json",
    "index": "index.sqlite",
    "journal": "journal.jsonl",
}


def work(violations: list[Violation], count: int, seed: int) -> dict[str, Damage]:
    """`count` flips and half as many truncations in each kind of file."""
    with tempfile.TemporaryDirectory() as name:
        labels = LabelDamage(violations, Path(name), seed)
        damage = {kind: labels.run(kind, count) for kind in FILES}
        bundles = BundleDamage(violations, Path(name), seed)
        return damage | {"bundle": bundles.run(count)}


def spoil(path: Path, chance: random.Random, truncate: bool, silent: bool) -> None:
    """Damage a file; `silent` keeps its modification time, as a failing disk does."""
    stat, data = path.stat(), bytearray(path.read_bytes())
    if truncate:
        del data[chance.randrange(len(data)) :]
    else:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    if silent:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


class LabelDamage:
    """Damages a label store's files and then opens the store.

    Args:
        violations: list that found violations are appended to.
        folder: working folder.
        seed: seeds all random choices.
    """

    def __init__(self, violations: list[Violation], folder: Path, seed: int) -> None:
        self.violations, self.seed, self.number = violations, seed, 0
        self.whole, self.hurt = folder / "whole", folder / "hurt"
        made.pictures(self.whole, PICTURES)
        (self.whole / "campaign.yaml").write_text("labels: [{name: one, index: 1}, {name: two, index: 2}]\n")
        store, scratch = LabelStore(self.whole), folder / "label.png"
        for n in range(2 * PICTURES):
            scratch.write_bytes(made.mask(n % PICTURES, (n,)))
            store.save(f"image{n % PICTURES:03}", scratch, annotator=("anna", "ben")[n % 2])
        groups = {label.image: label.group for label in store.trainable()}
        store.review("image000", 2, "approved", "rita")
        store.review("image001", 2, "returned", "rita", "too small")
        store.skip(store.units()[2], "ben", "unsure")
        self.versions, self.states, self.trained = self._answers(store)
        self.truth = {key: _as_trained(version, groups) for key, version in self.versions.items()}
        self.skips = store.skipped()
        store.index.close()

    def run(self, kind: str, count: int) -> Damage:
        """Damage one kind of file."""
        found, chance = Damage(), random.Random(f"{self.seed} {kind}")
        for n in range(count + count // 2):
            self.number, truncate = n, n >= count
            outcome = self._damage(kind, chance, truncate)
            found.truncations += truncate
            found.flips += not truncate
            setattr(found, outcome, getattr(found, outcome) + 1)
        return found

    def _damage(self, kind: str, chance: random.Random, truncate: bool) -> Outcome:
        shutil.rmtree(self.hurt, ignore_errors=True)
        shutil.copytree(self.whole, self.hurt)
        private = self.hurt / ".uniultra"
        path = chance.choice(sorted(private.glob(FILES[kind])))
        rebuilt, silent = chance.random() < 0.5, chance.random() < 0.5
        if rebuilt and kind != "index":
            for file in private.glob("index.sqlite*"):
                file.unlink()
        spoil(path, chance, truncate, silent)
        how = f"{'truncated' if truncate else 'flipped'} {kind} {path.name}, {'index lost, ' * rebuilt}"
        store = LabelStore(self.hurt)
        try:
            return self._judge(store, kind, how)
        except UniUltraError:
            return "noticed"  # the store refuses to work
        finally:
            store.index.close()

    def _judge(self, store: LabelStore, kind: str, how: str) -> Outcome:
        wrong = self._wrong(store)
        reported = bool(store.problems()) or any(store.private.glob("index.damaged-*"))
        lost = {key for key in self.versions if key not in self._answers(store)[0]}
        # One damaged file costs one version at most.
        if len(lost) > (kind in ("label", "record")):
            wrong.append(f"good labels are gone: {sorted(lost)}")
        elif lost and not reported:
            wrong.append("a label is gone without a reported problem")
        for what in wrong:
            self.violations.append(
                Violation(part="damage", seed=self.seed, number=self.number, what=f"{how}: {what}")
            )
        if wrong:
            return "changed"
        return "noticed" if reported else "same"

    def _wrong(self, store: LabelStore) -> list[str]:
        """All differences between the store's answers and the saved state."""
        if problem := self._wrong_training_label(store):
            return [problem]
        versions, states, _ = self._answers(store)
        skips, whole = store.skipped(), not store.problems()
        differences = {
            "a record has changed": any(map(self._record_changed, versions, versions.values())),
            "a state has changed": whole
            and any(states[key] != self.states[key] for key in versions if key in states),
            "a skip has changed": any(self.skips.get(unit) != by for unit, by in skips.items()),
            "a skip is gone without a reported problem": whole and len(skips) < len(self.skips),
        }
        return [text for text, differs in differences.items() if differs]

    def _wrong_training_label(self, store: LabelStore) -> str | None:
        for label in store.trainable():
            key = (label.image, label.revision)
            if key not in self.truth and self._was_beside(label):
                continue
            if label != self.truth.get(key):
                return f"another label to train on: {key}"
            if made.sha256((store.studies / label.file).read_bytes()) != label.sha256:
                return f"a damaged label to train on: {key}"
            if self.states[key] in ("returned", "flagged"):
                return f"a label to train on that a reviewer returned: {key}"
        return None

    def _record_changed(self, key: tuple[str, int], version: LabelVersion) -> bool:
        """Whether a version differs from the saved version; a label found in labels/ is a new version."""
        saved = self.versions.get(key)
        return not version.info.get("by_hand") if saved is None else saved != version

    def _was_beside(self, label: TrainingLabel) -> bool:
        """Whether it is the intact copy in labels/ of a damaged version, which the store adopts."""
        return any(label.image == of and label.sha256 == v.sha256 for (of, _), v in self.versions.items())

    def _answers(
        self, store: LabelStore
    ) -> tuple[dict[tuple[str, int], LabelVersion], dict[tuple[str, int], State], list[TrainingLabel]]:
        for version in store.versions():
            try:
                store.verified(version)
            except NotFoundError:
                continue
        versions = {(version.image, version.revision): version for version in store.versions()}
        return versions, store.states(), store.trainable()


def _as_trained(version: LabelVersion, groups: dict[str, str]) -> TrainingLabel:
    """The training label of a version."""
    return TrainingLabel(
        image=version.image,
        revision=version.revision,
        sha256=version.sha256,
        source=version.source,
        file=f".uniultra/versions/{version.image}/{version.revision}{version.ext}",
        frames=version.frames,
        names={index: name for name, index in version.labels.items()},
        group=groups[version.image],
    )


class BundleDamage:
    """Damages a published bundle's files and then loads it as a server does."""

    def __init__(self, violations: list[Violation], folder: Path, seed: int) -> None:
        self.violations, self.seed = violations, seed
        self.studies, self.weights = folder / "bundles", folder / "weights"

    def run(self, count: int) -> Damage:
        """Damage the bundle's files and `current.json`."""
        before = os.environ.get("UNIULTRA_WEIGHTS")
        os.environ["UNIULTRA_WEIGHTS"] = str(self.weights)
        try:
            return self._run(count)
        finally:
            os.environ.pop("UNIULTRA_WEIGHTS")
            if before is not None:
                os.environ["UNIULTRA_WEIGHTS"] = before

    def _run(self, count: int) -> Damage:
        published = self._publish()
        current = published.read()
        folder = published.path(str(current.models[MODEL]))
        plain = bundle.describe(folder)
        found, chance = Damage(), random.Random(f"{self.seed} bundle")
        files = [folder / bundle.WEIGHTS, folder / bundle.CONFIG, folder / bundle.MANIFEST]
        for n in range(count + count // 2):
            path, truncate = chance.choice([*files, published.folder / CURRENT]), n >= count
            data = path.read_bytes()
            spoil(path, chance, truncate, silent=True)

            def use() -> bool:
                now = published.read()
                loading.assemble(published.path(str(now.models.get(MODEL))), name=MODEL)
                return now == current and bundle.describe(folder) == plain

            outcome = _outcome(use)
            if outcome == "changed":
                what = f"{'truncated' if truncate else 'flipped'} {path.name}: its content has changed"
                self.violations.append(Violation(part="damage", seed=self.seed, number=n, what=what))
            path.write_bytes(data)
            found.truncations += truncate
            found.flips += not truncate
            setattr(found, outcome, getattr(found, outcome) + 1)
        return found

    def _publish(self) -> Published:
        """A bundle of a few tensors over random weights."""
        import torch

        made.small_weights(self.weights)
        network, digest = loading.load(MODEL)
        name = next(name for name, _ in network.named_parameters() if "mask_decoder" in name)
        with torch.no_grad():
            dict(network.named_parameters())[name].add_(0.01)
        bundle.save(
            self.studies / "new", network, MODEL, over=(digest, ("mask_decoder",)), metrics={"gain": 0.1}
        )
        published = Published(self.studies)
        published.publish(self.studies / "new")
        return published


def _outcome(use: Callable[[], bool]) -> Outcome:
    try:
        return "same" if use() else "changed"
    except UniUltraError:
        return "noticed"

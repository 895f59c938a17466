"""A process that labels, reviews, skips and claims until it is killed, and reports the store's answers."""

from __future__ import annotations

import random
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from crashes import made

from uniultra.errors import UniUltraError
from uniultra.store.store import LabelStore
from uniultra.store.types import Unit

OPERATIONS = {"save": 10, "draft": 2, "claim": 5, "review": 4, "skip": 1, "release": 1}


def work(pipe: Connection, studies: str, seed: int, count: int) -> None:
    """Work on `count` pictures; sends a message before and after each operation."""
    pipe.send(("alive",))
    try:
        _work(pipe, LabelStore(Path(studies)), random.Random(seed), f"a{seed}", count)
    except (UniUltraError, OSError) as error:
        pipe.send(("error", f"{type(error).__name__}: {error}"))


def _work(pipe: Connection, store: LabelStore, chance: random.Random, name: str, count: int) -> None:
    scratch = store.studies.parent / f"{name}.png"
    own_labels: list[tuple[str, int]] = []
    n = 0
    while True:
        n += 1
        what = chance.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]
        place = chance.randrange(count)
        image = f"image{place:03}"
        done: dict[str, Any] = {"image": image}
        if what in ("save", "draft"):
            data = made.mask(place, (int(name[1:]), n))
            scratch.write_bytes(data)
            digest, tag = made.sha256(data), "draft" if what == "draft" else "final"
            pipe.send(("try", what, {"image": image, "sha256": digest, "by": name}))
            version = store.save(image, scratch, tag=tag, annotator=name, info={"n": n})
            done |= {"revision": version.revision, "sha256": digest, "tag": tag, "by": name}
            own_labels += [(image, version.revision)] if tag == "final" else []
        elif what == "review":
            if not own_labels:
                continue
            image, revision = chance.choice(own_labels)
            state = chance.choice(("approved", "returned", "flagged", "final"))
            done = {"image": image, "revision": revision, "state": state, "by": name, "comment": str(n)}
            pipe.send(("try", what, done))
            store.review(image, revision, state, name, str(n))
        elif what == "claim":
            pipe.send(("try", what, {"by": name}))
            order = store.unlabelled(name)
            chance.shuffle(order)
            lease = store.claim(order, name)
            if lease is None:
                continue
            done = {"image": lease.unit.image, "frame": lease.unit.frame, "by": name}
        else:
            pipe.send(("try", what, {"image": image, "by": name}))
            unit = Unit(image, 0)
            if what == "skip":
                store.skip(unit, name, f"reason {n}")
                done |= {"by": name, "reason": f"reason {n}"}
            else:
                store.release(unit, name)
                done |= {"by": name}
        pipe.send(("done", what, done))

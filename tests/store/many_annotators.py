"""Many annotators at one studies folder."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from factories import write_campaign

from uniultra.store.store import LabelStore
from uniultra.store.types import Unit


def share(studies: Path, url: str | None, label: Path, readers: int = 1) -> None:
    """Eight annotators, each with a store of its own as processes have, label all that there is."""
    write_campaign(studies, readers=readers)
    given: list[tuple[Unit, str]] = []

    def work(who: str) -> None:
        store = LabelStore(studies, url)
        while (lease := store.claim(store.unlabelled(who), who)) is not None:
            given.append((lease.unit, who))
            store.save(lease.unit.image, label, annotator=who, info={"for": lease.unit.image})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, (f"a{n}" for n in range(8))))  # raises what one of them raised
    store = LabelStore(studies, url)
    assert set(Counter(unit for unit, _ in given).values()) == {readers}, "no unit twice, none forgotten"
    assert len(set(given)) == len(given), "no annotator had a unit twice"
    assert store.unlabelled() == [] and len(store.versions()) == len(given)
    assert all(v.info["for"] == v.image for v in store.versions()), "no mask crossed"

"""Many annotators at one studies folder."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from factories import write_campaign

from uniultra.store.store import LabelStore
from uniultra.store.types import Unit


def share(studies: Path, url: str | None, label: Path, readers: int = 1) -> None:
    """Eight annotators, each with a store of its own as processes have, label all that there is."""
    write_campaign(studies, readers=readers)
    given: list[tuple[Unit, str]] = []
    errors: list[BaseException] = []

    def work(who: str) -> None:
        try:
            store = LabelStore(studies, url)
            while (lease := store.claim(store.unlabelled(who), who)) is not None:
                given.append((lease.unit, who))
                store.save(lease.unit.image, label, annotator=who, info={"for": lease.unit.image})
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"a{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    store = LabelStore(studies, url)
    assert set(Counter(unit for unit, _ in given).values()) == {readers}, "no unit twice, none forgotten"
    assert len(set(given)) == len(given), "no annotator had a unit twice"
    assert store.unlabelled() == [] and len(store.versions()) == len(given)
    assert all(v.info["for"] == v.image for v in store.versions()), "no mask crossed"

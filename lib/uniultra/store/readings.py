"""The newest label of each reader of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uniultra.store.types import LabelVersion
from uniultra.store.work import FINAL

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore


def readings(store: LabelStore, image: str | None = None) -> dict[str, list[LabelVersion]]:
    """By image, each annotator's newest final version that was not returned or flagged, by annotator."""
    newest: dict[tuple[str, str], LabelVersion] = {}
    for version in store.versions(image):
        if version.tag == FINAL:
            newest[version.image, version.annotator] = version
    states = store.states(image)  # after the versions: one may be saved meanwhile
    found: dict[str, list[LabelVersion]] = {}
    for (of, _), version in sorted(newest.items()):
        if states[of, version.revision] in ("final", "approved"):
            found.setdefault(of, []).append(version)
    return found

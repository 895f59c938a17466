"""How a campaign stands, in numbers."""

from __future__ import annotations

from collections import Counter
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from uniultra.errors import UniUltraError
from uniultra.store.review.readings import by_reader
from uniultra.store.types import FINAL, LabelVersion

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore


def status(store: LabelStore) -> dict[str, Any]:
    """What `uniultra campaign status --json` prints.

    `units` are what is handed out: a still, a volume or a frame of a cine. `labelled`, `leased`, `started`
    (some reader or a draft has it) and `left` add up to `units`; `skipped` counts those of the others that
    somebody passed over.

    Raises:
        StoreError, CampaignError: the store or the campaign file cannot be used.
    """
    store.ready()
    units = store.units()
    with store.index.reading() as connection:
        board = store.work_list(connection)
    drafts = {version.image for (_, tag), version in store.current().items() if tag == "draft"}
    places: Counter[str] = Counter()
    skipped = store.skipped()
    for unit in units:
        if board.done(unit):
            places["labelled"] += 1
            continue
        places["skipped"] += unit in skipped
        if board.leased.get(unit):
            places["leased"] += 1
        elif board.states(unit) or unit.image in drafts:
            places["started"] += 1
        else:
            places["left"] += 1
    campaign = store.campaign
    return {
        "campaign": campaign.name,
        "structures": [label.name for label in campaign.labels],
        "readers": campaign.readers,
        "trains": campaign.trains,
        "images": len(store.images.listed()),
        "units": len(units),
        **{place: places[place] for place in ("labelled", "leased", "started", "left", "skipped")},
        "trainable": len({label.image for label in store.trainable()}),
        "states": _states(store),
        "annotators": _annotators(store),
        "agreement": _agreement(store) if campaign.readers > 1 else None,
        "problems": [problem.model_dump(mode="json") for problem in store.problems()],
        "adapters": _adapters(store),
    }


def _states(store: LabelStore) -> dict[str, int]:
    """How many versions there are of each state; a model's proposals are not counted."""
    states = store.states()
    people = [version for version in store.versions() if version.tag != "original"]
    return dict(sorted(Counter(states[one.image, one.revision] for one in people).items()))


def _annotators(store: LabelStore) -> list[dict[str, Any]]:
    """Each person's newest labels, and what they cost where a client said so; most labels first."""
    newest: dict[tuple[str, str], LabelVersion] = {}
    for version in store.versions():
        if version.tag == FINAL:
            newest[version.annotator, version.image] = version
    held = Counter(lease.annotator for lease in store.leases())
    names = {annotator for annotator, _ in newest} | set(held)
    found = []
    for name in names:
        mine = [version for (annotator, _), version in newest.items() if annotator == name]
        seconds = [v.origin.seconds for v in mine if v.origin.seconds is not None]
        clicks = [v.origin.clicks for v in mine if v.origin.clicks is not None]
        found.append(
            {
                "name": name,
                "labelled": len(mine),
                "leased": held[name],
                "seconds": median(seconds) if seconds else None,
                "clicks": median(clicks) if clicks else None,
            }
        )
    return sorted(found, key=lambda one: (-one["labelled"], one["name"]))


def _agreement(store: LabelStore) -> dict[str, Any]:
    """Over all pairs of readers of an image: mean Dice, and HD95 by its unit."""
    images, dices, distances = 0, list[float](), dict[str, list[float]]()
    for image, known in store.readings().items():
        if len(by_reader(known)) < 2:
            continue
        try:
            found = store.agreement(image)
        except UniUltraError:
            continue  # an image that is gone
        images += bool(found)
        dices += [one.dice for one in found]
        for one in found:
            if one.hd95 is not None:
                distances.setdefault(one.unit, []).append(one.hd95)
    return {
        "images": images,
        "dice": fmean(dices) if dices else None,
        "hd95": {unit: fmean(values) for unit, values in sorted(distances.items())},
    }


def _adapters(store: LabelStore) -> dict[str, str | None] | None:
    """Which adapter each model answers with; None where that cannot be read."""
    from uniultra.weights.deployed import Published  # torch is slow to import

    try:
        return dict(Published(store.studies).read().models)
    except UniUltraError:
        return None

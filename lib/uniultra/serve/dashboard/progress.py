"""How far the campaign is."""

from __future__ import annotations

from collections import Counter

from uniultra.serve.dashboard.facts import Facts
from uniultra.serve.dashboard.schema import Progress


def progress(facts: Facts) -> Progress:
    """Units by what has become of them; see `Progress`."""
    board = facts.board
    unfinished = {one.image for one in facts.newest().values() if facts.state(one) == "draft"}
    places: Counter[str] = Counter()
    for unit in facts.units:
        states = board.states(unit)
        found = set(states.values())
        places["returned"] += "returned" in found
        places["flagged"] += "flagged" in found
        places["drafts"] += unit.image in unfinished
        if board.done(unit):
            places["labelled"] += 1
            places["approved"] += "approved" in found
            continue
        places["skipped"] += unit in facts.skipped
        if board.leased.get(unit):
            places["leased"] += 1
        elif states or unit.image in unfinished:
            places["started"] += 1
        else:
            places["left"] += 1
    names = [name for name in Progress.model_fields if name not in ("images", "units")]
    counts = {name: places[name] for name in names}
    return Progress(images=len(facts.images), units=len(facts.units), **counts)

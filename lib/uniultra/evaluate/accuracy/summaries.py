"""From scores of pictures to means of sets, their intervals, and differences between systems."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import RequestError
from uniultra.evaluate.accuracy.protocol import overlap_of
from uniultra.evaluate.accuracy.schema import Interval, Jitter, Organs, PictureScore, SetScore
from uniultra.metrics.intervals import Estimate, mean_interval

Scores = Sequence[PictureScore]
# What a prompt-free system's one answer is put beside.
PROMPT_FREE = ("@1", "@5", "_box", "_box_noisy", "_scribble")
DISTANCES = ("hd95_px", "hd95_mm", "assd_px", "assd_mm")


def by_set(scores: Scores) -> dict[str, list[PictureScore]]:
    """The pictures of each set, in the order in which the sets come."""
    found: dict[str, list[PictureScore]] = {}
    for one in scores:
        found.setdefault(one.dataset, []).append(one)
    return found


def set_score(scores: Scores, trained_on: Iterable[str] | None) -> SetScore:
    """Means of one set's pictures with their intervals, over patients and over the seeds of what is drawn.

    Args:
        scores: of one set, not empty.
        trained_on: sets that the system was trained on, None when not known.
    """
    name = scores[0].dataset
    labelled = [one for one in scores if one.values]
    estimates = {key: estimate(labelled, key) for key in keys(labelled)}
    known = {key: found for key, found in estimates.items() if found is not None}
    return SetScore(
        n=len(labelled),
        n_empty=len(scores) - len(labelled),
        n_marked_empty=sum(marked)
        if (marked := [s.marked for s in scores if s.marked is not None])
        else None,
        n_no_distance=sum(one.values.get("hd95_px", 0) is None for one in labelled),
        seen=None if trained_on is None else name in trained_on,
        overlap=overlap_of(name),
        intervals={key: bounds(found) for key, found in known.items()},
        **{key: found.mean for key, found in known.items()},  # type: ignore[arg-type]
    )


def keys(scores: Scores) -> list[str]:
    """All keys that any of the pictures has, in order."""
    return list(dict.fromkeys(key for one in scores for key in (*one.values, *one.repeated)))


def column(scores: Scores, key: str) -> NDArray[np.float64]:
    """The values of one key, `(seeds, pictures)`; NaN where a picture has none."""
    seeds = max((len(one.repeated.get(key, ())) for one in scores), default=0)
    if not seeds:
        single = [one.values.get(key) for one in scores]
        return np.asarray([[np.nan if value is None else value for value in single]], float)
    blank = (np.nan,) * seeds
    return np.asarray([one.repeated.get(key, blank) for one in scores], float).T


def estimate(scores: Scores, key: str) -> Estimate | None:
    """Mean of one key with its interval; None where no picture has it."""
    values = column(scores, key)
    if not values.size or np.isnan(values).all():
        return None
    return mean_interval(values, [one.group for one in scores])


def difference(first: Scores, second: Scores, key: str, other_key: str | None = None) -> Estimate | None:
    """Mean of `first` minus `second`, paired by picture and, as both were given the same prompts, by seed.

    Args:
        first, second: of one set each.
        key: of the first; `other_key` of the second where it is another one.

    Returns:
        None where no picture has both.

    Raises:
        RequestError: the two scored different pictures.
    """
    if [one.id for one in first] != [one.id for one in second]:
        raise RequestError("Expected two systems scored on the same pictures; got different ones.")
    tables = column(first, key), column(second, other_key or key)
    apart = tables[0] - tables[1]  # where one was asked once, its answer stands beside all of the other's
    return None if np.isnan(apart).all() else mean_interval(apart, [one.group for one in first])


def differences(first: Scores, second: Scores) -> dict[str, dict[str, Estimate]]:
    """By set and key, all differences of two systems that both have."""
    mine, others = by_set(first), by_set(second)
    found: dict[str, dict[str, Estimate]] = {}
    for name, scores in mine.items():
        overlap, other = overlap_of(name), others[name]
        there = set(keys(other))
        pairs = [(key, key) for key in keys(scores) if key in there and "ellipse" not in key]
        alone = f"{overlap}_none_target"
        if alone in there and alone not in keys(scores):
            pairs += [(f"{overlap}{prompt}", alone) for prompt in PROMPT_FREE]
        compared = {key: difference(scores, other, key, other_key) for key, other_key in pairs}
        found[name] = {key: one for key, one in compared.items() if one is not None}
    return found


def jitter(scores: Scores) -> dict[str, dict[str, Jitter]]:
    """By set and kind of prompt, what a shaky hand costs."""
    found: dict[str, dict[str, Jitter]] = {}
    for name, mine in by_set(scores).items():
        overlap = overlap_of(name)
        pairs = {
            "click": (f"{overlap}@1", f"{overlap}@1_jittered"),
            "box": (f"{overlap}_box", f"{overlap}_box_noisy"),
        }
        for kind, (clean, moved) in pairs.items():
            before, after = estimate(mine, clean), estimate(mine, moved)
            cost = difference(mine, mine, clean, moved)
            if before and after and cost:
                found.setdefault(name, {})[kind] = Jitter(clean=before, jittered=after, difference=cost)
    return found


def organs(sets: dict[str, SetScore]) -> dict[str, Organs]:
    """Means of the sets' means, seen and unseen ones apart."""
    found = {}
    for title, seen in (("seen", True), ("unseen", False), ("unknown", None)):
        mine = {
            name: one for name, one in sets.items() if one.seen is seen and one.overlap == "dice" and one.n
        }
        if mine:
            tables = [one.means for one in mine.values()]
            shared = [key for key in tables[0] if all(key in table for table in tables)]
            means = {key: statistics.fmean(table[key] for table in tables) for key in shared}
            found[title] = Organs(sets=tuple(mine), means=means)
    return found


def bounds(found: Estimate) -> Interval | None:
    """`[low, high]`, None where there was nothing to resample."""
    return None if found.low is None or found.high is None else (found.low, found.high)

"""Statistics of the accuracy benchmark: means per set, differences between systems, groups of sets."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator

from uniultra.evaluate.accuracy.schema import Jitter, Organs, SetScore
from uniultra.evaluate.scoring import overlap_of
from uniultra.evaluate.summaries import Scores, by_set, difference, estimate, keys, summarise
from uniultra.metrics.intervals import Estimate

# The prompts that a prompt-free system's single answer is compared with.
PROMPT_FREE = ("@1", "@5", "_box", "_box_noisy", "_scribble")


def set_score(scores: Scores, trained_on: Iterable[str] | None) -> SetScore:
    """Means over one set with their intervals, over patients and over the seeds of random prompts.

    Args:
        scores: of one set, not empty.
        trained_on: sets that the system was trained on; None if unknown.
    """
    name = scores[0].dataset
    labelled = [picture for picture in scores if picture.values]
    marked = [picture.marked for picture in scores if picture.marked is not None]
    estimates = summarise([labelled]) if labelled else {}
    return SetScore(
        n=len(labelled),
        n_empty=len(scores) - len(labelled),
        n_marked_empty=sum(marked) if marked else None,
        n_no_distance=sum(picture.values.get("hd95_px", 0) is None for picture in labelled),
        seen=None if trained_on is None else name in trained_on,
        overlap=overlap_of(name),
        intervals={
            key: None if e.low is None or e.high is None else (e.low, e.high) for key, e in estimates.items()
        },
        **{key: estimate.mean for key, estimate in estimates.items()},  # type: ignore[arg-type]
    )


def differences(first: Scores, second: Scores) -> dict[str, dict[str, Estimate]]:
    """By set and key, the paired differences of two systems, for the keys they share."""
    others = by_set(second)
    return {
        name: {
            key: paired
            for key, other_key in _shared_keys(scores, others[name])
            if (paired := difference([scores], [others[name]], key, other_key))
        }
        for name, scores in by_set(first).items()
    }


def _shared_keys(first: Scores, second: Scores) -> Iterator[tuple[str, str]]:
    """Keys to compare two systems by; a prompt-free system's single answer stands for every prompt's."""
    overlap = overlap_of(first[0].dataset)
    own, others = keys(first), keys(second)
    yield from ((key, key) for key in own if key in others and "ellipse" not in key)
    target = f"{overlap}_none_target"
    if target in others and target not in own:
        yield from ((f"{overlap}{prompt}", target) for prompt in PROMPT_FREE)


def jitter(scores: Scores) -> dict[str, dict[str, Jitter]]:
    """By set and kind of prompt, the loss from jittered prompts."""
    costs: dict[str, dict[str, Jitter]] = {}
    for name, pictures in by_set(scores).items():
        overlap, runs = overlap_of(name), [pictures]
        for kind, clean, jittered in (("click", "@1", "@1_jittered"), ("box", "_box", "_box_noisy")):
            pair = f"{overlap}{clean}", f"{overlap}{jittered}"
            before, after = (estimate(runs, key) for key in pair)
            cost = difference(runs, runs, *pair)
            if before and after and cost:
                costs.setdefault(name, {})[kind] = Jitter(clean=before, jittered=after, difference=cost)
    return costs


def organs(sets: dict[str, SetScore]) -> dict[str, Organs]:
    """Means of the sets' means, separately for sets seen and not seen in training."""
    groups = {}
    for title, seen in (("seen", True), ("unseen", False), ("unknown", None)):
        means = {
            name: score.means
            for name, score in sets.items()
            if score.seen is seen and score.overlap == "dice" and score.n
        }
        if means:
            first, *rest = means.values()
            shared = [key for key in first if all(key in other for other in rest)]
            means_of = {key: statistics.fmean(m[key] for m in means.values()) for key in shared}
            groups[title] = Organs(sets=tuple(means), means=means_of)
    return groups

"""What the benchmark makes of its scores: means of sets, differences between systems, groups of sets."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator

from uniultra.evaluate.accuracy.schema import Jitter, Organs, SetScore
from uniultra.evaluate.scoring import overlap_of
from uniultra.evaluate.summaries import Scores, by_set, difference, estimate, keys, summarise
from uniultra.metrics.intervals import Estimate

# What a prompt-free system's one answer is put beside.
PROMPT_FREE = ("@1", "@5", "_box", "_box_noisy", "_scribble")


def set_score(scores: Scores, trained_on: Iterable[str] | None) -> SetScore:
    """Means of one set's pictures with their intervals, over patients and over the seeds of what is drawn.

    Args:
        scores: of one set, not empty.
        trained_on: sets that the system was trained on, None when not known.
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
            key: None if found.low is None or found.high is None else (found.low, found.high)
            for key, found in estimates.items()
        },
        **{key: found.mean for key, found in estimates.items()},  # type: ignore[arg-type]
    )


def differences(first: Scores, second: Scores) -> dict[str, dict[str, Estimate]]:
    """By set and key, all differences of two systems that both have."""
    others = by_set(second)
    return {
        name: {
            key: found
            for key, other_key in _shared_keys(scores, others[name])
            if (found := difference([scores], [others[name]], key, other_key))
        }
        for name, scores in by_set(first).items()
    }


def _shared_keys(first: Scores, second: Scores) -> Iterator[tuple[str, str]]:
    """Keys to compare two systems by; a prompt-free system's one answer stands for any prompt's."""
    overlap = overlap_of(first[0].dataset)
    own, others = keys(first), keys(second)
    yield from ((key, key) for key in own if key in others and "ellipse" not in key)
    target = f"{overlap}_none_target"
    if target in others and target not in own:
        yield from ((f"{overlap}{prompt}", target) for prompt in PROMPT_FREE)


def jitter(scores: Scores) -> dict[str, dict[str, Jitter]]:
    """By set and kind of prompt, what a shaky hand costs."""
    costs: dict[str, dict[str, Jitter]] = {}
    for name, pictures in by_set(scores).items():
        overlap, runs = overlap_of(name), [pictures]
        for kind, clean, moved in (("click", "@1", "@1_jittered"), ("box", "_box", "_box_noisy")):
            pair = f"{overlap}{clean}", f"{overlap}{moved}"
            before, after = (estimate(runs, key) for key in pair)
            cost = difference(runs, runs, *pair)
            if before and after and cost:
                costs.setdefault(name, {})[kind] = Jitter(clean=before, jittered=after, difference=cost)
    return costs


def organs(sets: dict[str, SetScore]) -> dict[str, Organs]:
    """Means of the sets' means, seen and unseen ones apart."""
    groups = {}
    for title, seen in (("seen", True), ("unseen", False), ("unknown", None)):
        means = {
            name: score.means
            for name, score in sets.items()
            if score.seen is seen and score.overlap == "dice" and score.n
        }
        if means:
            shared = [key for key in next(iter(means.values())) if all(key in one for one in means.values())]
            groups[title] = Organs(
                sets=tuple(means),
                means={key: statistics.fmean(one[key] for one in means.values()) for key in shared},
            )
    return groups

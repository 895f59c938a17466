"""Results of the accuracy benchmark as a Markdown page, and in short for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from uniultra.evaluate.accuracy.schema import Accuracy, Cost, SetScore
from uniultra.evaluate.markdown import bounded, interval, millions, number, page, section, table
from uniultra.evaluate.obedience import at_most
from uniultra.evaluate.scoring import CLICKS, THRESHOLDS

PROMPTS = {
    **{f"@{k}": "1 click" if k == 1 else f"{k} clicks" for k in CLICKS},
    "_box": "tight box",
    "_box_noisy": "noisy box",
    "_scribble": "scribble",
    "_none_target": "no prompt",
}
COUNTS = {f"{kind.lower()}{share}": f"{kind}@{share}" for kind in ("NoC", "NoF") for share in THRESHOLDS}
DISTANCES = {
    f"{name}_{unit}{end}": f"{name.upper()} {unit}, {title}"
    for end, title in (("@1", "1 click"), ("@5", "5 clicks"), ("", "box"))
    for name in ("hd95", "assd")
    for unit in ("px", "mm")
}
OVERVIEW = {
    "dice@1": "1 click",
    "dice@5": "5 clicks",
    "dice_box": "tight box",
    "ellipse_box": "ellipse in the box",
    "noc85": "NoC@85",
}
NAMES = {"dice": "Dice", "nsd": "surface Dice"}
SEEN = {True: "seen in training", False: "not seen in training", None: "unknown whether seen in training"}
GROUPS = {"seen": "Sets seen in training", "unseen": "Sets not seen", "unknown": "Sets"}


def render(accuracy: Accuracy) -> str:
    """The whole page."""
    return page(
        [
            _head(accuracy),
            *section("## Overview", "", _overview(accuracy)),
            *(part for name in accuracy.sets for part in _set(accuracy, name)),
            *_robustness(accuracy),
            *_calibration(accuracy),
            *_obedience(accuracy),
            *section("## Cost", f"Threads: {accuracy.machine.threads}.", _costs(accuracy)),
            "\n".join(f"- Not measured: {name}. {why}" for name, why in accuracy.missing.items()),
        ]
    )


def short(accuracy: Accuracy) -> str:
    """The main numbers as text."""
    head = f"{'set':22}{'n':>5}{'empty':>7}{'@1':>8}{'@5':>8}{'box':>8}{'ellipse':>9}{'NoC85':>8}"
    lines = [head]
    for name, score in accuracy.sets.items():
        o = score.overlap
        ellipse = "ellipse_box" if o == "dice" else "nsd_ellipse_box"
        widths = {f"{o}@1": 8, f"{o}@5": 8, f"{o}_box": 8, ellipse: 9, "noc85": 8}
        text = "".join(f"{number(score.means.get(key)):>{width}}" for key, width in widths.items())
        lines.append(
            f"{name:22}{score.n:5}{score.n_empty:7}{text}" + ("  (surface Dice)" if o == "nsd" else "")
        )
    return "\n".join(lines)


def _head(accuracy: Accuracy) -> str:
    model, rule = accuracy.model, accuracy.protocol
    trained = ", ".join(model.trained_on) if model.trained_on else "not known"
    limit = f", the first {accuracy.limit} pictures of each set" if accuracy.limit else ""
    return (
        f"# Accuracy of {model.name}\n\n"
        f"Weights `{(model.sha256 or '')[:12]}`, input {model.image_size} px, trained on {trained}. Split "
        f"`{accuracy.split}`{limit}; uniultra {accuracy.uniultra}, {accuracy.made}, "
        f"{accuracy.machine.processor}.\n\n"
        f"Target and component rule: {accuracy.component_rule}. Means with 95 % bootstrap intervals over "
        "patients, where the manifest knows them, else over its groups. "
        f"Up to {rule.clicks} clicks; {rule.seeds} noisy boxes (sides moved by up to "
        f"{100 * rule.box_jitter:.0f} %) and scribbles an object. Definitions: docs/benchmark.md. "
        "Research use."
    )


def _overview(accuracy: Accuracy) -> str:
    lines = []
    for group, organs in accuracy.organs.items():
        for name in organs.sets:
            score = accuracy.sets[name]
            cells = (_mean(score, key, 2 if key == "noc85" else 3) for key in OVERVIEW)
            lines.append((name, SEEN[score.seen], f"{score.n} (+{score.n_empty} empty)", *cells))
        means = (number(organs.means.get(key)) for key in OVERVIEW)
        lines.append((f"**mean of {len(organs.sets)}**", GROUPS[group].lower(), "", *means))
    return table(("set", "", "pictures", *OVERVIEW.values()), lines)


def _set(accuracy: Accuracy, name: str) -> list[str]:
    score = accuracy.sets[name]
    if not score.n:
        return [f"## {name}", f"No picture with a label; {score.n_empty} empty."]
    systems = {f"**{accuracy.model.name}**": score}
    systems |= {other.title: other.sets[name] for other in accuracy.alternatives.values()}
    prompts = {f"{score.overlap}{end}": title for end, title in PROMPTS.items()}
    lines = (
        f"One-pixel lines: surface Dice with a tolerance of {accuracy.protocol.tolerance:g} pixels of the "
        "stored mask; no IoU, hence no NoC."
    )
    return [
        f"## {name}, {SEEN[score.seen]}",
        f"{score.n} pictures, {score.n_empty} empty ones left out.",
        lines if score.overlap == "nsd" else "",
        f"{NAMES[score.overlap]}:",
        _means(systems, prompts),
        _means(systems, COUNTS, digits=2),
        _means(systems, DISTANCES, digits=2),
        *_differences(accuracy, name, prompts | {"noc85": "NoC@85"}),
        *(
            f"{title} marked something on {s.n_marked_empty} of {s.n_empty} pictures without a label."
            for title, s in systems.items()
            if s.n_marked_empty is not None
        ),
    ]


def _means(systems: Mapping[str, SetScore], columns: Mapping[str, str], digits: int = 3) -> str:
    """A row per system; columns that no system fills and systems that fill no column are left out."""
    lines = (
        (title, *(_mean(score, key, digits) for key in columns))
        for title, score in systems.items()
        if not columns.keys().isdisjoint(score.means)
    )
    return table(("", *columns.values()), lines, sparse=True)


def _differences(accuracy: Accuracy, name: str, columns: Mapping[str, str]) -> list[str]:
    """Paired differences: the model minus each alternative."""
    lines = (
        (other.title, *(interval(differences.get(key)) for key in columns))
        for other in accuracy.alternatives.values()
        if (differences := other.differences.get(name))
    )
    paired = table(("minus", *columns.values()), lines, sparse=True)
    return section(f"{accuracy.model.name} minus the others, paired:", "", paired)


def _robustness(accuracy: Accuracy) -> list[str]:
    rule = accuracy.protocol
    lines = [
        (name, kind, interval(jitter.clean), interval(jitter.jittered), interval(jitter.difference))
        for name, kinds in accuracy.robustness.items()
        for kind, jitter in kinds.items()
    ]
    return section(
        "## A shaky hand",
        f"Clicks up to {rule.click_jitter:g} pixels off the centre, on the object; boxes with sides moved by "
        f"up to {100 * rule.box_jitter:.0f} %; {rule.seeds} seeds. Clean minus moved is paired.",
        table(("set", "prompt", "clean", "moved", "clean minus moved"), lines),
    )


def _calibration(accuracy: Accuracy) -> list[str]:
    kinds = [
        (kind, str(fit.n), f"{fit.error:.3f}", f"{fit.bias:+.3f}", number(fit.correlation))
        for kind, fit in accuracy.calibration.items()
    ]
    bins = [
        (f"{b.low:.1f} to {b.high:.1f}", str(b.n), number(b.predicted), number(b.actual))
        for b in (accuracy.calibration["all"].bins if kinds else ())
        if b.n
    ]
    header = ("answers to", "answers", "expected calibration error", "predicted minus true", "correlation")
    return section(
        "## Predicted against true IoU",
        "",
        table(header, kinds),
        table(("predicted IoU", "answers", "mean predicted", "mean true"), bins),
    )


def _obedience(accuracy: Accuracy) -> list[str]:
    tests = accuracy.obedience
    if tests is None:
        return []
    lines = (
        (
            name.replace("_", " "),
            number(tests.values[name]),
            f"{'<' if at_most(name) else '≥'} {limit:g}",
            "missed" if name in tests.failures else "reached",
        )
        for name, limit in tests.limits.items()
    )
    return section(
        "## Does it do what the prompt says?",
        f"{tests.n_pictures} pictures, {tests.n_scenes} generated scenes.",
        table(("test", "measured", "wanted", ""), lines),
    )


def _costs(accuracy: Accuracy) -> str:
    network = ("parameters", "GMAC picture", "GMAC prompt", "ms picture", "ms prompt")
    lines = [_cost(f"**{accuracy.model.name}**", accuracy.cost)]
    lines += [_cost(other.title, other.cost) for other in accuracy.alternatives.values()]
    return table(("", *network, "as asked here: ms picture", "ms prompt"), lines)


def _cost(title: str, cost: Cost) -> tuple[str, ...]:
    seconds = (cost.seconds_encode, cost.seconds_decode, cost.seconds_image, cost.seconds_prompt)
    return (
        title,
        millions(cost.parameters) if cost.parameters else number(None),
        number(cost.gmac_encode, 2),
        number(cost.gmac_decode, 2),
        *(number(s and 1000 * s, 1) for s in seconds),
    )


def _mean(score: SetScore, key: str, digits: int = 3) -> str | None:
    """`mean [low, high]` of a key."""
    if key not in score.means:
        return None
    low, high = score.intervals.get(key) or (None, None)
    return bounded(score.means[key], low, high, digits)

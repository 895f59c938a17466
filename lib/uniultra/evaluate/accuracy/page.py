"""The results as Markdown, and in short for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from uniultra.evaluate.accuracy.schema import CLICKS, THRESHOLDS, Accuracy, Cost, SetScore
from uniultra.evaluate.accuracy.summaries import DISTANCES
from uniultra.evaluate.markdown import NOTHING, interval, millions, table

PROMPTS = {
    **{f"@{k}": "1 click" if k == 1 else f"{k} clicks" for k in CLICKS},
    "_box": "tight box",
    "_box_noisy": "noisy box",
    "_scribble": "scribble",
    "_none_target": "no prompt",
}
NAMES = {"dice": "Dice", "nsd": "surface Dice"}
SEEN = {True: "seen in training", False: "not seen in training", None: "unknown whether seen in training"}
GROUPS = {"seen": "Sets seen in training", "unseen": "Sets not seen", "unknown": "Sets"}


def render(found: Accuracy) -> str:
    """The whole page."""
    parts = [_head(found), _overview(found), *(_set(found, name) for name in found.sets)]
    parts += [_robustness(found), _calibration(found), _obedience(found), _costs(found), _foot(found)]
    return "\n\n".join(part for part in parts if part) + "\n"


def short(found: Accuracy) -> str:
    """The main numbers as text."""
    head = f"{'set':22}{'n':>5}{'empty':>7}{'@1':>8}{'@5':>8}{'box':>8}{'ellipse':>9}{'NoC85':>8}"
    lines = [head]
    for name, one in found.sets.items():
        o = one.overlap
        ellipse = "ellipse_box" if o == "dice" else "nsd_ellipse_box"
        cells = [one.means.get(key) for key in (f"{o}@1", f"{o}@5", f"{o}_box", ellipse, "noc85")]
        widths = (8, 8, 8, 9, 8)
        text = "".join(f"{_number(v):>{w}}" for v, w in zip(cells, widths, strict=True))
        lines.append(f"{name:22}{one.n:5}{one.n_empty:7}{text}" + ("  (surface Dice)" if o == "nsd" else ""))
    return "\n".join(lines)


def _head(found: Accuracy) -> str:
    model, rule = found.model, found.protocol
    trained = ", ".join(model.trained_on) if model.trained_on else "not known"
    limit = f", the first {found.limit} pictures of each set" if found.limit else ""
    return (
        f"# Accuracy of {model.name}\n\n"
        f"Weights `{(model.sha256 or '')[:12]}`, input {model.image_size} px, trained on {trained}. Split "
        f"`{found.split}`{limit}; uniultra {found.uniultra}, {found.made}, {found.machine.processor}.\n\n"
        f"Target and component rule: {found.component_rule}. Means with 95 % bootstrap intervals over "
        "patients, where the manifest knows them, else over its groups. "
        f"Up to {rule.clicks} clicks; {rule.seeds} noisy boxes (sides moved by up to "
        f"{100 * rule.box_jitter:.0f} %) and scribbles an object. Definitions: docs/benchmark.md. "
        "Research use."
    )


def _overview(found: Accuracy) -> str:
    keys = ("dice@1", "dice@5", "dice_box", "ellipse_box", "noc85")
    lines = []
    for group, one in found.organs.items():
        for name in one.sets:
            score = found.sets[name]
            cells = (_mean(score, key, 2 if key.startswith("noc") else 3) for key in keys)
            lines.append((name, SEEN[score.seen], f"{score.n} (+{score.n_empty} empty)", *cells))
        means = (_number(one.means.get(key)) for key in keys)
        lines.append((f"**mean of {len(one.sets)}**", GROUPS[group].lower(), "", *means))
    if not lines:
        return ""
    header = ("set", "", "pictures", "1 click", "5 clicks", "tight box", "ellipse in the box", "NoC@85")
    return f"## Overview\n\n{table(header, lines)}"


def _set(found: Accuracy, name: str) -> str:
    score = found.sets[name]
    if not score.n:
        return f"## {name}\n\nNo picture with a label; {score.n_empty} empty."
    systems = dict(_systems(found, name))
    overlap = score.overlap
    parts = [f"## {name}, {SEEN[score.seen]}", f"{score.n} pictures, {score.n_empty} empty ones left out."]
    if overlap == "nsd":
        parts.append(
            f"One-pixel lines: surface Dice with a tolerance of {found.protocol.tolerance:g} pixels of the "
            "stored mask; no IoU, hence no NoC."
        )
    columns = {f"{overlap}{key}": title for key, title in PROMPTS.items()}
    parts.append(f"{NAMES[overlap]}:\n\n{_means(systems, columns)}")
    counts = {
        f"{kind}{share}": f"{title}@{share}"
        for kind, title in (("noc", "NoC"), ("nof", "NoF"))
        for share in THRESHOLDS
    }
    parts.append(_means(systems, counts, digits=2))
    distances = {}
    for suffix, title in (("@1", "1 click"), ("@5", "5 clicks"), ("", "box")):
        for key in DISTANCES:
            kind, unit = key.split("_")
            distances[f"{key}{suffix}"] = f"{kind.upper()} {unit}, {title}"
    parts.append(_means(systems, distances, digits=2))
    parts.append(_differences(found, name))
    parts += [
        f"{title} marked something on {one.n_marked_empty} of {one.n_empty} pictures without a label."
        for title, one in systems.items()
        if one.n_marked_empty is not None
    ]
    return "\n\n".join(part for part in parts if part)


def _systems(found: Accuracy, name: str) -> Iterator[tuple[str, SetScore]]:
    yield f"**{found.model.name}**", found.sets[name]
    for other in found.alternatives.values():
        yield other.title, other.sets[name]


def _means(systems: dict[str, SetScore], columns: dict[str, str], digits: int = 3) -> str:
    """A line per system; columns that nobody has and systems that have no column are left out."""
    shown = [key for key in columns if any(key in one.means for one in systems.values())]
    lines = [
        (title, *(_mean(one, key, digits) for key in shown))
        for title, one in systems.items()
        if any(key in one.means for key in shown)
    ]
    return table(("", *(columns[key] for key in shown)), lines) if shown else ""


def _differences(found: Accuracy, name: str) -> str:
    """The model minus each alternative on the same pictures."""
    overlap = found.sets[name].overlap
    wanted = {f"{overlap}{key}": title for key, title in PROMPTS.items()} | {"noc85": "NoC@85"}
    lines = []
    for other in found.alternatives.values():
        compared = other.differences.get(name, {})
        if compared:
            lines.append((other.title, *(interval(compared.get(key)) for key in wanted)))
    shown = [n for n in range(len(wanted)) if any(line[n + 1] != NOTHING for line in lines)]
    if not shown:
        return ""
    header = ("minus", *(list(wanted.values())[n] for n in shown))
    body = ((line[0], *(line[n + 1] for n in shown)) for line in lines)
    return f"{found.model.name} minus the others, paired:\n\n{table(header, body)}"


def _robustness(found: Accuracy) -> str:
    lines = [
        (name, kind, interval(one.clean), interval(one.jittered), interval(one.difference))
        for name, kinds in found.robustness.items()
        for kind, one in kinds.items()
    ]
    if not lines:
        return ""
    rule = found.protocol
    return (
        f"## A shaky hand\n\nClicks up to {rule.click_jitter:g} pixels off the centre, on the object; boxes "
        f"with sides moved by up to {100 * rule.box_jitter:.0f} %; {rule.seeds} seeds. Clean minus moved is "
        "paired.\n\n" + table(("set", "prompt", "clean", "moved", "clean minus moved"), lines)
    )


def _calibration(found: Accuracy) -> str:
    if not found.calibration:
        return ""
    lines = [
        (kind, str(one.n), f"{one.error:.3f}", f"{one.bias:+.3f}", _number(one.correlation))
        for kind, one in found.calibration.items()
    ]
    bins = (
        (f"{one.low:.1f} to {one.high:.1f}", str(one.n), _number(one.predicted), _number(one.actual))
        for one in found.calibration["all"].bins
        if one.n
    )
    header = ("answers to", "answers", "expected calibration error", "predicted minus true", "correlation")
    return f"## Predicted against true IoU\n\n{table(header, lines)}\n\n" + table(
        ("predicted IoU", "answers", "mean predicted", "mean true"), bins
    )


def _obedience(found: Accuracy) -> str:
    one = found.obedience
    if one is None:
        return ""
    lines = [
        (
            name.replace("_", " "),
            _number(one.values[name]),
            f"{'<' if name.endswith('iou') else '≥'} {limit:g}",
            "missed" if name in one.failures else "reached",
        )
        for name, limit in one.limits.items()
    ]
    return (
        "## Does it do what the prompt says?\n\n"
        f"{one.n_pictures} pictures, {one.n_scenes} generated scenes.\n\n"
        + table(("test", "measured", "wanted", ""), lines)
    )


def _costs(found: Accuracy) -> str:
    systems: list[tuple[str, Cost]] = [(f"**{found.model.name}**", found.cost)]
    systems += [(one.title, one.cost) for one in found.alternatives.values()]
    header = (
        "",
        "parameters",
        "GMAC picture",
        "GMAC prompt",
        "ms picture",
        "ms prompt",
        "as asked here: ms picture",
        "ms prompt",
    )
    return (
        f"## Cost\n\nThreads: {found.machine.threads}.\n\n{table(header, (_cost(*one) for one in systems))}"
    )


def _cost(title: str, cost: Cost) -> Sequence[str]:
    seconds = (cost.seconds_encode, cost.seconds_decode, cost.seconds_image, cost.seconds_prompt)
    return (
        title,
        millions(cost.parameters) if cost.parameters else NOTHING,
        _number(cost.gmac_encode, 2),
        _number(cost.gmac_decode, 2),
        *(NOTHING if s is None else f"{1000 * s:.1f}" for s in seconds),
    )


def _foot(found: Accuracy) -> str:
    return _list(f"Not measured: {name}. {why}" for name, why in found.missing.items())


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _mean(score: SetScore, key: str, digits: int = 3) -> str:
    """`mean [low, high]` of a key."""
    if key not in score.means:
        return NOTHING
    bounds = score.intervals.get(key)
    mean = f"{score.means[key]:.{digits}f}"
    return mean if bounds is None else f"{mean} [{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]"


def _number(value: float | None, digits: int = 3) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"

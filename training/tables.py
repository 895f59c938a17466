"""Write the numbers of `training/results` and `training/benchmark/results` into documents, cards and pages.

    .venv/bin/python training/tables.py

Each table stands between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from suite.page import render as render_suite
from suite.schema import Suite
from uniultra.evaluate.accuracy import page, results

ROOT = Path(__file__).resolve().parents[1]
TITLES = {
    "hc18_fetal_head": "HC18 fetal head",
    "busi_breast": "BUSI breast lesion",
    "dltrack_aponeurosis": "muscle aponeurosis",
    "liver_mass": "liver mass",
    "carotid_lumen": "carotid lumen",
}
# Keys of the accuracy benchmark, and what stands above them.
ASKED = {
    "dice@1": "1 click",
    "dice@5": "5 clicks",
    "dice_box": "box",
    "ellipse_box": "ellipse in the box",
    "noc85": "clicks to IoU 0.85",
}
ALONE = {"dice_none": "no prompt", "dice_none_target": "the lesion or head alone", "hd95_px": "HD95, px"}
CARDS = {
    "uniultra_mini": "accuracy",
    "uniultra_mini.nobusi": "accuracy_nobusi",
    "autosamus_mini.fetal_head": "accuracy_fetal_head",
    "autosamus_mini.breast_lesion": "accuracy_breast_lesion",
}
# Documents with tables, beside the cards.
FILLED = ("README.md", "docs/results.md", "docs/models.md", "docs/measurements.md")
FEW = 20  # timings below this have no percentile
OBEDIENCE = {
    "two_clicks_iou": "one click in the object, one elsewhere: IoU of the two masks, median",
    "two_structures_iou": "two structures of a generated scene: IoU of the two masks, median",
    "holds_click": "masks that contain their click",
    "excludes_negative": "masks that exclude a corrective negative click",
    "box_minus_shuffled": "box Dice minus Dice with the boxes shuffled",
}


def accuracy(result: dict[str, Any], *, intervals: bool = False) -> str:
    """Dice and clicks per test set, without sets of one-pixel lines."""
    columns = ALONE if any("dice_none" in s for s in result["sets"].values()) else ASKED
    lines = [f"| test set | pictures | {' | '.join(columns.values())} |", "|---" * (2 + len(columns)) + "|"]
    for name, s in result["sets"].items():
        if s["overlap"] != "dice":
            continue
        unseen = "" if s["seen"] else " (never trained on)"
        empty = f" (+{s['n_empty']} empty)" if s["n_empty"] else ""
        cells = (_mean(s, key, intervals=intervals) for key in columns)
        lines.append(f"| {TITLES.get(name, name)}{unseen} | {s['n']}{empty} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(score: dict[str, Any], key: str, *, intervals: bool) -> str:
    """A mean of the accuracy benchmark, optionally with its interval."""
    digits = 3 if "dice" in key or "ellipse" in key else 1
    around = score["intervals"].get(key) if intervals else None
    return f"{score[key]:.{digits}f}" + (
        f" [{around[0]:.{digits}f}, {around[1]:.{digits}f}]" if around else ""
    )


def obedience(result: dict[str, Any]) -> str:
    """Whether the prompt decides the answer."""
    lines = ["| test | reached | wanted |", "|---|---|---|"]
    for name, text in OBEDIENCE.items():
        sign = "<" if name.endswith("iou") else "≥"
        values, limits = result["obedience"]["values"], result["obedience"]["limits"]
        lines.append(f"| {text} | {values[name]:.3f} | {sign} {limits[name]:g} |")
    return "\n".join(lines)


def latency(result: dict[str, Any]) -> str:
    """Clicks over HTTP."""
    same, default = result["a_same_network_t_1024"], result["b_mini_against_stock_default"]
    info = result["c_info_while_three_click"]
    ours = [{"answer_bytes_max": part["our_answer_bytes_max"]} for part in (same, default)]
    ours.append(result["b_mini_alone"])
    rows = [
        _clicks("same network, Hiera-T at 1024 px: first click", same["our_first"], same["stock_first"]),
        _clicks("same network: a later click on that frame", same["our_later"], same["stock_later"]),
        _clicks(
            "out of the box, 5 M at 256 px against Hiera-L at 1024: first click",
            default["our_first"],
            default["stock_first"],
        ),
        _clicks("out of the box: a later click", default["our_later"], default["stock_later"]),
        (
            "`/info/` while three users click, the mini here, Hiera-T at 1024 px there",
            _middle(info["ours_mini"]["info"]),
            _middle(info["stock_t"]["info"]),
            "",
        ),
        (
            "largest answer to a click (there the whole volume, uncompressed)",
            f"{max(part['answer_bytes_max'] for part in ours) / 1000:.1f} kB",
            f"{default['stock_answer_bytes_max'] / 1000:.0f} kB",
            "",
        ),
    ]
    lines = ["| p50 | UniUltra | MONAI Label's SAM2 | ratio |", "|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _clicks(what: str, ours: dict[str, float], stock: dict[str, float]) -> tuple[str, str, str, str]:
    ratio = stock["p50_s"] / ours["p50_s"]
    shown = f"{ratio:.1f}x" if ratio < 10 else f"{ratio:.0f}x"
    return what, _middle(ours), _middle(stock), shown


def _middle(timed: dict[str, float]) -> str:
    """Median and count, with the 95th percentile if there are enough timings."""
    slow = f", p95 {_time(timed['p95_s'])}" if timed["n"] >= FEW else ""
    return f"{_time(timed['p50_s'])} (n {timed['n']}{slow})"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def waits(panel: dict[str, Any], load: dict[str, Any]) -> str:
    """Waiting times at the panel, and clicks at the server while it trains."""
    lines = ["| click to mask | p50 | p95 |", "|---|---|---|"]
    for title, key in (
        ("panel: first click on a frame that nobody encoded", "first_click"),
        ("panel: each later click there", "later_click"),
        ("panel: on to the next frame, and a click there", "frame_change"),
    ):
        lines.append(f"| {title} | {_time(panel[key]['p50_s'])} | {_time(panel[key]['p95_s'])} |")
    for title, key in (("later click", "later"), ("first click", "first")):
        idle, training = (f"{_time(load[part][key]['p95_s'])}" for part in ("idle", "training"))
        p50 = _time(load["training"][key]["p50_s"])
        ratio = load["ratio_p95"][key]
        lines.append(
            f"| server while it trains: {title} | {p50} | {training} (idle {idle}, ratio {ratio:.2f}) |"
        )
    return "\n".join(lines)


def learning(result: dict[str, Any]) -> str:
    """Gain from ten labels of an organ absent from the training data, and the loss on other organs."""
    lines = [
        "| organ | 1 click before | gain | box before | gain | published | others lose, 1 click | longest |",
        "|---" * 8 + "|",
    ]
    for name, found in result["sets"].items():
        draws = found["draws"]
        click, box = (
            f"{gain['mean']:.3f} [{gain['low']:.3f}, {gain['high']:.3f}]"
            for gain in (found["gain"], found["box_gain"])
        )
        lost = ", ".join(
            f"{TITLES[organ].split()[0]} {value:.3f}" for organ, value in found["old_lost"].items()
        )
        lines.append(
            f"| {TITLES[name]} | {found['click_before']:.3f} | {click} | {found['box_before']:.3f} | {box} "
            f"| {found['published']} of {len(draws)} | {lost} "
            f"| {found['seconds_most'] / 60:.1f} min |"
        )
    return "\n".join(lines)


def campaigns(result: dict[str, Any]) -> str:
    """Simulated campaigns: the area under the curve of one click's Dice over the labels."""
    names = result["protocol"]["strategies"]
    lines = [
        "| organ | to label | no label | " + " | ".join(f"`{name}`" for name in names) + " | all labels |",
        "|---" * (4 + len(names)) + "|",
    ]
    for name, found in result["sets"].items():
        bands = [found["strategies"][s]["curves"]["click"]["aubc_band"] for s in names]
        cells = [f"{b['mean']:.3f} [{b['low']:.3f}, {b['high']:.3f}]" for b in bands]
        start, full = found["start"]["click"], found["full"]["click"]["mean"]
        lines.append(f"| {TITLES[name]} | {found['pool']} | {start:.3f} | {' | '.join(cells)} | {full:.3f} |")
    return "\n".join(lines)


SYSTEMS = {
    "uniultra_mini": "UniUltra, the student",
    "uniultra_t": "UniUltra on SAM2 Hiera-T",
    "uniultra_l": "UniUltra on SAM2 Hiera-L, as published",
    "samus": "SAMUS on SAM ViT-B, as published",
    "samus_t": "SAMUS's ideas on SAM2 Hiera-T",
    "autosamus": "AutoSAMUS on SAMUS, as published",
    "autosamus_mini": "AutoSAMUS on UniUltra, the student",
    "sam_med2d": "SAM-Med2D, the teacher of LG-MedSeg",
    "lgmedseg": "LG-MedSeg on TinyViT-5M",
    "lora_t": "LoRA on SAM2 Hiera-T, a baseline",
}


def systems(models: list[dict[str, Any]]) -> str:
    """Parameters of the published systems."""
    found = {model["name"]: model for model in models}
    lines = ["| system | name | input | parameters | adapter | trained |", "|---|---|---|---|---|---|"]
    for name, title in SYSTEMS.items():
        model = found[name]
        total, adapter, trained = (model[f"parameters_{part}"] for part in ("total", "adapter", "trained"))
        side = model["image_size"]
        lines.append(
            f"| {title} | `{name}` | {side} px | {total / 1e6:.2f} M | {adapter:,} | {trained / 1e6:.2f} M |"
        )
    return "\n".join(lines)


def suite(result: dict[str, Any]) -> str:
    """Dice of every system on the task that no base saw, seeds and pictures together."""
    [task] = result["tasks"]
    titles = {system["name"]: system for system in result["systems"]}
    lines = [
        "| system | base | trained | seeds | images seen | 1 click | box | jittered box | no prompt |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for summary in result["summaries"]:
        system = titles[summary["system"]]
        [scores] = [s for s in summary["scores"] if s["dataset"] == task["name"]]
        seen = [r["spent"]["images_seen"] for r in result["runs"] if r["system"] == summary["system"]]
        cells = [
            _dice(scores["prompts"].get(name)) for name in ("click_1", "box", "box_jitter", "none_largest")
        ]
        trained = f"{system['trained'] / 1e6:.2f} M"
        images = f"{min(seen):,}" if min(seen) == max(seen) else f"{min(seen):,} to {max(seen):,}"
        start = [system["title"], f"`{system['base']}`", trained, str(len(summary["seeds"])), images]
        lines.append("| " + " | ".join([*start, *cells]) + " |")
    return "\n".join(lines)


def _dice(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    dice = score["dice"]
    return f"{dice['mean']:.3f} [{dice['low']:.3f}, {dice['high']:.3f}]"


def heads(result: dict[str, Any]) -> str:
    """Errors of the head circumference: measured minus reference."""
    masks = {"the true ones": result["true_masks"]}
    for name, found in result["predicted_from_a_tight_box"].items():
        masks[f"of `{name}`, from the box tight around the true one"] = found
    lines = ["| masks | mean | SD | median | mean absolute | 95 % below |", "|---" * 6 + "|"]
    for name, found in masks.items():
        mean, sd, median, absolute, most = (
            f"{found[f'{key}_mm']:.2f} mm"
            for key in ("mean", "sd", "median", "mean_absolute", "p95_absolute")
        )
        absolute += f" ({found['mean_absolute_percent']:.2f} %)"
        lines.append(f"| {name} | {mean} | {sd} | {median} | {absolute} | {most} |")
    return "\n".join(lines)


def fill(path: Path, tables: dict[str, str]) -> None:
    """Replace the marked blocks of a Markdown file."""
    text = path.read_text(encoding="utf-8")
    for name, table in tables.items():
        block = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
        text = block.sub(lambda _, n=name, t=table: f"<!-- {n} -->\n{t}\n<!-- /{n} -->", text)
    path.write_text(text, encoding="utf-8")


def card(result: dict[str, Any]) -> dict[str, str]:
    """The tables of a model's card by name."""
    tables = {"accuracy": accuracy(result, intervals=True)}
    return tables | ({"obedience": obedience(result)} if result["obedience"] else {})


def everything() -> dict[str, str]:
    """The tables of the README and the documents by name, from the committed results."""
    mini = json.loads((ROOT / "training/results/accuracy.json").read_text())
    speed = json.loads((ROOT / "training/benchmark/results/latency.json").read_text())
    models = json.loads((ROOT / "training/results/models.json").read_text())
    seeds = json.loads((ROOT / "training/results/suite_seeds.json").read_text())
    panel = json.loads((ROOT / "training/benchmark/results/panel_latency.json").read_text())
    load = json.loads((ROOT / "training/benchmark/results/training_load.json").read_text())
    learnt = json.loads((ROOT / "training/benchmark/results/adaptation.json").read_text())
    replayed = json.loads((ROOT / "training/results/campaigns.json").read_text())
    measured = json.loads((ROOT / "training/benchmark/results/measurements.json").read_text())
    return {
        "accuracy": accuracy(mini),
        "latency": latency(speed),
        "waits": waits(panel, load),
        "learning": learning(learnt),
        "campaigns": campaigns(replayed),
        "systems": systems(models),
        "suite": suite(seeds),
        "head_circumference": heads(measured),
    }


def pages() -> dict[str, str]:
    """The pages beside the results of the accuracy benchmark and of the suite, by file name."""
    folder = ROOT / "training/results"
    made = {p.with_suffix(".md").name: page.render(results.read(p)) for p in folder.glob("accuracy*.json")}
    seeds = Suite.model_validate_json((folder / "suite_seeds.json").read_bytes())
    drawn = {(t.name, d): f"suite_seeds_{d}.svg" for t in seeds.tasks for d in seeds.scored(t.name)}
    return made | {"suite_seeds.md": render_suite(seeds, drawn)}


def main() -> None:
    """Fill the README, the documents and the cards, and make the pages of results."""
    for name, text in pages().items():
        (ROOT / "training/results" / name).write_text(text, encoding="utf-8")
    for name in FILLED:
        fill(ROOT / name, everything())
    for name, result_name in CARDS.items():
        result = json.loads((ROOT / f"training/results/{result_name}.json").read_text())
        fill(ROOT / f"apps/uniultra/model/{name}.md", card(result))


if __name__ == "__main__":
    main()

"""Best, median and worst cases of every set as a picture: truth, answer and prompt on the ultrasound."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uniultra.datasets.manifest import Row
from uniultra.errors import RequestError
from uniultra.evaluate.accuracy.protocol import Examined
from uniultra.evaluate.accuracy.schema import OWN, Accuracy, PictureScore
from uniultra.evaluate.accuracy.systems import System
from uniultra.prompts.simulation.clicks_boxes import tight_box
from uniultra.prompts.types import Mask, PromptSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Columns: what is asked, by the key of the score that ranks the cases.
COLUMNS = {"@1": "1 click", "@5": "5 clicks", "_box": "tight box", "_none_target": "no prompt"}
RANKS = ("best", "median", "worst")
# Okabe and Ito's colours, told apart by people with any colour vision.
TRUTH, ANSWER, BOX, POSITIVE, NEGATIVE = "#009E73", "#E69F00", "#56B4E9", "#F0E442", "#D55E00"
WIDTH = 3.6  # inches of a panel


def check(folder: Path) -> None:
    """Refuse before hours are spent what could not be drawn after them.

    Raises:
        RequestError: nothing can be written there, or matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise RequestError("Drawing needs matplotlib; install it, or leave out --pictures.") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise RequestError("The folder for pictures cannot be made. Name another one.") from None
    if not os.access(folder, os.W_OK):
        raise RequestError("Nothing can be written into the folder for pictures. Name another one.")


def draw(found: Accuracy, model: System, rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write `SET.png` for every set with a label, and return their paths.

    Args:
        found: what was measured.
        model: the measured model; it is asked again for the cases drawn.
        rows: the pictures of the benchmark.
        folder: of the pictures.
    """
    made = []
    by_id = {(row.dataset, row.id): row for row in rows}
    for name, score in found.sets.items():
        scores = [one for one in found.pictures[OWN] if one.dataset == name]
        columns = [key for key in COLUMNS if f"{score.overlap}{key}" in score.means]
        if not columns:
            continue
        cases = {
            key: [
                (by_id[one.dataset, one.id], one.values[f"{score.overlap}{key}"])
                for one in ranked(scores, f"{score.overlap}{key}")
            ]
            for key in columns
        }
        path = folder / f"{name}.png"
        _sheet(found, model, name, cases, path)
        made.append(path)
    return made


def ranked(scores: Sequence[PictureScore], key: str) -> list[PictureScore]:
    """The best, the median and the worst case of one key; the upper of two medians."""
    known = [(value, one) for one in scores if (value := one.values.get(key)) is not None]
    order = [one for _, one in sorted(known, key=lambda pair: -pair[0])]
    return [order[0], order[(len(order) - 1) // 2], order[-1]]


def _sheet(
    found: Accuracy,
    model: System,
    name: str,
    cases: dict[str, list[tuple[Row, float | None]]],
    path: Path,
) -> None:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    asked = {
        key: [
            (Examined(model.answers, row, frozenset(model.prompts), found.protocol), value)
            for row, value in some
        ]
        for key, some in cases.items()
    }
    tall = max(one.shape[0] / one.shape[1] for some in asked.values() for one, _ in some)
    size = WIDTH * len(cases), (min(tall, 1.3) * WIDTH + 0.5) * len(RANKS) + 0.8
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(RANKS), len(cases), squeeze=False)
    title = {"dice": "Dice", "nsd": "surface Dice"}[found.sets[name].overlap]
    for column, (key, some) in enumerate(asked.items()):
        for line, (examined, value) in enumerate(some):
            panel = grid[line][column]
            prompts, mask = _asked(examined, key)
            _panel(panel, examined, prompts, mask)
            heading = f"{COLUMNS[key]}, {RANKS[line]}: {title} {value:.3f}"
            panel.set_title(heading, fontsize=9, loc="left")
            panel.set_xlabel(examined.row.id, fontsize=7, color="0.4")
    legend = [
        Line2D([], [], color=TRUTH, linewidth=2, label="truth"),
        Line2D([], [], color=ANSWER, linewidth=2, label="answer"),
        Line2D([], [], color=BOX, linewidth=1.5, linestyle="--", label="box"),
        Line2D([], [], color=POSITIVE, marker="o", markeredgecolor="k", linestyle="", label="click on it"),
        Line2D(
            [], [], color=NEGATIVE, marker="X", markeredgecolor="k", linestyle="", label="click beside it"
        ),
    ]
    legend = legend if model.prompts else legend[:2]
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend), frameon=False, fontsize=9)
    figure.suptitle(f"{name}, {found.model.name}, split {found.split}", fontsize=11)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _asked(examined: Examined, key: str) -> tuple[PromptSet, Mask]:
    """The prompt of a column, and the answer to it."""
    if key == "_none_target":
        return PromptSet(), examined.ask(PromptSet())[0].mask
    if key == "_box":
        prompts = PromptSet(box=tight_box(examined.truth))
        return prompts, examined.ask(prompts)[0].mask
    run = examined.run(lambda prompts: examined.ask(prompts)[0].mask)
    clicks = int(key.removeprefix("@"))
    return PromptSet(points=run.points[:clicks]), run.mask_at(clicks)


def _panel(axes: Axes, examined: Examined, prompts: PromptSet, mask: Mask) -> None:
    axes.imshow(examined.picture, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    for outlined, colour, width in ((examined.truth, TRUTH, 1.8), (mask, ANSWER, 1.2)):
        if outlined.any() and not outlined.all():
            axes.contour(outlined, levels=[0.5], colors=colour, linewidths=width)
    if prompts.box:
        b = prompts.box
        xs, ys = (b.x0, b.x1, b.x1, b.x0, b.x0), (b.y0, b.y0, b.y1, b.y1, b.y0)
        axes.plot(xs, ys, color=BOX, linestyle="--", linewidth=1.2)
    for point in prompts.points:
        colour, marker = (POSITIVE, "o") if point.positive else (NEGATIVE, "X")
        axes.plot(point.x, point.y, marker, color=colour, markeredgecolor="k", markersize=7)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(-0.5, examined.picture.shape[1] - 0.5)
    axes.set_ylim(examined.picture.shape[0] - 0.5, -0.5)

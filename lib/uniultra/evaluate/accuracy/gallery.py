"""Best, median and worst case of every set as a figure: truth, answer and prompt over the ultrasound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uniultra.datasets.manifest import Row
from uniultra.evaluate.accuracy.page import NAMES
from uniultra.evaluate.accuracy.schema import OWN, Accuracy
from uniultra.evaluate.outputs import check_folder
from uniultra.evaluate.plots import check_matplotlib
from uniultra.evaluate.records import PictureScore
from uniultra.evaluate.scoring import Examination
from uniultra.evaluate.summaries import by_set
from uniultra.evaluate.systems import System
from uniultra.prompts.simulation.clicks_boxes import tight_box
from uniultra.prompts.types import Mask, PromptSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# Columns: the prompt's title, by the ending of the key of the score that ranks the cases.
COLUMNS = {"@1": "1 click", "@5": "5 clicks", "_box": "tight box", "_none_target": "no prompt"}
RANKS = ("best", "median", "worst")
# Okabe and Ito's colours, distinguishable with any colour vision.
TRUTH, ANSWER, BOX, POSITIVE, NEGATIVE = "#009E73", "#E69F00", "#56B4E9", "#F0E442", "#D55E00"
WIDTH = 3.6  # inches of a panel


def check(folder: Path) -> None:
    """Check before the long measurement that figures can be drawn after it.

    Raises:
        RequestError: the folder is not writable, or matplotlib is not installed.
    """
    check_matplotlib()
    check_folder(folder)


def draw(accuracy: Accuracy, model: System, rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write `SET.png` for every set with a label, and return their paths.

    Args:
        accuracy: the results.
        model: the measured model; it is prompted again for the cases drawn.
        rows: the manifest rows that were measured.
        folder: where the figures go.
    """
    paths = []
    by_id = {(row.dataset, row.id): row for row in rows}
    for name, scores in by_set(accuracy.pictures[OWN]).items():
        score = accuracy.sets[name]
        keys = {end: f"{score.overlap}{end}" for end in COLUMNS if f"{score.overlap}{end}" in score.means}
        if not keys:
            continue
        cases = {
            end: [(by_id[case.dataset, case.id], case.values[key]) for case in ranked(scores, key)]
            for end, key in keys.items()
        }
        paths.append(folder / f"{name}.png")
        _sheet(accuracy, model, name, cases, paths[-1])
    return paths


def ranked(scores: Sequence[PictureScore], key: str) -> list[PictureScore]:
    """The best, the median and the worst case of one key; the upper of two medians."""
    valued = [(value, picture) for picture in scores if (value := picture.values.get(key)) is not None]
    order = [picture for _, picture in sorted(valued, key=lambda pair: -pair[0])]
    return [order[0], order[(len(order) - 1) // 2], order[-1]]


def _sheet(
    accuracy: Accuracy, model: System, name: str, cases: dict[str, list[tuple[Row, float | None]]], path: Path
) -> None:
    from matplotlib.figure import Figure

    kinds = frozenset(model.prompts)
    columns = {
        end: [(Examination(model.answers, row, kinds, accuracy.protocol), value) for row, value in ranks]
        for end, ranks in cases.items()
    }
    tall = max(case.shape[0] / case.shape[1] for ranks in columns.values() for case, _ in ranks)
    size = WIDTH * len(cases), (min(tall, 1.3) * WIDTH + 0.5) * len(RANKS) + 0.8
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(RANKS), len(cases), squeeze=False)
    title = NAMES[accuracy.sets[name].overlap]
    for column, (end, ranks) in enumerate(columns.items()):
        for line, (examination, value) in enumerate(ranks):
            panel = grid[line][column]
            _panel(panel, examination, *_answer(examination, end))
            heading = f"{COLUMNS[end]}, {RANKS[line]}: {title} {value:.3f}"
            panel.set_title(heading, fontsize=9, loc="left")
            panel.set_xlabel(examination.row.id, fontsize=7, color="0.4")
    legend = _legend() if model.prompts else _legend()[:2]
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend), frameon=False, fontsize=9)
    figure.suptitle(f"{name}, {accuracy.model.name}, split {accuracy.split}", fontsize=11)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _legend() -> list[Line2D]:
    from matplotlib.lines import Line2D

    click: dict[str, Any] = {"markeredgecolor": "k", "linestyle": ""}
    return [
        Line2D([], [], color=TRUTH, linewidth=2, label="truth"),
        Line2D([], [], color=ANSWER, linewidth=2, label="answer"),
        Line2D([], [], color=BOX, linewidth=1.5, linestyle="--", label="box"),
        Line2D([], [], color=POSITIVE, marker="o", label="click on it", **click),
        Line2D([], [], color=NEGATIVE, marker="X", label="click beside it", **click),
    ]


def _answer(examination: Examination, end: str) -> tuple[PromptSet, Mask]:
    """The prompt of a column, and the answer to it."""
    if end.startswith("@"):
        run, clicks = examination.run(lambda prompts: examination.ask(prompts)[0].mask), int(end[1:])
        return PromptSet(points=run.points[:clicks]), run.mask_at(clicks)
    prompts = PromptSet(box=tight_box(examination.truth)) if end == "_box" else PromptSet()
    return prompts, examination.ask(prompts)[0].mask


def _panel(axes: Axes, examination: Examination, prompts: PromptSet, mask: Mask) -> None:
    axes.imshow(examination.picture, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    for outlined, colour, width in ((examination.truth, TRUTH, 1.8), (mask, ANSWER, 1.2)):
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
    axes.set_xlim(-0.5, examination.shape[1] - 0.5)
    axes.set_ylim(examination.shape[0] - 0.5, -0.5)

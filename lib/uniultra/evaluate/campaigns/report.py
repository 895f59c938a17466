"""Results of a simulation as text for a terminal and as curves of Dice over labels."""

from __future__ import annotations

from pathlib import Path

from uniultra.evaluate import plots
from uniultra.evaluate.campaigns.schema import PROMPTS, SetResult, Simulation
from uniultra.evaluate.markdown import interval


def table(simulation: Simulation) -> str:
    """One block per set and kind of prompt, then the win matrices."""
    lines: list[str] = []
    for name, result in simulation.sets.items():
        for prompt in PROMPTS:
            lines += [
                f"{name}, {prompt}: {result.pool} to label, {result.held_out} held out; no label "
                f"{result.start[prompt]:.3f}, all labels {interval(result.full[prompt])}",
                f"  {'strategy':20}{'AUBC':24}{'last round':24}{'labels to 95 %':>14}",
            ]
            for strategy, of_strategy in result.strategies.items():
                curves = of_strategy.curves[prompt]
                reached = "never" if curves.labels_to_95 is None else str(curves.labels_to_95)
                area, last = interval(curves.aubc_band), interval(curves.bands[-1])
                lines.append(f"  {strategy:20}{area:24}{last:24}{reached:>14}")
            lines.append("")
    for prompt in PROMPTS:
        lines.append(f"share of the sets in which the row beats the column ({prompt}):")
        for strategy, row in zip(simulation.protocol.strategies, simulation.wins[prompt], strict=True):
            lines.append(f"  {strategy:20}" + "".join(f"{share:8.2f}" for share in row))
    return "\n".join(lines)


def draw(simulation: Simulation, path: Path) -> None:
    """Draw the curves for one click: a panel per set, a line with its band per strategy.

    Args:
        simulation: the results.
        path: `.svg` or `.png`.

    Raises:
        RequestError: see `uniultra.evaluate.plots.check_picture`.
    """
    panels = [_panel(name, result) for name, result in simulation.sets.items()]
    plots.draw(panels, path, "mean Dice, one click", (4.2 * len(panels) + 1.8, 4.2))


def _panel(name: str, result: SetResult) -> plots.Panel:
    curves = []
    for strategy, of_strategy in result.strategies.items():
        bands = of_strategy.curves["click"].bands
        bounds = [(band.low, band.high) for band in bands if band.low is not None and band.high is not None]
        low, high = zip(*bounds, strict=True) if len(bounds) == len(bands) else (None, None)
        curves.append(
            plots.Curve(strategy, result.budgets, [band.mean for band in bands], low=low, high=high)
        )
    levels = (
        ("all labels", result.full["click"].mean, "0.3", "-"),
        ("no label", result.start["click"], "0.6", ":"),
    )
    title = f"{name} ({result.pool} to choose from)"
    return plots.Panel(title, "labels", result.budgets, curves, levels)

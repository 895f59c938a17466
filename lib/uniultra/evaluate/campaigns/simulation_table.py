"""The numbers of a simulation as text for a terminal."""

from __future__ import annotations

from uniultra.evaluate.campaigns.simulation_schema import PROMPTS, Simulation
from uniultra.metrics.learning_curves import Band


def table(found: Simulation) -> str:
    """One block for each set and kind of prompt, then the win matrices."""
    lines: list[str] = []
    for name, one in found.sets.items():
        for prompt in PROMPTS:
            lines += [
                f"{name}, {prompt}: {one.pool} to label, {one.held_out} held out; no label "
                f"{one.start[prompt]:.3f}, all labels {_band(one.full[prompt])}",
                f"  {'strategy':20}{'AUBC':24}{'last round':24}{'labels to 95 %':>14}",
            ]
            for strategy, result in one.strategies.items():
                curves = result.curves[prompt]
                reached = "never" if curves.labels_to_95 is None else str(curves.labels_to_95)
                lines.append(
                    f"  {strategy:20}{_band(curves.aubc_band):24}{_band(curves.bands[-1]):24}{reached:>14}"
                )
            lines.append("")
    for prompt in PROMPTS:
        lines.append(f"share of the sets in which the row beats the column ({prompt}):")
        for strategy, row in zip(found.protocol.strategies, found.wins[prompt], strict=True):
            lines.append(f"  {strategy:20}" + "".join(f"{share:8.2f}" for share in row))
    return "\n".join(lines)


def _band(band: Band) -> str:
    if band.low is None or band.high is None:
        return f"{band.mean:.3f}"
    return f"{band.mean:.3f} [{band.low:.3f}, {band.high:.3f}]"

"""Agreement between annotators, pooled over the images of a campaign.

One comparison is one pair of annotators, one image and one structure (`store.review.agreement`). Every pooled
number is the median of such comparisons, so that a few bad images do not hide what is usual: over those of a
pair and structure, and over all of them. HD95 in mm and in pixels are never mixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from uniultra.store.review.agreement import Agreement
from uniultra.store.types import FrozenModel


class AnnotatorPair(FrozenModel):
    """Agreement of two annotators on one structure, over the images that both have labelled.

    Attributes:
        dice, hd95: medians over the images; HD95 in `unit`, None if no image has both outlines.
        worst, lowest: the image with the lowest Dice, and that Dice.
    """

    first: str
    second: str
    structure: str
    images: int
    dice: float
    hd95: float | None
    unit: str
    worst: str
    lowest: float


class PooledAgreement(FrozenModel):
    """Agreement over a campaign.

    Attributes:
        images: number of compared images.
        dice: median over all pairs, images and structures; None if nothing was compared.
        hd95: the same by unit, `mm` or `px`.
        pairs: the least alike first.
    """

    images: int
    dice: float | None
    hd95: dict[str, float]
    pairs: tuple[AnnotatorPair, ...]


def pooled(by_image: Mapping[str, Sequence[Agreement]]) -> PooledAgreement:
    """Pool the comparisons of each image."""
    groups: dict[tuple[str, str, str, str], list[tuple[str, Agreement]]] = {}
    units: dict[str, list[Agreement]] = {}
    for image, comparisons in by_image.items():
        for each in comparisons:
            groups.setdefault((*each.annotators, each.label, each.unit), []).append((image, each))
            units.setdefault(each.unit, []).append(each)
    hd95 = {unit: _hd95(comparisons) for unit, comparisons in sorted(units.items())}
    pairs = (_pair(*names, cases) for names, cases in groups.items())
    return PooledAgreement(
        images=sum(map(bool, by_image.values())),
        dice=_dice(each for comparisons in units.values() for each in comparisons) if units else None,
        hd95={unit: distance for unit, distance in hd95.items() if distance is not None},
        pairs=tuple(sorted(pairs, key=lambda pair: (pair.dice, pair.first, pair.second))),
    )


def _pair(
    first: str, second: str, structure: str, unit: str, cases: Sequence[tuple[str, Agreement]]
) -> AnnotatorPair:
    worst, lowest = min(cases, key=lambda case: case[1].dice)
    return AnnotatorPair(
        first=first,
        second=second,
        structure=structure,
        images=len(cases),
        dice=_dice(each for _, each in cases),
        hd95=_hd95(each for _, each in cases),
        unit=unit,
        worst=worst,
        lowest=round(lowest.dice, 4),
    )


def _dice(comparisons: Iterable[Agreement]) -> float:
    return round(median(each.dice for each in comparisons), 4)


def _hd95(comparisons: Iterable[Agreement]) -> float | None:
    distances = [each.hd95 for each in comparisons if each.hd95 is not None]
    return round(median(distances), 3) if distances else None

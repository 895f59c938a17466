"""ClaSP PE: class-stratified entropy with power noise that decays over the rounds (arXiv 2601.13677)."""

import numpy as np

from uniultra.active.pool import Order, Pool
from uniultra.active.strategies.draws import mixed, noisy
from uniultra.active.strategy import QueryStrategy

STRATIFIED = 0.66  # share of the places that the classes divide among them
# Powers of the first and of a late round, and how many trainings lie between: nearly by chance, then greedy.
FIRST, LAST, ROUNDS = 1.0, 100.0, 5


def power(rounds: int) -> float:
    """The noise's power after so many trainings; it grows geometrically."""
    return float(FIRST * (LAST / FIRST) ** min(rounds / ROUNDS, 1.0))


def rank(pool: Pool) -> Order:
    """Two of three places by the entropy within one class after another, the rest by that of the picture."""
    places, sharp = pool.open, power(pool.rounds)
    classes = pool.values("classes").reshape(len(pool.labelled), -1)
    scores = [classes[places, n] for n in pool.rng.permutation(classes.shape[1])]
    scores.append(pool.values("entropy")[places])
    orders = [places[(-noisy(one, sharp, pool.rng)).argsort(kind="stable")] for one in scores]
    share = STRATIFIED / classes.shape[1]
    return mixed(orders, [*np.full(classes.shape[1], share), 1 - STRATIFIED])


STRATEGY = QueryStrategy(
    "Entropy, class by class, with noise that decays (ClaSP PE)", ("entropy", "classes"), rank
)

"""ClaSP PE: class-stratified entropy with power noise that decays over the rounds (arXiv 2601.13677)."""

import numpy as np

from uniultra.active.pool import Order, Pool
from uniultra.active.strategies.draws import mixed, noisy
from uniultra.active.strategy import QueryStrategy

STRATIFIED = 0.66  # fraction of the ranks that is divided among the classes
# Power in the first round (nearly random) and after ROUNDS trainings (greedy).
FIRST, LAST, ROUNDS = 1.0, 100.0, 5


def power(rounds: int) -> float:
    """Power of the noise after `rounds` trainings; it grows geometrically."""
    return float(FIRST * (LAST / FIRST) ** min(rounds / ROUNDS, 1.0))


def rank(pool: Pool) -> Order:
    """Two thirds of the ranks by the entropy within each class in turn, the rest by that of the picture."""
    places, sharp = pool.open, power(pool.rounds)
    classes = pool.values("classes").reshape(len(pool.labelled), -1)
    scores = [classes[places, n] for n in pool.rng.permutation(classes.shape[1])]
    scores.append(pool.values("entropy")[places])
    orders = [places[(-noisy(score, sharp, pool.rng)).argsort(kind="stable")] for score in scores]
    share = STRATIFIED / classes.shape[1]
    return mixed(orders, [*np.full(classes.shape[1], share), 1 - STRATIFIED])


STRATEGY = QueryStrategy(
    "Entropy, class by class, with noise that decays (ClaSP PE)", ("entropy", "classes"), rank
)

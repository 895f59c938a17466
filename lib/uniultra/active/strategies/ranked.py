"""Best score first."""

from uniultra.active.pool import Order, Pool


def by_score(pool: Pool, name: str, *, smallest: bool = False) -> Order:
    """Units not labelled by one of their scores, the largest (or smallest) first, ties by chance."""
    places = pool.rng.permutation(pool.open)
    values = pool.values(name)[places]
    return places[(values if smallest else -values).argsort(kind="stable")]

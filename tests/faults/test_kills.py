"""A handful of what `training/benchmark/kills.py` does in full: kills and damage, and nothing is lost."""

import random
from pathlib import Path

import pytest
from crashes.damage import FILES, LabelDamage
from crashes.schema import Part, Violation
from crashes.store import StoreKills
from crashes.train import TrainKills


def told(violations: list[Violation]) -> list[str]:
    return [violation.what for violation in violations]


def test_killed_annotators_lose_nothing_that_was_acknowledged() -> None:
    part, violations = Part(), []
    kills = StoreKills(part, violations)
    for wanted in range(6, 49, 6):  # on a busy machine six may die before a label of theirs is acknowledged
        kills.run(wanted, random.SystemRandom().randrange(10**6))
        assert told(violations) == [], part.seeds
        if part.checked:
            break
    assert part.kills == wanted and part.checked > 0


def test_a_killed_training_goes_on_to_the_adapter_that_an_undisturbed_one_publishes(tmp_path: Path) -> None:
    part, violations = Part(), []
    TrainKills(part, violations, tmp_path).run(1, random.SystemRandom().randrange(10**6))
    assert told(violations) == [], part.seeds
    assert part.kills == 1


@pytest.mark.parametrize("kind", ["label", "record", "review", "index", "journal"])
def test_damage_is_noticed_before_anything_is_made_of_it(tmp_path: Path, kind: str) -> None:
    violations: list[Violation] = []
    seed = random.SystemRandom().randrange(10**6)
    found = LabelDamage(violations, tmp_path, seed).run(kind, 6)
    assert kind in FILES and found.flips == 6 and found.truncations == 3
    assert told(violations) == [], seed
    assert found.noticed + found.same == 9

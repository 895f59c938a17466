"""Simulated annotators click where a person would."""

import numpy as np
import pytest

from uniultra.prompts.simulation import clicks_boxes


@pytest.fixture
def disk():
    rows, columns = np.mgrid[:100, :120]
    return (rows - 40) ** 2 + (columns - 70) ** 2 < 20**2


def test_the_first_click_is_in_the_middle(disk):
    click = clicks_boxes.center_click(disk)
    assert abs(click.x - 70) <= 1 and abs(click.y - 40) <= 1


def test_a_mask_at_the_border_counts_the_border_as_an_edge():
    click = clicks_boxes.center_click(np.ones((11, 21), bool))
    assert click.y == 5 and 5 <= click.x <= 15


def test_components_come_largest_first(disk):
    mask = disk.copy()
    mask[90:95, 5:10] = True
    mask[0, 0] = True
    assert [c.sum() for c in clicks_boxes.components(mask)] == [disk.sum(), 25, 1]
    assert len(clicks_boxes.components(mask, smallest=2)) == 2


def test_random_prompts_stay_where_they_belong(disk, rng):
    for _ in range(50):
        click = clicks_boxes.random_click(disk, rng)
        assert disk[int(click.y), int(click.x)]
        stroke = clicks_boxes.random_scribble(disk, rng).pixels
        assert stroke.any() and not (stroke & ~disk).any()
        box, tight = clicks_boxes.noisy_box(disk, rng), clicks_boxes.tight_box(disk)
        assert abs(box.x0 - tight.x0) <= 0.1 * 40 and 0 <= box.y0 <= box.y1 <= 99

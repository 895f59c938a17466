"""How many pictures of a campaign's labels are read, and which."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from factories import training_label

from uniultra.adapt.training_labels import SLICES, read_labels
from uniultra.images.itk import sitk
from uniultra.store.types import TrainingLabel

FRAMES = 30


def write(path: Path, voxels: np.ndarray) -> None:
    sitk().WriteImage(sitk().GetImageFromArray(voxels), str(path))


@pytest.fixture
def label_of(tmp_path: Path):
    """Makes the label of a new cine: marked frames, and frames that are done."""
    made = 0

    def label(
        marked: Sequence[int], done: Sequence[int] | None, *, ending: str = ".seq.nrrd", names=("lesion",)
    ) -> TrainingLabel:
        nonlocal made
        made += 1
        image, file = f"clip{made}{ending}", f"label{made}{ending}"
        values = np.zeros((FRAMES, 6, 8), np.uint8)
        for value in range(1, len(names) + 1):
            values[marked, value, 2:5] = value
        write(tmp_path / image, np.arange(FRAMES, dtype=np.uint8).repeat(48).reshape(FRAMES, 6, 8))
        write(tmp_path / file, values)
        frames = None if done is None else tuple(done)
        return training_label(tmp_path, image, file, frames=frames, names=dict(enumerate(names, 1)))

    return label


def test_of_a_cine_that_is_labelled_throughout_a_few_frames_are_taken(tmp_path, label_of):
    label = label_of(range(FRAMES), range(FRAMES))
    found = read_labels(tmp_path, [label])
    assert len(found.frame) == SLICES and found.frame[0] == 0 and found.frame[-1] == FRAMES - 1
    assert max(np.diff(found.frame)) - min(np.diff(found.frame)) <= 1
    assert [int(one.picture[0, 0]) for one in found.labelled] == list(found.frame)
    assert read_labels(tmp_path, [label]).frame == found.frame, "a job that goes on sees the same"
    volume = read_labels(tmp_path, [label_of(range(FRAMES), None, ending=".nrrd")])
    assert volume.frame == found.frame


@pytest.mark.parametrize("marked", [(3, 4, 11), (), tuple(range(5, 25))])
def test_frames_with_marks_go_before_those_without(tmp_path, label_of, marked):
    found = read_labels(tmp_path, [label_of(marked, range(FRAMES))])
    with_marks = [frame for frame, one in zip(found.frame, found.labelled, strict=True) if one.mask.any()]
    assert len(found.frame) == SLICES and list(found.frame) == sorted(set(found.frame))
    assert len(with_marks) == min(SLICES, len(marked)) and set(with_marks) <= set(marked)


def test_few_labelled_frames_are_all_taken_and_no_others(tmp_path, label_of):
    assert read_labels(tmp_path, [label_of(range(FRAMES), (2, 7, 9, 400))]).frame == (2, 7, 9)
    assert read_labels(tmp_path, [label_of((7,), (2, 7, 9))]).frame == (2, 7, 9)


@pytest.mark.parametrize("most", [0, 1, 2, 3, 7, 20, 100])
def test_so_many_pictures_are_read_of_all_labels_together(tmp_path, label_of, most):
    labels = [label_of(range(FRAMES), range(FRAMES)), label_of((4,), (4,)), label_of((5, 6), (5, 6))]
    labels.append(label_of(range(FRAMES), range(FRAMES), names=("lesion", "cyst")))
    found = read_labels(tmp_path, labels, most)
    pictures = set(zip(found.label, found.frame, strict=True))
    assert len(pictures) <= most and len(set(found.label)) == min(most, len(labels))
    assert most < 100 or len(pictures) == 2 * SLICES + 3, "no more of a label than a training takes"
    structures = sum(name == "clip4@1" for name, _ in pictures)
    assert len(found.labelled) == len(pictures) + structures, "a picture comes with all its structures"


def test_of_one_picture_the_middle_is_taken(tmp_path, label_of):
    assert read_labels(tmp_path, [label_of(range(10, 21), range(FRAMES))], 1).frame == (15,)

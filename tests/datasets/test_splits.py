"""Training, validation and measuring never share a patient."""

import pytest

from uniultra.datasets.manifest import read_manifest
from uniultra.datasets.splits import divide
from uniultra.errors import ImageError, ModelError


def test_the_manifests_own_splits_are_kept(training_data):
    division = divide(training_data, ["tiny"])
    assert [r.id for r in division.train] == list("0123")
    assert [r.id for r in division.val] == ["4"] and not division.measured


def test_a_set_without_training_rows_needs_a_holdout(training_data):
    with pytest.raises(ModelError, match=r"organ.*holdout"):
        divide(training_data, ["organ"])


def test_a_holdout_divides_patients_the_same_way_for_every_training(training_data):
    parts = divide(training_data, ["organ", "tiny"], holdout=0.4)
    mine = [[r for r in rows if r.dataset == "organ"] for rows in parts]
    assert sorted(r.id for rows in mine for r in rows) == sorted(str(n) for n in range(6, 16))
    groups = [{r.group for r in rows} for rows in mine]
    assert [len(g) for g in groups] == [2, 1, 2] and len(set.union(*groups)) == 5
    again = divide(training_data, ["organ"], holdout=0.4)
    assert {r.id for r in again.measured} == {r.id for r in parts.measured}
    others = [divide(training_data, ["organ"], holdout=0.4, seed=n) for n in range(1, 5)]
    assert any({r.id for r in o.measured} != {r.id for r in parts.measured} for o in others)


def test_too_few_patients_and_missing_data_are_refused(training_data, tmp_path):
    with pytest.raises(ModelError, match="too few"):
        divide(training_data, ["organ"], holdout=0.9)
    with pytest.raises(ImageError, match="no rows"):
        divide(training_data, ["unknown"], holdout=0.5)
    with pytest.raises(ImageError, match=r"manifest\.csv"):
        divide(tmp_path, ["tiny"])


def test_the_manifest_gives_only_the_split_asked_for(training_data):
    assert [r.id for r in read_manifest(training_data, ["tiny"], ["train"])] == list("0123")
    with pytest.raises(ImageError, match="no rows"):
        read_manifest(training_data, ["other"], ["train"])

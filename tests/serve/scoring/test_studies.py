"""What the background scorer counts as labelled."""

import pytest
from factories import make_cine, make_label, make_picture

from uniultra.serve.scoring.studies import ScoredStudies
from uniultra.serve.tasks.image_cache import OpenImages
from uniultra.store.datastore import StudiesDatastore
from uniultra.store.types import Unit


@pytest.fixture
def datastore(tmp_path):
    """A still and a cine of five frames."""
    studies = tmp_path / "studies"
    make_picture(studies / "still.png")
    make_cine(studies / "clip.seq.nrrd", 5)
    return StudiesDatastore(studies)


def test_each_labelled_frame_counts_whichever_version_has_it(datastore, tmp_path):
    store, studies = datastore.store, ScoredStudies(datastore, OpenImages(1 << 20))
    label = make_label(tmp_path / "label.nrrd", shape=(5, 6, 8))
    for frames in ([0, 1, 2], [0]):
        store.save("clip", label, annotator="anna", frames=frames)
        assert studies.finished() == {Unit("clip", 0), Unit("clip", 1), Unit("clip", 2)}
    store.save("still", make_label(tmp_path / "still.png"), annotator="ben")
    assert Unit("still", 0) in studies.finished() and studies.labels() == 4
    store.save("clip", label, annotator="anna", frames=[4], tag="draft")
    store.review("clip", 2, "returned", "rita")
    assert studies.finished() == {Unit("clip", 1), Unit("clip", 2), Unit("still", 0)}
    store.review("clip", 2, "approved", "rita")
    assert studies.labels() == 4


def test_so_many_pictures_are_learnt_from_however_long_the_cines_are(datastore, tmp_path):
    store, studies = datastore.store, ScoredStudies(datastore, OpenImages(1 << 20))
    label = make_label(tmp_path / "label.nrrd", shape=(5, 6, 8))
    store.save("clip", label, annotator="anna", frames=range(5), labels={"lesion": 1})
    still = make_label(tmp_path / "still.png")
    store.save("still", still, annotator="ben", labels={"lesion": 1})
    assert [len(studies.labelled(most)) for most in (0, 1, 2, 3, 4, 40)] == [0, 1, 2, 2, 3, 6]

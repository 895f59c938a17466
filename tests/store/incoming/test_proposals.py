"""A model's proposals beside people's labels."""

import numpy as np
import pytest
import SimpleITK as sitk
from factories import write_campaign
from PIL import Image

from uniultra.errors import RequestError
from uniultra.images import read_image
from uniultra.store.campaign.file import Campaign
from uniultra.store.incoming.proposals import TakenError, propose, structure
from uniultra.store.types import Origin

MODEL = "autosamus_mini.thyroid_nodule"
LABELS = ({"name": "Thyroid nodule", "index": 3}, {"name": "cyst", "index": 7})


def campaign(*labels):
    return Campaign.model_validate({"labels": labels})


@pytest.mark.parametrize(
    ("labels", "model", "named", "expected"),
    [
        ((), MODEL, None, ("thyroid_nodule", 1)),
        ((), "autosamus_mini", None, ("structure", 1)),
        (LABELS, MODEL, None, ("Thyroid nodule", 3)),
        (LABELS, MODEL, "cyst", ("cyst", 7)),
        (LABELS[1:], MODEL, None, ("cyst", 7)),
    ],
)
def test_what_a_model_marks_is_a_structure_of_the_campaign(labels, model, named, expected):
    assert structure(campaign(*labels), model, named) == expected


@pytest.mark.parametrize(
    ("labels", "model", "named"),
    [(LABELS, "autosamus_mini", None), (LABELS, MODEL, "liver"), (LABELS[1:], MODEL, "liver")],
)
def test_what_it_cannot_be_is_refused(labels, model, named):
    with pytest.raises(RequestError, match="structures"):
        structure(campaign(*labels), model, named)


@pytest.fixture(autouse=True)
def a_campaign(studies, store):
    write_campaign(studies, labels=[{"name": "nodule", "index": 3}])
    store.ready()


def offer(store, model=MODEL, **more):
    marked = np.zeros((1, 6, 8), bool)
    marked[0, 2, 3] = True
    opened = read_image(store.images.path("one"))
    return propose(
        store, "one", opened, marked, named=("nodule", 3), origin=Origin(model=model, adapter="b-1"), **more
    )


def test_a_proposal_is_no_label_to_train_on_and_no_work_done(store):
    version = offer(store)
    assert (version.tag, version.origin.model, version.origin.adapter) == ("original", MODEL, "b-1")
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(store.path(version))))
    assert values[0, 2, 3] == 3 and values.sum() == 3 and version.labels == {"nodule": 3}
    assert store.trainable() == [] and "one" in {unit.image for unit in store.unlabelled()}
    assert offer(store, "another").revision == 2, "a model's answer follows a model's"


@pytest.mark.parametrize("tag", ["original", "draft", "final"])
def test_a_persons_label_is_never_replaced(store, tmp_path, tag):
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "mine.png")
    mine = store.save("one", tmp_path / "mine.png", tag=tag)
    with pytest.raises(TakenError):
        offer(store, tag=tag)
    assert store.versions("one") == [mine]
    assert (store.studies / "labels" / tag / "one.png").read_bytes() == (tmp_path / "mine.png").read_bytes()

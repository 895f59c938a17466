"""`campaign.yaml`, and which patient an image is of."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories import make_dicom, make_label, write_campaign

from uniultra.store.campaign import file, initial
from uniultra.store.campaign.file import Campaign, LabelName, Patients
from uniultra.store.campaign.patients import Grouping
from uniultra.store.errors import CampaignError
from uniultra.store.store import LabelStore


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert file.load(tmp_path) == Campaign()
    assert Campaign().frame_step is None and Campaign(frames="all").frame_step == 1
    assert Campaign(frames="every 12").frame_step == 12


def test_a_campaign_comes_back_as_it_was_written(tmp_path: Path) -> None:
    wanted = Campaign(
        name="Schilddrüse",
        instructions="Outer border.",
        labels=(LabelName(name="node", index=1, color="#00ff00", instructions="with its halo"),),
        readers=2,
        trains="consensus",
        patients=Patients(by="path", pattern=r"^(P\d+)/"),
        frames="every 3",
        skip_reasons=("blurred",),
    )
    initial.write(tmp_path, wanted)
    assert file.load(tmp_path) == wanted
    assert "Schilddrüse" in (tmp_path / "campaign.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"readers": 0}, "readers"),
        ({"reader": 2}, "reader"),
        ({"labels": [{"name": "a", "index": 1}, {"name": "a", "index": 2}]}, "name of its own"),
        ({"labels": [{"name": "a", "index": 1}, {"name": "b", "index": 1}]}, "index of its own"),
        ({"labels": [{"name": "a", "index": 1, "color": "secretred"}]}, "color"),
        ({"patients": {"by": "path"}}, "pattern"),
        ({"patients": {"by": "path", "pattern": "(secret"}}, "regular expression"),
        ({"patients": {"by": "manifest", "file": "../secret.csv"}}, "studies folder"),
        ({"frames": "every 0"}, "frames"),
        ({"trains": "secretly"}, "trains"),
        (["secret"], "the file"),
    ],
)
def test_what_cannot_be_used_is_named_but_not_quoted(tmp_path: Path, settings: Any, words: str) -> None:
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(CampaignError) as refusal:
        file.load(tmp_path)
    assert words in str(refusal.value) and "campaign.yaml" in str(refusal.value)
    assert "secret" not in str(refusal.value) and str(tmp_path) not in str(refusal.value)


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    (tmp_path / "campaign.yaml").write_bytes(b"name: [\xff")
    with pytest.raises(CampaignError, match="YAML"):
        file.load(tmp_path)


def test_a_slip_of_the_pen_does_not_stop_a_running_campaign(
    studies: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_campaign(studies, readers=2)
    store = LabelStore(studies)
    assert store.campaign.readers == 2
    (studies / "campaign.yaml").write_text("readers: [", "utf-8")
    assert store.campaign.readers == 2 and "before holds" in caplog.text
    with pytest.raises(CampaignError):
        LabelStore(studies).units()
    write_campaign(studies, readers=3)
    assert store.campaign.readers == 3


def test_patients_by_dicom_are_hashes_of_the_patient_id(
    studies: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name, patient in (("a/1.dcm", "../CANARY-7"), ("b/2.dcm", "../CANARY-7"), ("b/3.dcm", "CANARY-8")):
        make_dicom(studies / name, PatientID=patient)
    make_dicom(studies / "b" / "4.dcm", PatientID="")
    store = LabelStore(studies)
    label = make_label(tmp_path / "l.png")
    for image in ("a__1", "b__2", "b__3", "b__4", "one", "deep__er__two"):
        store.save(image, label)
    group = {t.image: t.group for t in store.trainable()}
    assert group["a__1"] == group["b__2"] != group["b__3"]
    assert len(set(group.values())) == 5, "no patient: by its folder, outside all folders by itself"
    assert "3 of 6 images" in caplog.text
    files = [str(p.relative_to(studies)) for p in studies.rglob("*")]
    kept = b"".join(p.read_bytes() for p in (studies / ".uniultra").rglob("*") if p.is_file())
    assert "CANARY" not in " ".join(files) + caplog.text + "".join(group.values())
    assert b"CANARY" not in kept
    again = {t.image: t.group for t in LabelStore(studies).trainable()}
    assert again == group, "fixed for ever"
    other = Grouping(studies, Patients(), "another salt").groups(["a/1.dcm"])
    assert other["a/1.dcm"] != group["a__1"], "two campaigns cannot be joined by their hashes"


def test_patients_by_path_manifest_and_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources = ["P1/a.png", "P1/b.png", "P2_x.png", "P2_y.png", "other.png"]

    def groups(**rule: Any) -> list[list[int]]:
        found = Grouping(tmp_path, Patients(**rule), "salt").groups(sources)
        order = list(dict.fromkeys(found[s] for s in sources))
        return [[n for n, s in enumerate(sources) if found[s] == one] for one in order]

    assert groups(by="path", pattern=r"^(P\d)") == [[0, 1], [2, 3], [4]]
    assert "1 of 5 images" in caplog.text
    caplog.clear()
    assert groups(by="folder") == [[0, 1], [2], [3], [4]]
    assert caplog.text == ""
    rows = ["file,who", *(f"{s},{w}" for s, w in zip(sources, "xyxyz", strict=True))]
    (tmp_path / "m.csv").write_text("\n".join(rows))
    assert groups(by="manifest", file="m.csv", column="who", path_column="file") == [[0, 2], [1, 3], [4]]
    for bad in ("nothing.csv", "m.csv"):
        with pytest.raises(CampaignError, match="manifest") as refusal:
            groups(by="manifest", file=bad, column="patient", path_column="file")
        assert str(tmp_path) not in str(refusal.value)

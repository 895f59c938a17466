'''A campaign folder of the last commit before the house was rebuilt (be7670c) opens unchanged.

`campaign_be7670c.tar.xz` beside this file was made by the script below, in the root of a checkout of that
commit with this folder on the path too (`PYTHONPATH=lib:…/tests/store/opening python make.py EMPTY_FOLDER`):

    import json, os, sys, tarfile
    from datetime import UTC, datetime, timedelta
    from pathlib import Path
    import numpy as np
    from PIL import Image
    from test_before_the_move import answers

    root = Path(sys.argv[1])
    studies, scratch = root / "studies", root / "scratch"
    (studies / "ward").mkdir(parents=True)
    scratch.mkdir()
    os.environ["UNIULTRA_WEIGHTS"] = str(scratch)
    from uniultra.adapters import bundle
    from uniultra.adapters.published import Published
    from uniultra.images.itk import sitk
    from uniultra.models import build, weights
    from uniultra.store.store import LabelStore
    from uniultra.store.types import Origin

    now, rng = [datetime(2026, 5, 4, 12, tzinfo=UTC)], np.random.default_rng(5)
    for name in ("one", "two", "ward/one", "three"):
        Image.fromarray(rng.integers(0, 255, (12, 16), np.uint8)).save(studies / f"{name}.png")
    beat = rng.integers(0, 255, (4, 12, 16), np.uint8)
    sitk().WriteImage(sitk().GetImageFromArray(beat), str(studies / "beat.seq.nrrd"))
    (studies / "campaign.yaml").write_text("""
    name: before the move
    readers: 2
    frames: every 2
    patients: {by: folder}
    labels: [{name: head, index: 1}, {name: femur, index: 2}]
    """)

    def save(image, who, tag="final", wide=6, value=1, count=1, **more):
        voxels = np.zeros((count, 12, 16), np.uint8)
        voxels[:, 2:8, 3 : 3 + wide] = value
        file = scratch / ("label.png" if count == 1 else "label.nrrd")
        sitk().WriteImage(sitk().GetImageFromArray(voxels if count > 1 else voxels[0]), str(file))
        now[0] += timedelta(minutes=1)
        store.save(image, file, tag=tag, annotator=who, **more)

    store = LabelStore(studies, now=lambda: now[0])
    prompts = ({"foreground": [[4, 4, 0]]},)
    origin = Origin(model="uniultra_mini", adapter="b1", prompts=prompts, clicks=3, seconds=12.5)
    save("one", "anna", "draft", wide=4)
    save("one", "anna", origin=origin, base=1, info={"idempotency_key": "k1"})
    save("one", "ben", wide=7, info={"note": "left"})
    save("two", "anna", value=2)
    save("two", "anna", value=2, wide=8)
    save("beat", "anna", count=4, frames=[0, 1, 2])
    save("beat", "ben", count=4, wide=5, frames=[0, 2])
    save("ward__one", "", "original", wide=3, info={"model": "autosamus_mini", "proposed": True})
    save("three", "ben", wide=2)
    store.review("one", 2, "approved", "rita")
    store.review("two", 2, "returned", "rita", "too wide")
    store.review("one", 3, "flagged", "rita")
    store.review("one", 3, "final", "rita")
    store.remove("three", "final")
    store.skip(store.units()[0], "cora", "poor picture")
    store.events.note([{"kind": "image info", "image": "two", "info": {"probe": "C5-1"}}])
    store.claim(store.unlabelled("cora"), "cora")
    weights.save(scratch / "uniultra_mini.safetensors", build("uniultra_mini", 64), {})
    network, digest = weights.load("uniultra_mini")
    part = (".iou_prediction_head.layers.2.",)
    bundle.save(scratch / "made", network, "uniultra_mini", over=(digest, part))
    Published(studies).publish(scratch / "made")

    # Whole seconds survive an archive: what the index notes of each file is still so after unpacking.
    store.index.close()
    for path in studies.rglob("*"):
        os.utime(path, (now[0].timestamp(),) * 2)
    store = LabelStore(studies, now=lambda: now[0])
    store.ready()
    store.images.refresh()
    body = answers(store) | {"now": now[0].isoformat(), "adapters": Published(studies).read().models}
    body["leases"] = [lease.model_dump(mode="json") for lease in store.leases()]
    store.index.close()
    (root / "answers.json").write_text(json.dumps(body))

    def plain(info):
        info.uid, info.gid, info.uname, info.gname, info.mtime = 0, 0, "", "", int(info.mtime)
        return None if info.name.endswith(("lock", "-wal", "-shm")) else info

    with tarfile.open(root / "campaign_be7670c.tar.xz", "w:xz") as archive:
        archive.add(studies, "studies", filter=plain)
        archive.add(root / "answers.json", "answers.json", filter=plain)
'''

from __future__ import annotations

import json
import tarfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from uniultra.store.store import LabelStore

ARCHIVE = Path(__file__).with_name("campaign_be7670c.tar.xz")
MADE = ("store.lock", "index.sqlite-wal", "index.sqlite-shm")  # by whoever opens the folder


def answers(store: LabelStore) -> dict[str, Any]:
    """What a store says of its folder, as JSON gives it back; leases are in the index alone."""
    images = store.images.listed()
    body = {
        "identity": store.identity.model_dump(),
        "images": {i: [store.images.record(i).path, store.images.record(i).info] for i in images},
        "units": store.units(),
        "finished": sorted(store.finished()),
        "versions": [version.model_dump(mode="json") for version in store.versions()],
        "states": [[*key, state] for key, state in sorted(store.states().items())],
        "current": sorted([*key, version.revision] for key, version in store.current().items()),
        "reviews": [review.model_dump(mode="json") for i in images for review in store.reviews(i)],
        "agreement": [pair.model_dump(mode="json") for i in images for pair in store.agreement(i)],
        "trainable": [label.model_dump(mode="json") for label in store.trainable()],
        "skipped": [[*unit, who] for unit, who in store.skipped().items()],
        "problems": [problem.model_dump(mode="json") for problem in store.problems()],
    }
    return json.loads(json.dumps(body))  # type: ignore[no-any-return]


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in MADE)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def before(tmp_path: Path) -> dict[str, Any]:
    """The folder, unpacked, and what the old code answered."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    body: dict[str, Any] = json.loads((tmp_path / "answers.json").read_text())
    return body


def test_the_folder_opens_as_it_is_and_answers_as_before(tmp_path: Path, before: dict[str, Any]) -> None:
    from uniultra.weights.deployed import Published

    studies, now = tmp_path / "studies", datetime.fromisoformat(before["now"])
    there = files(studies)
    store = LabelStore(studies, now=lambda: now)
    store.ready()
    said = answers(store)
    assert said == {key: before[key] for key in said}
    assert [lease.model_dump(mode="json") for lease in store.leases()] == before["leases"] != []
    assert Published(studies).read().models == before["adapters"] != {}
    store.index.close()
    after = files(studies)
    index = ".uniultra/index.sqlite"  # of the same file, the pages may be others
    assert after.keys() == there.keys(), "a file was renamed, removed or made"
    assert {name for name in there if after[name] != there[name]} <= {index}


def test_the_index_built_again_says_the_same(tmp_path: Path, before: dict[str, Any]) -> None:
    now = datetime.fromisoformat(before["now"])
    store = LabelStore(tmp_path / "studies", now=lambda: now)
    store.rebuild()
    said = answers(store)
    assert said == {key: before[key] for key in said}
    assert store.leases() == [], "leases are in the index alone"

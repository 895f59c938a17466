"""An import adds to a folder what it said, whole or not at all, and nothing anywhere else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from public_layouts import MAKERS, camus

from uniultra.cli.main import main
from uniultra.datasets.imported_folder import COLUMNS, fit
from uniultra.datasets.importing import import_set, place
from uniultra.datasets.manifest import read_manifest
from uniultra.datasets.readers import layout
from uniultra.datasets.readers.types import SourcePair, SourcePicture
from uniultra.errors import ImageError

EVERY = ["train", "val", "test"]


def cases(groups, split=None):
    return [SourcePicture(f"{group}-{n}", group, lambda: None, split) for group in groups for n in range(3)]


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".manifest.lock"
    }


@pytest.fixture
def sources(tmp_path):
    made = {}
    for name in ("busi", "hc18", "camus"):
        folder = tmp_path / "sources" / name
        folder.mkdir(parents=True)
        made[name] = MAKERS[name](folder)
    return made


def test_the_columns_are_those_of_the_shared_data(shared_dir):
    header = (shared_dir / "data" / "manifest.csv").read_text(encoding="utf-8").splitlines()[0]
    assert tuple(header.split(",")) == COLUMNS


def test_hashing_shares_out_patients_and_stays_the_same():
    many = cases([f"p{n}" for n in range(600)])
    first = place(many, "x", (0.7, 0.1, 0.2), {})
    assert first == place(many[::-1], "x", (0.7, 0.1, 0.2), {})
    counts = Counter(first.values())
    assert len(first) == 600
    for split, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert counts[split] / 600 == pytest.approx(share, abs=0.05)
    fewer = place(many[:90], "x", (0.7, 0.1, 0.2), {})
    assert all(first[group] == split for group, split in fewer.items()), "newcomers move nobody"


def test_a_group_that_the_source_divides_goes_to_its_strictest_part():
    torn = [SourcePicture("a", "p", lambda: None, "train"), SourcePicture("b", "p", lambda: None, "test")]
    assert place(torn, "x", (1.0, 0.0, 0.0), {}) == {"x-p": "test"}
    rest = place([*torn, *cases([f"q{n}" for n in range(200)])], "x", (0.5, 0.1, 0.4), {})
    assert Counter(rest.values())["test"] == 1, "the source's own test part is not added to"


def test_a_second_set_keeps_the_first_and_a_second_time_adds_nothing(sources, tmp_path):
    out = tmp_path / "out"
    import_set(layout("busi"), sources["busi"].folder, out)
    first = read_manifest(out, None, EVERY)
    import_set(layout("hc18"), sources["hc18"].folder, out)
    both = read_manifest(out, None, EVERY)
    assert both[: len(first)] == first and len(both) == len(first) + 6
    before = files(out)
    import_set(layout("busi"), sources["busi"].folder, out)
    assert files(out).keys() == before.keys()
    assert sorted(map(str, read_manifest(out, None, EVERY))) == sorted(map(str, both))


def test_a_label_added_later_keeps_each_patients_split(tmp_path):
    folder, out = tmp_path / "camus", tmp_path / "out"
    folder.mkdir()
    camus(folder, subgroups=False)
    import_set(layout("camus"), folder, out, labels=["lv"], shares=(0.5, 0.0, 0.5))
    import_set(layout("camus"), folder, out, labels=["la"], shares=(0.0, 1.0, 0.0))
    splits = {}
    for row in read_manifest(out, None, EVERY):
        splits.setdefault(row.group, set()).add(row.split)
    assert {row.dataset for row in read_manifest(out, None, EVERY)} == {"camus_lv", "camus_la"}
    assert all(len(found) == 1 for found in splits.values()) and {"val"} not in splits.values()


def test_what_cannot_be_read_whole_changes_nothing(sources, tmp_path):
    out = tmp_path / "out"
    for name in ("busi", "hc18"):
        import_set(layout(name), sources[name].folder, out)
    before = files(out)
    (sources["busi"].folder / "Dataset_BUSI_with_GT" / "normal" / "normal (8).png").write_bytes(b"no")
    with pytest.raises(ImageError, match="Picture 24 of 24"):
        import_set(layout("busi"), sources["busi"].folder, out, side=40)
    assert files(out) == before


def test_nothing_is_written_outside(sources, tmp_path):
    before = files(tmp_path / "sources")
    for name in sources:
        import_set(layout(name), sources[name].folder, tmp_path / "out")
    assert files(tmp_path / "sources") == before
    assert {path.name for path in tmp_path.iterdir()} == {"sources", "out"}
    for row in read_manifest(tmp_path / "out", None, EVERY):
        for path in (row.image, row.mask):
            assert path.resolve().is_relative_to((tmp_path / "out").resolve())


def test_an_output_that_is_no_place_for_it_is_refused(sources, tmp_path):
    busi, source = layout("busi"), sources["busi"].folder
    with pytest.raises(ImageError, match="outside the data set"):
        import_set(busi, source, source / "out")
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "busi_breast").symlink_to(elsewhere)
    with pytest.raises(ImageError, match="links to a folder"):
        import_set(busi, source, out)
    assert not list(elsewhere.iterdir())
    (out / "busi_breast").unlink()
    (out / "manifest.csv").write_text("dataset,id,split,image,mask\n")
    with pytest.raises(ImageError, match="columns"):
        import_set(busi, source, out)
    line = ",".join("busi_breast" if column == "dataset" else "x" for column in COLUMNS)
    (out / "manifest.csv").write_text(",".join(COLUMNS) + f"\n{line}\n")
    with pytest.raises(ImageError, match="another origin"):
        import_set(busi, source, out)


@pytest.mark.parametrize(
    ("shape", "spacing", "side", "stored", "pitch"),
    [
        ((540, 800), (0.069136, 0.069136), 512, (346, 512), 0.108025),  # as in the shared HC18
        ((100, 100), (0.2, 0.1), 512, (200, 100), 0.1),
        ((100, 100), (0.1, 0.3), 150, (50, 150), 0.2),
        ((300, 100), None, 512, (300, 100), None),
        ((1024, 512), None, 512, (512, 256), None),
    ],
)
def test_sizes_and_pitch(shape, spacing, side, stored, pitch):
    mask = np.zeros(shape, bool)
    mask[: shape[0] // 2] = True
    pair = fit(SourcePair(np.zeros(shape, np.uint8), {"a": mask}, spacing), side)
    assert pair.picture.shape == pair.masks["a"].shape == stored
    assert pair.masks["a"].mean() == pytest.approx(0.5, abs=0.01)
    assert pair.spacing_mm == (None if pitch is None else pytest.approx((pitch, pitch)))


def test_the_command_says_what_came_in(sources, tmp_path, capsys):
    out = tmp_path / "out"
    asked = ["data", "import", "camus", str(sources["camus"].folder), "--output", str(out), "--label", "la"]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "camus_la: 12 train, 4 val, 8 test" in said and "CC BY-NC-SA 4.0" in said and "6 groups" in said
    assert "pitch known for 24 of 24" in said
    assert {row.dataset for row in read_manifest(out, None, EVERY)} == {"camus_la"}
    assert main(["data", "list"]) == 0
    assert "jnu_ifm_symphysis" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (["data", "import", "nobody"], "Unknown layout; expected one of busi"),
        (["data", "import", "busi", "--label", "head"], "Unknown label 'head'; busi has lesion"),
        (["data", "import", "tn3k"], "trainval-image"),
    ],
)
def test_the_command_refuses(change, complaint, sources, tmp_path, capsys):
    folder = [str(sources["busi"].folder), "--output", str(tmp_path / "out")]
    assert main([*change[:3], *folder, *change[3:]]) == 2
    said = capsys.readouterr().err
    assert complaint in said and str(tmp_path) not in said


@pytest.mark.parametrize("wrong", [["--splits", "0.5,0.5"], ["--splits", "1,1,0"], ["--side", "4"]])
def test_the_command_checks_its_numbers(wrong, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["data", "import", "busi", str(tmp_path), "--output", str(tmp_path / "out"), *wrong])
    assert "expected" in capsys.readouterr().err

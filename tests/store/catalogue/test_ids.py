from __future__ import annotations

from pathlib import PurePosixPath as P

import pytest

from uniultra.errors import RequestError
from uniultra.store.catalogue.ids import check_id, check_tag, new_ids, split_name


@pytest.mark.parametrize(
    ("name", "stem", "ext"),
    [
        ("a.png", "a", ".png"),
        ("a.b.nii.gz", "a.b", ".nii.gz"),
        ("clip.seq.nrrd", "clip", ".seq.nrrd"),
        ("1.2.840.10008.5", "1.2.840.10008.5", ""),
        ("IM0001", "IM0001", ""),
        ("A.PNG", "A", ".PNG"),
    ],
)
def test_names_split_into_stem_and_extension(name: str, stem: str, ext: str) -> None:
    assert split_name(name) == (stem, ext)


def test_a_unique_stem_is_the_id_and_folders_are_joined() -> None:
    ids = new_ids([P("a.png"), P("x/y/b.nii.gz")], [])
    assert ids == {P("a.png"): "a", P("x/y/b.nii.gz"): "x__y__b"}


def test_colliding_stems_both_get_their_extension() -> None:
    assert new_ids([P("a.png"), P("a.dcm")], []) == {P("a.png"): "a.png", P("a.dcm"): "a.dcm"}


def test_a_newcomer_leaves_the_old_id_alone() -> None:
    assert new_ids([P("a.dcm")], ["a"]) == {P("a.dcm"): "a.dcm"}


def test_ids_that_differ_by_case_only_would_be_one_file_elsewhere() -> None:
    ids = new_ids([P("a.png"), P("A.png")], [])
    assert len({i.casefold() for i in ids.values()}) == 2


def test_paths_that_join_to_the_same_long_form_stay_apart() -> None:
    ids = new_ids([P("a/b/c.png"), P("a__b/c.png"), P("a/b__c.png"), P("a__b__c.png")], [])
    assert len(set(ids.values())) == 4


def test_hostile_file_names_become_ids_that_pass_the_check() -> None:
    names = ['q"uo?te.png', "new\nline.png", "con.png", " lead.png", "x" * 240 + ".png", "back\\slash.png"]
    for image_id in new_ids([P(n) for n in names], []).values():
        assert check_id(image_id) == image_id


@pytest.mark.parametrize(
    "bad",
    [
        *("", ".", "..", "../x", "a/b", "a\\b", "/etc/hostname", ".hidden", "a\0b", "a\nb", "x" * 201),
        *("nul", "COM1", "com1.txt", "C:x", "e\u0301", "\ud800", "tail.", None, 7, ["a"]),
    ],
)
def test_ids_that_are_no_plain_name_are_refused(bad: object) -> None:
    with pytest.raises(RequestError, match="plain name"):
        check_id(bad)


@pytest.mark.parametrize("bad", ["", "..", "../../evil", "a/b", "a b", "nul", "x" * 65, "é", None, 3, "a."])
def test_tags_that_are_no_plain_word_are_refused(bad: object) -> None:
    with pytest.raises(RequestError, match="tag"):
        check_tag(bad)


def test_usual_ids_and_tags_pass() -> None:
    for good in ("case 7 (left)", "1.2.840.5", "Düsseldorf", "a__b.nii.gz"):
        assert check_id(good) == good
    for good in ("final", "original", "final@anna", "v1.2"):
        assert check_tag(good) == good

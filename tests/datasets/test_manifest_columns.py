"""A manifest's optional columns: the pitch of the pixels, and the patient."""

import pytest

from uniultra.datasets.manifest import read_manifest
from uniultra.errors import ImageError


def test_the_manifest_gives_pitch_and_patient_where_it_has_them(tmp_path):
    def write(*cells):
        lines = ["dataset,id,split,image,mask,spacing_mm,group", *cells]
        (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
        return read_manifest(tmp_path, None, ["test"])

    with_both, without = write("a,1,test,i,m,0.25,p1", "a,2,test,i,m,,")
    assert (with_both.spacing_mm, with_both.group) == (0.25, "p1")
    assert (without.spacing_mm, without.group) == (None, None)
    for wrong in ("nan", "0", "-1", "wide"):
        with pytest.raises(ImageError, match="spacing_mm"):
            write(f"a,1,test,i,m,{wrong},p1")
    (tmp_path / "manifest.csv").write_text("dataset,id,split,image,mask\na,1,test,i,m\n")
    assert read_manifest(tmp_path, None, ["test"])[0].group is None

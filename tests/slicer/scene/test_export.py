"""What is uploaded: the voxels in their place, read back by other people's readers, and nothing more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slicer_harness import slicer, volume_node
from UniUltraLib.errors import SceneError
from UniUltraLib.prompts.nrrd import nrrd_bytes
from UniUltraLib.scene import coordinates
from UniUltraLib.scene.export import content_bytes
from UniUltraLib.scene.open_volume import OpenVolume

OBLIQUE = np.array([[0.3, -0.1, 0.2, 5], [0.1, 0.4, 0, 6], [-0.05, 0, 2, 7], [0, 0, 0, 1]])
TYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64", ">i2"]


def uploaded(node: Any) -> bytes:
    return content_bytes(OpenVolume(slicer.mrmlScene, node), blanked=False)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("slices", [1, 4])
def test_slicer_reads_it_back_in_place(
    scene: Any, application: Any, tmp_path: Path, dtype: str, slices: int
) -> None:
    array = np.random.default_rng(0).integers(0, 100, (slices, 5, 6)).astype(dtype)
    (tmp_path / "a.nrrd").write_bytes(nrrd_bytes(array, OBLIQUE))
    node = application.load(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(coordinates.voxels(node), array)
    assert coordinates.voxels(node).dtype == array.dtype.newbyteorder("=")
    np.testing.assert_allclose(coordinates.matrix_of(node.GetIJKToRASMatrix), OBLIQUE, atol=1e-12)


@pytest.mark.parametrize("channels", [3, 4])
def test_itk_reads_colour_as_colour(scene: Any, tmp_path: Path, channels: int) -> None:
    itk = pytest.importorskip("itk")
    array = np.random.default_rng(0).integers(0, 255, (2, 5, 6, channels)).astype(np.uint8)
    (tmp_path / "a.nrrd").write_bytes(uploaded(volume_node(array, OBLIQUE)))
    image = itk.imread(str(tmp_path / "a.nrrd"))
    np.testing.assert_array_equal(itk.array_view_from_image(image), array[..., :3])
    lps = np.diag([-1, -1, 1]) @ OBLIQUE[:3]
    np.testing.assert_allclose(np.array(image.GetOrigin()), lps[:, 3])
    directions = itk.array_from_matrix(image.GetDirection()) * np.array(image.GetSpacing())
    np.testing.assert_allclose(directions[:, 0], lps[:, 0], atol=1e-9)


def test_nothing_but_voxels_and_geometry_leaves(scene: Any) -> None:
    node = volume_node(np.zeros((1, 4, 5), np.uint8), name="DOE^JANE")
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3.4")
    node.SetDescription("DOE^JANE")
    head = uploaded(node).partition(b"\n\n")[0].decode()
    fields = {line.partition(":")[0] for line in head.splitlines()[1:]}
    geometry = {"dimension", "sizes", "space", "space directions", "space origin"}
    assert fields == geometry | {"type", "kinds", "endian", "encoding"}
    assert "DOE" not in head and "1.2.3.4" not in head


def test_the_hash_names_the_content(scene: Any) -> None:
    array = np.arange(20, dtype=np.uint8).reshape(1, 4, 5)
    same = {uploaded(volume_node(array, name=name)) for name in ("a", "b")}
    moved = uploaded(volume_node(array, OBLIQUE))
    changed = uploaded(volume_node(array + 1))
    assert len(same) == 1 and len({*same, moved, changed}) == 3


def test_pixels_that_are_no_picture_are_refused(scene: Any) -> None:
    with pytest.raises(SceneError, match="2 channels"):
        nrrd_bytes(np.zeros((1, 4, 5, 2), np.uint8), np.eye(4))
    with pytest.raises(SceneError, match="complex"):
        nrrd_bytes(np.zeros((1, 4, 5), np.complex64), np.eye(4))

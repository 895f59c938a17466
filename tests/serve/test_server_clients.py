"""Asked as MONAI Label's own clients ask, and as ours."""

from __future__ import annotations

import shutil
from pathlib import Path

import itk
import numpy as np
import pytest
from started_server import Running, parts_of

from uniultra.serve.wire.packing import unpack_mask


def test_info_is_what_stock_clients_read(server: Running) -> None:
    info = server.get("/info/").json()
    model = info["models"]["uniultra_mini"]
    assert model["type"] == "deepgrow" and model["dimension"] == 2 and model["labels"] == ["structure"]
    assert {"default", "random", "boundary_entropy"} <= info["strategies"].keys()
    assert info["trainers"].keys() == {"uniultra_mini"}, "no weights, no training"
    assert info["datastore"]["total"] >= 5
    assert info["models"]["autosamus_mini"]["type"] == "segmentation"
    assert info["unavailable"].keys() == {"sam2_t"} and "sam2_t" not in info["models"]


def test_the_store_lists_every_format_and_nested_folders(server: Running) -> None:
    listing = server.get("/datastore/", params={"output": "all"}).json()
    assert {"grey", "ward 3__colour", "volume", "cine"} <= set(listing["objects"])
    assert listing["objects"]["volume"]["image"]["ext"] == ".nii.gz"
    assert server.get("/datastore/?output=train").json() == []
    assert server.get("/datastore/").json()["total"] == len(listing["objects"])


@pytest.mark.parametrize(
    ("image", "file", "k"),
    [("grey", "grey.png", 0), ("ward 3__colour", "ward 3/colour.png", 0), ("volume", "volume.nii.gz", 3)],
)
@pytest.mark.parametrize("ext", [".nrrd", ".nii.gz"])
def test_a_stock_click_gets_a_mask_in_the_geometry_of_its_file(
    server: Running, tmp_path: Path, image: str, file: str, k: int, ext: str
) -> None:
    # what the Slicer plugin sends: points in ijk, the options of the model, extension and type
    params = {
        "foreground": [[40, 30, k]],
        "background": [[2, 2, k]],
        "roi": [60, 20, 45, 15, k, k],
        "slice": k,
        "label": "structure",
        "result_extension": ext,
        "result_dtype": "uint8",
        "client_id": "user-xyz",
    }
    answer = server.infer(image, params)
    assert answer.status_code == 200, answer.text
    json_part, mask_part, disposition = parts_of(answer)
    assert json_part["label_names"] == {"structure": 1} and json_part["model"] == "uniultra_mini"
    assert 0 <= json_part["score"] <= 1 and json_part["latencies"]["total"] > 0
    assert f'{ext}"' in disposition
    path = tmp_path / f"mask{ext}"
    path.write_bytes(mask_part)
    mask, source = itk.imread(str(path)), itk.imread(str(server.studies / file))
    values = itk.array_from_image(mask)
    assert values.dtype == np.uint8 and set(np.unique(values)) <= {0, 1}
    assert values.shape[1:] == (60, 80)
    assert not values[np.arange(len(values)) != k].any()
    n = source.GetImageDimension()
    assert list(mask.GetSpacing())[:n] == pytest.approx(list(source.GetSpacing()))
    assert list(mask.GetOrigin())[:n] == pytest.approx(list(source.GetOrigin()))
    directions = [itk.array_from_matrix(i.GetDirection())[:n, :n] for i in (mask, source)]
    assert np.allclose(*directions, atol=1e-6)


def test_the_packed_answer_is_the_same_mask(server: Running, tmp_path: Path) -> None:
    params = {"foreground": [[40, 30, 2]]}
    stock, mine = server.infer("cine", params), server.infer("cine", {**params, "result": "packed"})
    path = tmp_path / "mask.nrrd"
    path.write_bytes(parts_of(stock)[1])
    body = mine.json()
    assert body["frame"] == 2 and body["plane"] == {"axis": "k", "index": 2}
    assert body["timings"]["cached"] == 1  # the first answer's embedding
    expected = itk.array_from_image(itk.imread(str(path)))[2] > 0
    assert np.array_equal(unpack_mask(body["bbox"], body["mask"], (60, 80)), expected)


def test_monai_labels_own_client(server: Running, tmp_path: Path) -> None:
    client_module = pytest.importorskip("monailabel.client.client", reason="needs the cgi module")
    client = client_module.MONAILabelClient(server.url, str(tmp_path), client_id="someone")
    assert not client.auth_enabled()
    sample = client.next_sample("random", {})
    assert Path(sample["path"]).is_file() and sample["name"]
    file, params = client.infer(
        "uniultra_mini", "volume", {"foreground": [[40, 30, 1]], "result_extension": ".nrrd"}
    )
    assert Path(file).read_bytes().startswith(b"NRRD") and params["label_names"]
    saved = client.save_label("volume", file, "final", {"label_info": [{"name": "structure", "idx": 1}]})
    assert saved == {"image": "volume", "label": "volume", "revision": 1}
    assert (server.studies / "labels" / "final" / "volume.nrrd").is_file()
    assert Path(client.download_label("volume", "final")).read_bytes() == Path(file).read_bytes()
    assert client.datastore()["objects"]["volume"]["labels"]["final"]["info"]["client_id"] == "someone"
    assert server.get("/info/").json()["datastore"]["completed"] == 1
    own = client.create_session(str(server.studies / "volume.nii.gz"))["session_id"]
    assert client.get_session(own)["name"] == own
    file, _ = client.infer("uniultra_mini", "my volume", {"foreground": [[40, 30, 4]]}, session_id=own)
    assert Path(file).stat().st_size > 100
    client.remove_session(own)
    with pytest.raises(client_module.MONAILabelClientException):
        client.get_session(own)


def test_an_own_volume_in_any_format_lives_in_a_session(server: Running) -> None:
    for name in ("grey.png", "cine.seq.nrrd", "volume.nii.gz"):
        with (server.studies / name).open("rb") as file:
            made = server.put("/session/", files={"files": (name, file)})
        assert made.status_code == 200, made.text
        session = made.json()["session_id"]
        assert str(server.home) not in made.text
        packed = {"foreground": [[40, 30, 0]], "result": "packed"}
        assert server.infer("whatever", packed, session_id=session).json()["frame"] == 0
        image = server.get(f"/session/{session}?image=true")
        assert image.content == (server.studies / name).read_bytes()
        assert server.delete(f"/session/{session}").status_code == 200
        gone = server.infer("whatever", packed, session_id=session)
        assert gone.status_code == 404 and "Upload the image again" in gone.json()["detail"]


def test_a_header_and_its_data_may_come_together_and_archives_may_not(server: Running) -> None:
    header = (
        "ObjectType = Image\nNDims = 2\nDimSize = 8 6\nElementType = MET_UCHAR\nElementDataFile = a.raw\n"
    )
    both = [("files", ("a.mhd", header)), ("files", ("a.raw", bytes(48)))]
    made = server.put("/session/", files=both)
    assert made.status_code == 200, made.text
    answer = server.infer(
        "", {"foreground": [[3, 3]], "result": "packed"}, session_id=made.json()["session_id"]
    )
    assert answer.status_code == 200, answer.text
    for files in (both[1:], [*both, ("files", ("b.png", b"x"))], [("files", ("a.png", b"no picture"))]):
        assert server.put("/session/", files=files).status_code == 422
    refused = server.put("/session/?uncompress=true", files=both[:1])
    assert refused.status_code == 422 and "Archives" in refused.json()["detail"]


def test_new_files_are_seen_and_lost_ones_are_a_clear_404(server: Running) -> None:
    new = server.studies / "late.png"
    shutil.copy(server.studies / "grey.png", new)
    click = {"foreground": [[4, 4]], "result": "packed"}
    assert server.infer("late", click).status_code == 200
    new.unlink()
    lost = server.infer("late", click)
    assert lost.status_code == 404 and "gone" in lost.json()["detail"]


def test_real_dicom_is_listed_by_its_magic_and_clicked(server: Running, shared_dir: Path) -> None:
    dicom = shared_dir / "dicom"
    shutil.copy(dicom / "DIRW0007.dcm", server.studies / "IM0007")  # a cine, without an ending
    shutil.copy(dicom / "examples_palette.dcm", server.studies / "ward 3" / "palette.dcm")
    shutil.copy(dicom / "dcm4che_will-jxl.dcm", server.studies / "jxl.dcm")
    last = server.infer("IM0007", {"foreground": [[288, 228, 64]], "result": "packed"})
    assert last.status_code == 200 and last.json()["frame"] == 64, last.text
    beyond = server.infer("IM0007", {"foreground": [[288, 228, 65]], "result": "packed"})
    assert beyond.status_code == 422 and "0 to 64" in beyond.json()["detail"]
    assert server.infer("ward 3__palette", {"foreground": [[90, 90]]}).status_code == 200
    nobody = server.infer("jxl", {"foreground": [[9, 9]]})
    assert nobody.status_code == 422 and "JPEG XL" in nobody.json()["detail"]
    sample = server.get("/datastore/image?image=IM0007")
    assert sample.content == (dicom / "DIRW0007.dcm").read_bytes()

"""Tiny copies of the public data sets, laid out as their publishers do, with the masks that must come out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from factories import make_volume
from PIL import Image, ImageDraw

SHAPE = (40, 60)  # rows, columns


@dataclass
class Made:
    """What a copy holds: masks by data set and id, and what is known of its pictures."""

    folder: Path
    pictures: dict = field(default_factory=dict)
    masks: dict = field(default_factory=dict)


def picture(seed, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def disc(y, x, radius, shape=SHAPE):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def png(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def white(mask):
    return mask.astype(np.uint8) * 255


def busi(folder):
    made = Made(folder)
    root = folder / "Dataset_BUSI_with_GT"
    for n in range(1, 9):
        for kind in ("benign", "malignant", "normal"):
            seed = 10 * n + len(kind)
            one = disc(12, 10 + n, 5) if kind != "normal" else np.zeros(SHAPE, bool)
            other = disc(30, 45, 4) if (kind, n) == ("benign", 2) else np.zeros(SHAPE, bool)
            name = root / kind / f"{kind} ({n})"
            png(name.with_name(f"{name.name}.png"), np.stack([picture(seed)] * 3, -1))
            png(name.with_name(f"{name.name}_mask.png"), white(one))
            if other.any():
                png(name.with_name(f"{name.name}_mask_1.png"), white(other))
            made.pictures[f"{kind}_{n}"] = picture(seed)
            made.masks["busi_breast", f"{kind}_{n}"] = one | other
    png(folder / "__MACOSX" / "benign" / "._benign (1).png", picture(0))
    return made


def tn3k(folder):
    made = Made(folder)
    root = folder / "tn3k"
    for part, count in (("trainval", 8), ("test", 3)):
        for n in range(count):
            mask = disc(20, 15 + 3 * n, 8)
            (root / f"{part}-image").mkdir(parents=True, exist_ok=True)
            (root / f"{part}-mask").mkdir(exist_ok=True)
            Image.fromarray(picture(n)).save(root / f"{part}-image" / f"{n:04d}.jpg", quality=95)
            Image.fromarray(white(mask)).save(root / f"{part}-mask" / f"{n:04d}.jpg", quality=95)
            made.masks["tn3k_nodule", f"{part}_{n:04d}"] = mask
    fold = {"train": [0, 1, 2, 4, 6, 7], "val": [3, 5]}
    (root / "tn3k-trainval-fold0.json").write_text(json.dumps(fold))
    return made


def ddti(folder):
    made = Made(folder)
    corners = [(10, 8), (30, 8), (30, 20), (10, 20)]
    outline = {"points": [{"x": x, "y": y} for x, y in corners], "annotation": {}, "regionType": "freehand"}
    second = {"points": [{"x": x + 22, "y": y + 15} for x, y in corners], "regionType": "freehand"}
    cases = {
        1: {1: [outline], 2: [outline, second]},
        2: {1: []},  # nobody drew: not the same as nothing there
        7: {1: [second]},
    }
    for case, images in cases.items():
        marks = ""
        for index, drawn in images.items():
            Image.fromarray(picture(case)).save(folder / f"{case}_{index}.jpg", quality=95)
            svg = json.dumps(drawn) if drawn else ""
            marks += f"<mark><image>{index}</image><svg>{svg}</svg></mark>"
        head = f"<number>{case}</number><age>44</age><sex>F</sex>"
        (folder / f"{case}.xml").write_text(f'<?xml version="1.0"?>\n<case>{head}{marks}</case>')
    first = np.zeros(SHAPE, bool)
    first[8:21, 10:31] = True
    moved = np.zeros(SHAPE, bool)
    moved[23:36, 32:53] = True
    made.masks = {
        ("ddti_nodule", "1_1"): first,
        ("ddti_nodule", "1_2"): first | moved,
        ("ddti_nodule", "7_1"): moved,
    }
    return made


def camus(folder, spacing=(0.2, 0.2), ending=".nii.gz", subgroups=True):
    """`spacing` is x, y, as ITK has it."""
    made = Made(folder)
    patients = [f"patient{n:04d}" for n in range(1, 7)]
    for n, patient in enumerate(patients):
        for view in ("2CH_ED", "2CH_ES", "4CH_ED", "4CH_ES"):
            labels = np.zeros(SHAPE, np.uint8)
            labels[disc(14, 30 + n, 10)] = 2
            labels[disc(14, 30 + n, 6)] = 1
            labels[disc(32, 30, 5)] = 3
            name = folder / "database_nifti" / patient / f"{patient}_{view}"
            name.parent.mkdir(parents=True, exist_ok=True)
            for ends, values in ((ending, picture(n).astype(np.float32)), (f"_gt{ending}", labels)):
                make_volume(Path(f"{name}{ends}"), values, spacing=spacing)
            for value, label in enumerate(("camus_lv", "camus_myo", "camus_la"), 1):
                made.masks[label, f"{patient}_{view}"] = labels == value
            made.pictures[f"{patient}_{view}"] = picture(n)
        sequence = sitk.GetImageFromArray(np.zeros((3, *SHAPE), np.uint8))
        sitk.WriteImage(sequence, f"{name.parent}/{patient}_2CH_half_sequence_gt{ending}")
        (name.parent / "Info_2CH.cfg").write_text("ED: 1\nES: 18\nSex: F\nAge: 56\nImageQuality: Good\n")
    if subgroups:
        split = folder / "database_split"
        split.mkdir()
        for group, part in (
            ("training", patients[:3]),
            ("validation", patients[3:4]),
            ("testing", patients[4:]),
        ):
            (split / f"subgroup_{group}.txt").write_text("\n".join(part) + "\n")
    return made


def hc18(folder):
    made = Made(folder)
    lines = ["filename,pixel size(mm),head circumference (mm)"]
    for n, name in enumerate(("000_HC", "001_HC", "001_2HC", "001_3HC", "002_HC", "010_HC")):
        ring, whole = Image.new("L", SHAPE[::-1]), Image.new("1", SHAPE[::-1])
        box = (8 + n, 6, 44 + n, 32)
        ImageDraw.Draw(ring).ellipse(box, outline=255)
        ImageDraw.Draw(whole).ellipse(box, fill=1)
        png(folder / "training_set" / f"{name}.png", picture(n))
        ring.save(folder / "training_set" / f"{name}_Annotation.png")
        lines.append(f"{name}.png,{0.1 + n / 100},{100.5 + n}")
        made.pictures[name] = picture(n)
        made.masks["hc18_fetal_head", name] = np.asarray(whole)
    (folder / "training_set_pixel_size_and_HC.csv").write_text("\n".join(lines) + "\n")
    png(folder / "test_set" / "000_HC.png", picture(99))
    return made


def jnu_ifm(folder):
    made = Made(folder)
    for video in ("20190909T155747", "20190909T160102", "20190916T104520"):
        for frame in range(3):
            head, symphysis = disc(26, 35, 9), disc(8, 12 + frame, 4)
            labels = np.zeros(SHAPE, np.uint8)
            labels[symphysis], labels[head] = 7, 8
            name = f"{video}_{frame}"
            png(folder / video / "image" / f"{name}.png", picture(frame))
            png(folder / video / "mask" / f"{name}_mask.png", labels)
            png(folder / video / "mask_enhance" / f"{name}_mask.png", np.stack([white(head)] * 3, -1))
            made.pictures[name] = picture(frame)
            made.masks["jnu_ifm_head", name] = head
            made.masks["jnu_ifm_symphysis", name] = symphysis
    png(folder / video / "image" / f"{video}_9.png", picture(9))  # without a mask
    return made


def psfhs(folder):
    made = Made(folder)
    shape = (64, 64)
    for n in range(1, 5):
        labels = np.zeros(shape, np.uint8)
        labels[disc(40, 40, 12, shape)], labels[disc(12, 12, 5, shape)] = 2, 1
        for part, values in (("image", np.stack([picture(n, shape)] * 3)), ("label", labels)):
            path = folder / "PSFHS" / f"{part}_mha" / f"{n:05d}.mha"
            path.parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(values), str(path))
        made.pictures[f"{n:05d}"] = picture(n, shape)
        made.masks["psfhs_head", f"{n:05d}"] = labels == 2
        made.masks["psfhs_symphysis", f"{n:05d}"] = labels == 1
    return made


MAKERS = {
    "busi": busi,
    "camus": camus,
    "ddti": ddti,
    "hc18": hc18,
    "jnu_ifm": jnu_ifm,
    "psfhs": psfhs,
    "tn3k": tn3k,
}

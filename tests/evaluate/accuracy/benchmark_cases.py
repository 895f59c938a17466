"""Generated pictures, their manifest, and predictors that follow a script."""

import csv

import numpy as np
from PIL import Image

from uniultra.metrics.overlap import ellipse_in
from uniultra.predict.predictor import Prediction
from uniultra.predict.still import Still
from uniultra.prompts.simulation.clicks_boxes import components

SHAPE = (60, 80)
KINDS = ("point", "box", "scribble", "mask")


def disk(x, y, radius):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def square(x, y, half):
    mask = np.zeros(SHAPE, bool)
    mask[y - half : y + half + 1, x - half : x + half + 1] = True
    return mask


def line():
    mask = np.zeros(SHAPE, bool)
    mask[30, 10:70] = True
    return mask


# dataset, id, patient, label, spacing in mm
PICTURES = (
    ("known", "a", "anna", disk(20, 30, 12) | disk(60, 20, 6), 0.25),
    ("known", "b", "anna", square(40, 30, 10), 0.25),
    ("known", "c", "bert", disk(50, 30, 9), 0.5),
    ("known", "d", "carl", np.zeros(SHAPE, bool), None),
    ("strange", "e", "dora", disk(30, 25, 14), None),
    ("strange", "f", "emil", square(45, 28, 12), None),
    ("dltrack_fascicle", "g", "fred", line(), None),
)


def write_manifest(folder, pictures):
    """The folder of a manifest.

    `pictures`: dataset, ID, split, patient, picture `(H,W)` uint8, mask `(H,W)` bool, spacing in mm or None.
    """
    folder.mkdir(exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("dataset", "id", "split", "group", "image", "mask", "spacing_mm"))
        for dataset, name, split, group, picture, mask, spacing in pictures:
            Image.fromarray(picture).save(folder / f"{name}.png")
            Image.fromarray(mask).save(folder / f"{name}_mask.png")
            writer.writerow((dataset, name, split, group, f"{name}.png", f"{name}_mask.png", spacing or ""))
    return folder


class Scripted:
    """Answers with the target, changed by `change(prompts, truth)`, with the predicted IoU `score`."""

    def __init__(self, folder, change=lambda prompts, truth: truth, score=1.0):
        self.change, self.score, self.asked = change, score, []
        self.truths = {}
        for _, name, _, label, _ in PICTURES:
            with Image.open(folder / f"{name}.png") as picture:
                parts = components(label)
                self.truths[Still(np.asarray(picture)).content_hash] = parts[0] if parts else label

    def predict(self, source, plane, prompts):
        self.asked.append(list(prompts))
        picture = source.picture(plane)
        truth = self.truths.get(source.content_hash, np.zeros(picture.shape, bool))
        timings = {"encode": 0.2, "decode": 0.1 * len(prompts), "cached": float(len(self.asked) > 1)}
        return [Prediction(self.change(p, truth), self.score, "script", None, timings) for p in prompts]


def inscribed(prompts, truth):
    """The ellipse in the box, and nothing without a box."""
    return ellipse_in(prompts.box, truth.shape) if prompts.box else np.zeros_like(truth)

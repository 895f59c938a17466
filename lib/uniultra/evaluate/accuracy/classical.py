"""Promptable segmentation without a network: the ellipse in the box, GrabCut, the random walker."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uniultra.errors import RequestError
from uniultra.evaluate.systems import System
from uniultra.images.types import FrameSource, Picture, Plane
from uniultra.metrics.overlap import ellipse_in
from uniultra.predict.predictor import Prediction
from uniultra.prompts.types import Box, Mask, PromptSet

SIDE = 256  # longer side of the picture that GrabCut and the random walker work on
CLICK_RADIUS = 5  # pixels of that picture that a click marks
ITERATIONS = 5
# Chosen on `val` pictures.
SMOOTHING = 1.5  # sigma of the Gaussian before either method, pixels
MIDDLE = 0.8  # fraction of a box whose inscribed ellipse is certainly object
NEAR = 30  # pixels around the marked object that are probably object for GrabCut
BETA = 1000.0  # edge weight of the random walker
UNKNOWN, OBJECT, BACKGROUND = 0, 1, 2
Method = Callable[[Picture, PromptSet], Mask]


class Classical:
    """A method without a network behind the predictor's interface."""

    def __init__(self, name: str, method: Method) -> None:
        self.name, self.method = name, method

    def predict(self, source: FrameSource, plane: Plane, prompts: Sequence[PromptSet]) -> list[Prediction]:
        picture = source.picture(plane)
        start = time.perf_counter()
        masks = [self.method(picture, prompt_set) for prompt_set in prompts]
        seconds = time.perf_counter() - start
        timings = {"cached": 1.0, "encode": 0.0, "decode": seconds}
        return [Prediction(mask, float("nan"), self.name, None, timings) for mask in masks]


def classical(*, only_ellipse: bool = False) -> dict[str, System]:
    """The methods by name.

    Raises:
        RequestError: OpenCV, which provides GrabCut, is not installed.
    """
    methods = {"ellipse": System("ellipse in the box", Classical("ellipse", _ellipse), ("box",))}
    if only_ellipse:
        return methods
    try:
        import cv2  # noqa: F401  (fail before the long measurement, not after it)
    except ModuleNotFoundError:
        raise RequestError(
            "GrabCut needs OpenCV, which is not installed. Run `pip install uniultra[benchmark]`."
        ) from None
    prompts = ("point", "box", "scribble")
    methods["grabcut"] = System("GrabCut", Classical("grabcut", grabcut), (*prompts, "mask"))
    methods["random_walker"] = System("random walker", Classical("random_walker", random_walker), prompts)
    return methods


def grabcut(picture: Picture, prompts: PromptSet) -> Mask:
    """GrabCut (Rother et al. 2004) of OpenCV, on the smoothed picture at SIDE pixels.

    The marks of `_seeds` are certain. Probable object is the mask to refine, else the inside of the box,
    else the pixels within NEAR of the marked object; all others are probable background.

    Args:
        picture: `(H,W)` uint8.
        prompts: points, box, scribbles, mask to refine.
    """
    import cv2

    small, seeds, inside = _seeds(picture, prompts)
    if prompts.mask and prompts.mask.mask.any():
        inside = _resized_mask(prompts.mask.mask, small.shape)
    elif inside is None and (seeds == OBJECT).any():
        inside = ndimage.distance_transform_edt(seeds != OBJECT) <= NEAR
    labels = np.full(small.shape, cv2.GC_PR_BGD, np.uint8)
    if inside is not None:
        labels[inside] = cv2.GC_PR_FGD
    labels[seeds == BACKGROUND] = cv2.GC_BGD
    labels[seeds == OBJECT] = cv2.GC_FGD
    sure = np.isin(labels, (cv2.GC_BGD, cv2.GC_PR_BGD))
    if sure.all() or not sure.any():
        return _resized_mask(~sure, picture.shape)  # a single class: nothing to separate
    cv2.setRNGSeed(0)
    colour = np.repeat(np.round(small).astype(np.uint8)[..., None], 3, axis=2)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(colour), labels, None, *models, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return _resized_mask(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)), picture.shape)


def random_walker(picture: Picture, prompts: PromptSet) -> Mask:
    """The random walker (Grady 2006) of scikit-image, on the smoothed picture at SIDE pixels.

    Args:
        picture: `(H,W)` uint8.
        prompts: points, box, scribbles; see `_seeds` for the marks they leave.
    """
    from skimage.segmentation import random_walker as walk

    small, seeds, _ = _seeds(picture, prompts)
    if not (seeds == OBJECT).any():
        return np.zeros(picture.shape[:2], bool)  # negative clicks alone mark nothing
    if (seeds == UNKNOWN).any() and (seeds == BACKGROUND).any():
        seeds = walk(small / 255, seeds, beta=BETA, mode="bf")  # solved exactly
    return _resized_mask(seeds == OBJECT, picture.shape)


def _ellipse(picture: Picture, prompts: PromptSet) -> Mask:
    shape = picture.shape[0], picture.shape[1]
    return ellipse_in(prompts.box, shape) if prompts.box else np.zeros(shape, bool)


def _seeds(
    picture: Picture, prompts: PromptSet
) -> tuple[NDArray[np.float64], NDArray[np.int32], Mask | None]:
    """The small, smoothed picture `(h,w)`, its certain labels, and the box's area (None without a box).

    Clicks and scribbles are certain. A box makes its outside certain too, and its middle if no click or
    scribble marks the object; without a box the picture's border is background.
    """
    rows, columns = picture.shape[:2]
    factor = min(1.0, SIDE / max(rows, columns))
    shape = max(4, round(rows * factor)), max(4, round(columns * factor))
    small = ndimage.gaussian_filter(_resized(picture.astype(float), shape), SMOOTHING)
    seeds = np.zeros(shape, np.int32)
    ys, xs = np.mgrid[: shape[0], : shape[1]]
    scale = shape[0] / rows, shape[1] / columns
    for stroke in prompts.scribbles:
        at = np.nonzero(stroke.pixels)
        place = tuple((axis * s).astype(int) for axis, s in zip(at, scale, strict=True))
        seeds[place] = OBJECT if stroke.positive else BACKGROUND
    for point in prompts.points:
        y, x = (point.y + 0.5) * scale[0] - 0.5, (point.x + 0.5) * scale[1] - 0.5
        disk = np.hypot(ys - y, xs - x) <= CLICK_RADIUS
        seeds[disk] = OBJECT if point.positive else BACKGROUND
    inside = np.zeros(shape, bool)
    if box := prompts.box:
        top, bottom = (box.y0 * scale[0], (box.y1 + 1) * scale[0])
        left, right = (box.x0 * scale[1], (box.x1 + 1) * scale[1])
        inside[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
        if not (seeds == OBJECT).any():
            seeds[_middle(inside) & (seeds == UNKNOWN)] = OBJECT
    else:
        inside[1:-1, 1:-1] = True
    seeds[~inside & (seeds == UNKNOWN)] = BACKGROUND
    return small, seeds, inside if prompts.box else None


def _middle(box: Mask) -> Mask:
    rows, columns = np.nonzero(box)
    y, x = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    height, width = MIDDLE * (np.ptp(rows) + 1) / 2, MIDDLE * (np.ptp(columns) + 1) / 2
    inner = Box(x - width + 0.5, y - height + 0.5, x + width - 0.5, y + height - 0.5)
    middle = ellipse_in(inner, (box.shape[0], box.shape[1]))
    middle[round(y), round(x)] = True  # a box may be too thin for an ellipse
    return middle


def _resized(picture: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    from skimage.transform import resize

    return np.asarray(resize(picture, shape, order=1, anti_aliasing=True, preserve_range=True))


def _resized_mask(mask: Mask, shape: tuple[int, ...]) -> Mask:
    return np.asarray(_resized(mask.astype(float), shape[:2]) > 0.5)

"""`uniultra segment`: one object on one frame of a file, without a server."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from uniultra.cli.arguments import Commands, add_device
from uniultra.errors import PromptError, RequestError


def add_parser(commands: Commands) -> None:
    """Add `segment` to the program's commands."""
    parser = commands.add_parser("segment", help="segment one object of one picture")
    parser.add_argument("image", type=Path)
    for option, place in (("--point", "on"), ("--negative", "beside")):
        parser.add_argument(
            option,
            type=_numbers(2, 3),
            action="append",
            default=[],
            metavar="X,Y[,FRAME]",
            help=f"a click {place} the object (repeatable)",
        )
    parser.add_argument("--box", type=_numbers(4, 4), metavar="X0,Y0,X1,Y1")
    parser.add_argument(
        "--frame", type=int, help="frame of a cine or volume (default: the first point's, or 0)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help=".nrrd, .nii.gz or .mha")
    parser.add_argument(
        "--overlay", type=Path, help="a PNG with the mask and the prompts drawn on the picture"
    )
    parser.add_argument("--model", default="uniultra_mini", help="see `uniultra models`")
    add_device(parser)
    parser.set_defaults(run=_segment)


def _numbers(low: int, high: int) -> Callable[[str], list[float]]:
    def parse(text: str) -> list[float]:
        values = [float(part) for part in text.split(",")]
        if not low <= len(values) <= high:
            raise argparse.ArgumentTypeError(f"expected {low} to {high} numbers, got {len(values)}")
        return values

    parse.__name__ = "list of numbers"  # argparse shows it when float() refuses the text
    return parse


def _segment(options: argparse.Namespace) -> None:
    import numpy as np
    from PIL import Image

    from uniultra.images import read_image, write_mask
    from uniultra.images.types import Plane
    from uniultra.predict import Predictor
    from uniultra.prompts import Box, Point, PromptSet
    from uniultra.prompts.coordinates import slice_of
    from uniultra.prompts.overlay import overlay

    image = read_image(options.image)
    clicks = options.point + options.negative
    frames = {slice_of([click]) for click in clicks if len(click) == 3}
    frames |= {options.frame} if options.frame is not None else set()
    if len(frames) > 1:
        raise PromptError(
            f"Expected one frame; the points and --frame name {len(frames)}. Segment each frame by itself."
        )
    frame = next(iter(frames), 0) or 0
    points = [Point(p[0], p[1]) for p in options.point]
    points += [Point(p[0], p[1], positive=False) for p in options.negative]
    prompts = PromptSet(tuple(points), Box(*options.box) if options.box else None)
    plane = Plane("k", frame)
    [answer] = Predictor(options.model, device=options.device).predict(image, plane, [prompts])
    masks = np.zeros(image.shape, bool)
    masks[frame] = answer.mask
    write_mask(masks, image, options.output)
    if options.overlay:
        drawn = Image.fromarray(overlay(image.picture(plane), answer.mask, prompts))
        try:
            drawn.save(options.overlay, "PNG")
        except OSError:
            raise RequestError(
                "The overlay cannot be written there. Name a .png in another folder."
            ) from None
    percent = 100 * answer.mask.mean()
    print(f"frame {frame}: {answer.mask.sum()} pixels ({percent:.1f} %), predicted IoU {answer.score:.2f}")

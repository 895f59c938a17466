"""Draw generated scenes with the outlines of their targets, as the README shows them.

.venv/bin/python training/scenes.py --output docs/pictures/scenes.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image
from skimage.segmentation import find_boundaries

from uniultra.synthesis.scene import scene


def main() -> None:
    """Write a sheet of scenes, the outlines in colour on the lower copy of each row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--size", type=int, default=256, help="side of a scene in pixels")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    colours = np.round(255 * np.array(colormaps["tab10"].colors)).astype(np.uint8)
    rows = []
    for row in range(given.rows):
        plain, drawn = [], []
        for column in range(given.columns):
            made = scene(np.random.default_rng([given.seed, row, column]), given.size)
            picture = np.repeat(made.picture[..., None], 3, axis=2)
            outlined = picture.copy()
            for n, target in enumerate(made.targets):
                outlined[find_boundaries(target, mode="inner")] = colours[n % len(colours)]
            plain.append(picture)
            drawn.append(outlined)
        rows += [np.hstack(plain), np.hstack(drawn)]
    given.output.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(given.output, quality=85, optimize=True)


if __name__ == "__main__":
    main()

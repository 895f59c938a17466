"""Put what a plan trained into the app's model folder: fp16, tasks folded, within the size that is allowed.

    .venv/bin/python training/ship.py OUT

OUT is the output folder of `uniultra train training/default.yaml`. The SHA-256 of whole files go into
`SHA256SUMS` beside them; a bundle's manifest has its own. The cards are written by hand, their tables by
`training/tables.py`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import torch

from uniultra.adapters import apg, bundle
from uniultra.models import weights

LIMIT = 48_000_000  # bytes of all shipped files together
WHOLE = {"default": "uniultra_mini", "without_busi": "uniultra_mini.nobusi"}
TASKS = {"head": "autosamus_mini.fetal_head", "breast": "autosamus_mini.breast_lesion"}


def ship(output: Path, folder: Path) -> None:
    """Copy and fold."""
    sums = {}
    for stage, name in WHOLE.items():
        made = folder / f"{name}{weights.SUFFIX}"
        shutil.copyfile(output / stage / f"uniultra_mini{weights.SUFFIX}", made)
        sums[made.name] = weights.file_sha256(made)
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (folder / weights.SUMS).write_text(lines, encoding="ascii")
    base = weights.load_file("uniultra_mini", folder / f"uniultra_mini{weights.SUFFIX}")
    for stage, name in TASKS.items():
        network = apg.inject(base)
        manifest = bundle.load(output / stage / "autosamus_mini", network)
        folded = apg.fold(network.eval())
        told = manifest.model_dump(include={"data", "metrics"})
        bundle.save(
            folder / name, folded, "autosamus_mini", config=folded.config, dtype=torch.float16, **told
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="folder of a finished plan")
    options = parser.parse_args()
    folder = weights.shipped_folder()
    ship(options.output, folder)
    size = sum(path.stat().st_size for path in folder.rglob(f"*{weights.SUFFIX}"))
    print(f"{size / 1e6:.1f} MB of {LIMIT / 1e6:.0f}")
    return 0 if size <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

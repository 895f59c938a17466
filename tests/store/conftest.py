from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def picture(path: Path, value: int = 90) -> Path:
    """A tiny grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8), value, np.uint8)).save(path)
    return path


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A studies folder with two pictures, one of them nested."""
    root = tmp_path / "studies"
    picture(root / "one.png")
    picture(root / "deep" / "er" / "two.png")
    return root


@pytest.fixture
def make_picture() -> object:
    return picture

"""The Python client that docs/client.md prints runs as it stands, against the real server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from started_server import Running


@pytest.fixture
def program(project_root: Path, tmp_path: Path) -> Path:
    text = (project_root / "docs" / "client.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "click.py").write_text(code, encoding="utf-8")
    return tmp_path / "click.py"


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=program.parent, timeout=120)


def test_the_printed_client_gets_the_mask_that_the_server_answers(server: Running, program: Path) -> None:
    done = run(program, server.url, "volume", "40", "30", "--frame", "3")
    assert done.returncode == 0, done.stderr
    pixels = int(done.stdout.split()[0])
    mask = np.asarray(Image.open(program.parent / "mask.png"))
    assert mask.shape == (60, 80) and mask.sum() == pixels
    packed = server.infer("volume", {"foreground": [[40, 30, 3]], "result": "packed"}).json()
    assert (packed["bbox"] is None) == (pixels == 0)
    if packed["bbox"] is not None:
        rows, columns = np.nonzero(mask)
        assert [columns.min(), rows.min(), columns.max(), rows.max()] == packed["bbox"]


def test_the_printed_client_shows_a_refusal(server: Running, program: Path) -> None:
    done = run(program, server.url, "no_such_image", "1", "1")
    assert done.returncode == 1 and "no_such_image" not in done.stderr and "image" in done.stderr.lower()

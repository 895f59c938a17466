"""Fixtures shared by every room's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder that holds setup.cfg."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of openly licensed ultrasound beside the project; tests that need it skip without it."""
    folder = ROOT.parent / "shared"
    if not (folder / "dicom").is_dir():
        pytest.skip("the shared ultrasound data (../shared) is not on this machine")
    return folder

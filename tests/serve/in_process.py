"""The real application in this process, over a folder of its own."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from uniultra.adapters import apg
from uniultra.models import build
from uniultra.store.store import LabelStore
from uniultra.weights import bundle, loading, tensors

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def serving(folder: Path, studies: Path, patch: pytest.MonkeyPatch, **conf: str) -> Iterator[Any]:
    """A client of the application with these settings; its sessions and home lie in `folder`."""
    from fastapi.testclient import TestClient
    from monailabel.config import settings

    patch.setenv("HOME", str(folder))
    for key, value in {
        "MONAI_LABEL_APP_DIR": str(ROOT / "apps" / "uniultra"),
        "MONAI_LABEL_STUDIES": str(studies),
        "MONAI_LABEL_APP_CONF": {"max_upload_mb": "1", **conf},  # the first app's limit is everybody's
        "MONAI_LABEL_SESSION_PATH": str(folder / "sessions"),
    }.items():
        patch.setattr(settings, key, value)
    from monailabel.app import app
    from monailabel.interfaces.utils.app import app_instance

    from uniultra.serve.http import logs

    level = logging.getLogger().level
    with TestClient(app, raise_server_exceptions=False) as running:
        try:
            yield running
        finally:  # this process goes on: what would end with a server's has to be told
            parts = app_instance()
            if parts.scoring is not None:
                parts.scoring.stop()
            if hasattr(parts, "trainings"):
                parts.trainings.close()
                parts.trainings.wait(30)
    logs.uninstall()
    logging.getLogger().setLevel(level)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition holds, and fail when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def app_store() -> LabelStore:
    """The label store of the running application."""
    from monailabel.interfaces.utils.app import app_instance

    store: LabelStore = app_instance().datastore().store
    return store


def png(values: Any = ((9,) * 8,) * 6) -> bytes:
    """A grey picture as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8)).save(file, "png")
    return file.getvalue()


def infer(client: Any, name: str, image: str, query: dict[str, Any] | None = None, /, **params: Any) -> Any:
    """POST as every client does."""
    return client.post(
        f"/infer/{name}", params={"image": image, **(query or {})}, data={"params": json.dumps(params)}
    )


def put_label(
    client: Any, image: str, data: bytes, params: Any, *, tag: str = "final", name: str = "label.png"
) -> Any:
    """PUT a label as every client does; `params` as text is sent as it is."""
    return client.put(
        "/datastore/label",
        params={"image": image, "tag": tag},
        files={"label": (name, data)},
        data={"params": params if isinstance(params, str) else json.dumps(params)},
    )


def make_task(folder: Path, task: str, *, as_bundle: bool = False) -> None:
    """Put weights `autosamus_mini.TASK` into `folder`, of a generator on the base that is found there."""
    network = apg.inject(loading.load("uniultra_mini")[0])
    for parameter in network.apg.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    name = f"autosamus_mini.{task}" if task else "autosamus_mini"
    if as_bundle:
        bundle.save(folder / name, network, "autosamus_mini")
    else:
        tensors.save(folder / f"{name}.safetensors", network, {})


def make_base(folder: Path) -> None:
    """Put random weights of the default model into `folder`."""
    torch.manual_seed(3)
    tensors.save(folder / "uniultra_mini.safetensors", build("uniultra_mini"), {})

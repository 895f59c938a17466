"""`make demo`: the server on sample ultrasound, and what to do with it."""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

from uniultra.demo import fetch_sample_dicom
from uniultra.serve.settings import DEFAULT_MODEL

PHANTOM_SEED = 2027


def prepare(folder: Path) -> Path:
    """Put the sample files and a phantom into `folder/studies`, its exact masks beside; returns the studies.

    Raises:
        UniUltraError: the sample files cannot be fetched; the text says what to do.
    """
    from PIL import Image

    from uniultra.synthesis.scene import scene

    studies, truth = folder / "studies", folder / "phantom_masks"
    for each in (studies, truth):
        each.mkdir(parents=True, exist_ok=True)
    fetch_sample_dicom(studies)
    drawn = scene(np.random.default_rng(PHANTOM_SEED), 512)
    Image.fromarray(drawn.picture).save(studies / "phantom.png")
    for n, target in enumerate(drawn.targets):
        Image.fromarray(target).save(truth / f"structure_{n}.png")
    return studies


def run_demo(folder: Path, host: str, port: int, model: str | None, device: str) -> None:
    """Prepare a studies folder, serve it in the foreground and, once it answers, say what to do next."""
    from uniultra.serve.server import check_port, run_server

    check_port(host, port)
    studies = prepare(folder)
    address = f"http://{host}:{port}"
    threading.Thread(
        target=_tell_when_ready, args=(address, folder, model or DEFAULT_MODEL), daemon=True
    ).start()
    run_server(studies, host=host, port=port, models=(model,) if model else (), conf={"device": device})


def _tell_when_ready(address: str, folder: Path, model: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{address}/info/", timeout=5):
                break
        except OSError:
            time.sleep(0.5)
    else:
        return
    sys.stdout.write(
        NEXT_STEPS.format(address=address, folder=folder, model=model, command=Path(sys.argv[0]))
    )
    sys.stdout.flush()


NEXT_STEPS = """
The server is ready at {address} (Ctrl+C stops it). Four things to do next:

1. Without Slicer: draw a box around the left ventricle of the echo cine, and look at the mask.
     {command} segment {folder}/studies/examples_ybr_color.dcm --box 152,62,204,140 --frame 10 \\
         -o {folder}/ventricle.nrrd --overlay {folder}/ventricle.png

2. Ask the server over HTTP, box and click together (the answer is a packed mask in JSON).
     curl -s '{address}/infer/{model}?image=examples_ybr_color&output=json' \\
         -F 'params={{"foreground": [[182, 100, 10]], "roi": [152, 62, 204, 140], "result": "packed"}}'

3. In 3D Slicer: add the folder slicer_extension/UniUltra to the module paths (docs/slicer.md says how), open
   the module UniUltra, enter {address} and your name, press Next image and draw a box. Slicer's
   MONAI Label extension works too: model {model} under Smart Edit.

4. Watch the campaign in a browser: {address}/campaign

"""

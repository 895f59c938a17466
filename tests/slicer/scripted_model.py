"""A server of scripted answers: disks around clicks, on the mask that it is given to refine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from scripted_server import Handler, Scripted
from UniUltraLib.prompts.mask_packing import pack_mask, unpack_mask

MODEL, AUTO = "uniultra_mini", "autosamus_mini"
RADIUS = 4
Reply = Callable[[Handler], None]


def info(**changes: Any) -> dict[str, Any]:
    prompts = ["point", "box", "scribble", "lasso", "mask"]
    return {
        "models": {
            MODEL: {"type": "deepgrow", "description": "clicks", "prompts": prompts},
            "points_only": {"type": "deepgrow", "description": "points", "prompts": ["point"]},
            AUTO: {"type": "segmentation", "description": "alone"},
        },
        "unavailable": {"uniultra": {"command": "uniultra weights get uniultra"}},
        "strategies": {"random": {}, "coreset": {}},
        "campaign": {"strategy": "coreset", "labels": [{"name": "heart", "index": 1, "color": "#00ff00"}]},
        "uniultra": {"version": "1", "wire": 1, "features": ["packed", "prefetch"]},
        **changes,
    }


def params_of(handler: Handler) -> dict[str, Any]:
    return json.loads(parse_qs(handler.body.decode()).get("params", ["{}"])[0])


def disks(shape: tuple[int, int], params: dict[str, Any]) -> np.ndarray:
    """The mask to refine, with disks added at positive and taken at negative clicks, and the box."""
    given = params.get("mask")
    mask = unpack_mask(given["bbox"], given["mask"], shape) if given else np.zeros(shape, bool)
    if params.get("roi"):
        i0, i1, j0, j1 = params["roi"][:4]
        mask[j0 : j1 + 1, i0 : i1 + 1] = True
    y, x = np.indices(shape)
    for group, value in (("foreground", True), ("background", False)):
        for i, j, _ in params.get(group, []):
            mask[(x - i) ** 2 + (y - j) ** 2 <= RADIUS**2] = value
    return mask


class ScriptedModel:
    """Plays the server over pictures of `shape`; `fault` answers requests to a route in its place."""

    def __init__(self, server: Scripted, shape: tuple[int, int]) -> None:
        self.server, self.shape = server, shape
        self.info = info()
        self.faults: dict[str, Reply] = {}
        self.sessions: list[str] = []
        server.reply = self.reply

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The params of every inference, in turn."""
        return [params_of(one) for one in self.server.asked if one.route.startswith("/infer/")]

    def routes(self) -> list[str]:
        return [one.route for one in self.server.asked]

    def reply(self, handler: Handler) -> None:
        route = handler.route.split("/")[1]
        fault = self.faults.get(route)
        if fault is not None:
            fault(handler)
        elif route == "info":
            handler.send(200, self.info)
        elif route == "session":
            self.sessions.append(f"session-{len(self.sessions)}")
            handler.send(200, {"session_id": self.sessions[-1]})
        elif route == "prefetch":
            handler.send(202, {"cached": False})
        else:
            handler.send(200, self.answer(handler))

    def answer(self, handler: Handler) -> dict[str, Any]:
        params = params_of(handler)
        if handler.route.endswith(AUTO):
            mask = np.zeros(self.shape, bool)
            mask[10 : 20 + params["plane"]["index"], 10:30] = True
        else:
            mask = disks(self.shape, params)
        return {
            **(pack_mask(mask) or {"bbox": None}),
            "frame": params["plane"]["index"],
            "plane": params["plane"],
            "score": 0.9,
            "model": handler.route.rpartition("/")[2],
            "adapter": "a1",
            "timings": {"total": 0.01},
        }


def mask_at(shape: tuple[int, int], *points: tuple[int, int]) -> np.ndarray:
    """What the scripted model answers to positive clicks at (x,y)."""
    return disks(shape, {"foreground": [[x, y, 0] for x, y in points]})

"""What a server offers, read from its `/info/`; and whether it is one that this panel can work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, Mapping, Tuple

from .errors import UnexpectedAnswer

# The version of docs/wire.md that this panel speaks.
WIRE = 1
KINDS = frozenset(("point", "box", "scribble", "lasso", "mask"))


@dataclass(frozen=True)
class Offers:
    """Models and strategies of a server.

    Attributes:
        info: all of `/info/`.
        models: names of those that take prompts, the server's order.
        auto_models: names of those that take none.
        kinds: the kinds of prompts that a model takes, by name.
        descriptions: of models, by name.
        unavailable: models without weights there, by name, with the command that gets them.
        strategies: names, the campaign's own first.
        prefetch: the server encodes a picture before it is asked about.
    """

    info: Mapping[str, Any] = field(default_factory=dict)
    models: Tuple[str, ...] = ()
    auto_models: Tuple[str, ...] = ()
    kinds: Mapping[str, FrozenSet[str]] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    strategies: Tuple[str, ...] = ()
    prefetch: bool = False


def read_offers(info: Mapping[str, Any], address: str) -> Offers:
    """What `/info/` of the server at `address` offers.

    Raises:
        UnexpectedAnswer: it is no UniUltra server, or one of another version.
    """
    ours = info.get("uniultra")
    wire = ours.get("wire") if isinstance(ours, dict) else None
    if not isinstance(ours, dict) or not isinstance(info.get("models"), dict):
        raise UnexpectedAnswer(
            address,
            "a MONAI Label server answers there, but not a UniUltra server, or one of before this module.",
            "Start or update UniUltra there (`uniultra serve --studies FOLDER`), or correct the address.",
        )
    if wire != WIRE:
        older = isinstance(wire, int) and wire < WIRE
        raise UnexpectedAnswer(
            address,
            f"the server's answers are of version {wire}, this module's of version {WIRE}.",
            "Update the server." if older else "Update this module (the UniUltra extension of Slicer).",
        )
    models = {str(name): one for name, one in info["models"].items() if isinstance(one, dict)}
    prompted = [name for name, one in models.items() if one.get("type") == "deepgrow"]
    return Offers(
        info=info,
        models=tuple(prompted),
        auto_models=tuple(name for name, one in models.items() if one.get("type") == "segmentation"),
        kinds={name: _kinds(models[name]) for name in prompted},
        descriptions={name: str(one.get("description", "")) for name, one in models.items()},
        unavailable={
            str(name): str(one.get("command", ""))
            for name, one in _dict(info.get("unavailable")).items()
            if isinstance(one, dict)
        },
        strategies=_strategies(info),
        prefetch="prefetch" in (ours.get("features") or ()),
    )


def _kinds(model: Mapping[str, Any]) -> FrozenSet[str]:
    told = model.get("prompts")
    return KINDS & set(map(str, told)) if isinstance(told, (list, tuple)) else KINDS


def _strategies(info: Mapping[str, Any]) -> Tuple[str, ...]:
    names = [str(name) for name in _dict(info.get("strategies"))]
    own = _dict(info.get("campaign")).get("strategy")
    return tuple(sorted(names, key=lambda name: name != own))


def _dict(value: Any) -> Dict[Any, Any]:
    return value if isinstance(value, dict) else {}

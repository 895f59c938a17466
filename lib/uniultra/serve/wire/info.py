"""What `/info/` says of this server and its campaign, beyond MONAI Label's own."""

from __future__ import annotations

from typing import Any

from uniultra import __version__
from uniultra.store.campaign.file import Campaign

WIRE = 1  # raised when docs/wire.md changes so that an older client cannot work with it
FEATURES = ("packed", "prefetch")
# routes beyond MONAI Label's own, so that a panel shows no more than the server can answer
OFFERS = ("versions", "leases", "review", "masks", "geometry", "curve")


def with_wire(info: dict[str, Any]) -> dict[str, Any]:
    """MONAI Label's `info` with the version of the wire format and of the library."""
    return {**info, "uniultra": {"version": __version__, "wire": WIRE, "features": list(FEATURES)}}


def campaign_info(campaign: Campaign) -> dict[str, Any]:
    """What clients show: names, colours and instructions, and what they need to know to take part."""
    return {
        "name": campaign.name,
        "instructions": campaign.instructions,
        "labels": [label.model_dump() for label in campaign.labels],
        "readers": campaign.readers,
        "frames": campaign.frames,
        "strategy": campaign.strategy,
        "skip_reasons": list(campaign.skip_reasons),
        "lease_minutes": campaign.lease_minutes,
        "offers": list(OFFERS),
    }


def with_campaign(info: dict[str, Any], campaign: Campaign) -> dict[str, Any]:
    """MONAI Label's `info` with the campaign, whose structures become the interactive models' labels."""
    info = {**info, "campaign": campaign_info(campaign)}
    if campaign.labels:
        names = [label.name for label in campaign.labels]
        info["labels"] = names
        info["models"] = {
            name: {**model, "labels": names} if model.get("type") == "deepgrow" else model
            for name, model in info["models"].items()
        }
    return info

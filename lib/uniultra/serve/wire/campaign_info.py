"""What `/info/` says of the campaign."""

from __future__ import annotations

from typing import Any

from uniultra.store.campaign.file import Campaign

# what more than MONAI Label's own there is to ask for, so that a panel shows no more than that
OFFERS = ("versions", "leases", "review", "masks", "geometry", "curve")


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


def with_campaign(known: dict[str, Any], campaign: Campaign) -> dict[str, Any]:
    """MONAI Label's `info` with the campaign; its labels are those of all models that take prompts."""
    known = {**known, "campaign": campaign_info(campaign)}
    if campaign.labels:
        names = [label.name for label in campaign.labels]
        known["labels"] = names
        known["models"] = {
            name: {**model, "labels": names} if model.get("type") == "deepgrow" else model
            for name, model in known["models"].items()
        }
    return known

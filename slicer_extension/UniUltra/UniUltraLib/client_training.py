"""What a client asks about training: begin, stop, how far it is, what answers now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Mapping
from urllib.parse import quote

from .answers_training import Training
from .client import Client
from .client_labels import understood
from .errors import Refused


def start(client: Client, model: str, options: Mapping[str, Any], annotator: str) -> None:
    """Begin a training of `model` on the campaign's labels, or go on with the one that was stopped.

    Args:
        options: those that the server's trainer names, such as `steps` and `rate`.

    Raises:
        ServerError: one of its kinds, see `errors`; so for all functions here.
    """
    asked: Dict[str, Any] = {**options, "client_id": annotator}
    client.transport.json("POST", f"/train/{quote(model, safe='')}", json=asked)


def stop(client: Client) -> None:
    """Stop the training that runs; what it has done is kept."""
    client.transport.json("DELETE", "/train/")


def state(client: Client) -> Training:
    """The newest training, with its curve."""
    answer = client.transport.json("GET", "/train/curve")
    with understood(client, "training"):
        told = Training.of(answer)
        return replace(told, adapter=answer.get("adapter"))


def is_over(error: Refused) -> bool:
    """Whether a refusal says that another training is running."""
    return error.status == 429

"""How requests name an image: its ID in the campaign, or the session of an upload that may expire."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scripted_server import PROMPTS, SHAPE, Handler, Scripted, good, mask
from UniUltraLib.control.image_reference import ImageReference
from UniUltraLib.control.worker import Ticket
from UniUltraLib.errors import Refused
from UniUltraLib.prompts.answer import Answer
from UniUltraLib.wire.client import Client

IMAGE = b"NRRD0004\n..."


class Sessions:
    """MONAI Label's session routes, and inference that needs a live session."""

    def __init__(self, server: Scripted) -> None:
        self.live: list[str] = []
        self.bodies: list[bytes] = []
        self.expires = False
        server.reply = self

    def __call__(self, handler: Handler) -> None:
        if handler.command == "PUT":
            self.bodies.append(handler.body)
            self.live = [f"session-{len(self.bodies)}"]
            handler.send(200, {"session_id": self.live[0], "session_info": {}})
        elif handler.query.get("session_id") in self.live and not self.expires:
            handler.send(200, good())
        else:
            handler.send(404, {"detail": "Session Not Found"})


@pytest.fixture
def sessions(server: Scripted) -> Sessions:
    return Sessions(server)


def infer(reference: ImageReference, client: Client) -> Answer:
    ticket = Ticket("Asking the model", None, False)
    answer = reference.ask(client, partial(client.infer, "uniultra_mini", PROMPTS, SHAPE), ticket)
    assert ticket.what == "Asking the model"
    return answer


def test_an_image_is_uploaded_once_and_again_when_its_session_expired(
    sessions: Sessions, client: Client
) -> None:
    reference = ImageReference(None, IMAGE, "still")
    assert not reference.known
    np.testing.assert_array_equal(infer(reference, client).mask, mask())
    assert reference.source == {"session_id": "session-1", "axis_kind": "still"}
    infer(reference, client)
    assert len(sessions.bodies) == 1
    sessions.live.clear()
    np.testing.assert_array_equal(infer(reference, client).mask, mask())
    infer(reference, client)
    assert len(sessions.bodies) == 2 and all(IMAGE in body for body in sessions.bodies)


@pytest.mark.parametrize(("image_id", "calls"), [(None, ["PUT", "POST", "PUT", "POST"]), ("scan", ["POST"])])
def test_a_server_that_never_has_the_image_is_asked_twice_at_most(
    server: Scripted, sessions: Sessions, client: Client, image_id: str | None, calls: list[str]
) -> None:
    sessions.expires = True
    with pytest.raises(Refused, match="Session Not Found"):
        infer(ImageReference(image_id, IMAGE, "still"), client)
    assert [handler.command for handler in server.asked] == calls

"""An image on its way: its progress, and an end in the middle."""

from __future__ import annotations

import email
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_server import Scripted
from UniUltraLib.control.worker import Cancelled, Ticket
from UniUltraLib.wire.client import Client
from UniUltraLib.wire.uploads import BLOCK, Form

IMAGE = np.random.default_rng(0).bytes(3_000_001)


@pytest.fixture
def sessions(server: Scripted) -> Scripted:
    server.reply = lambda handler: handler.send(200, {"session_id": "s"})
    return server


@pytest.mark.parametrize("as_file", [False, True])
def test_progress_grows_to_the_end(sessions: Scripted, client: Client, tmp_path: Path, as_file: bool) -> None:
    shares: list[float] = []
    source: Any = IMAGE
    if as_file:
        source = tmp_path / "DOE^JANE.nrrd"
        source.write_bytes(IMAGE)
    assert client.upload(source, shares.append) == "s"
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] > 0.99
    assert len(shares) > len(IMAGE) // BLOCK
    [sent] = sessions.asked
    form = email.message_from_bytes(
        b"Content-Type: " + sent.headers["Content-Type"].encode() + b"\r\n\r\n" + sent.body
    )
    [part] = form.get_payload()
    assert part.get_payload(decode=True) == IMAGE and part.get_param("name", header="content-disposition")
    assert part.get_filename().endswith(".nrrd") and b"JANE" not in sent.body


def test_it_ends_when_nobody_wants_it(sessions: Scripted, client: Client) -> None:
    ticket = Ticket("Sending the image", None, False)

    def report(share: float) -> None:
        ticket.cancelled = share > 0.5
        ticket.report(share)

    with pytest.raises(Cancelled):
        client.upload(IMAGE, report)
    assert 0.4 < (ticket.progress or 0) <= 0.51
    assert client.upload(IMAGE) == "s", "the connection after it is a good one"


def test_a_form_is_as_long_as_it_says() -> None:
    form = Form("a.nrrd", io.BytesIO(IMAGE))
    pieces = list(iter(lambda: form.read(1 << 20), b""))
    assert sum(map(len, pieces)) == len(form) and max(map(len, pieces)) <= BLOCK
    assert form.read() == b""

"""Images on their way to and from the server: progress, cancelling, and a program that closes meanwhile."""

from __future__ import annotations

import email
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scripted_server import Scripted
from UniUltraLib.control.worker import JobCancelled, Ticket
from UniUltraLib.wire.client import Client
from UniUltraLib.wire.uploads import BLOCK, Form

EXTENSION = Path(__file__).resolve().parents[3] / "slicer_extension" / "UniUltra"

IMAGE = np.random.default_rng(0).bytes(3_000_001)


@pytest.fixture
def sessions(server: Scripted) -> Scripted:
    server.reply = lambda handler: handler.send(200, {"session_id": "s"})
    return server


def test_progress_grows_to_the_end(sessions: Scripted, client: Client) -> None:
    shares: list[float] = []
    assert client.upload(IMAGE, shares.append) == "s"
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] > 0.99
    assert len(shares) > len(IMAGE) // BLOCK
    [sent] = sessions.asked
    form = email.message_from_bytes(
        b"Content-Type: " + sent.headers["Content-Type"].encode() + b"\r\n\r\n" + sent.body
    )
    [part] = form.get_payload()
    assert part.get_payload(decode=True) == IMAGE and part.get_param("name", header="content-disposition")
    assert part.get_filename() == "image.nrrd"


def half(ticket: Ticket) -> Callable[[float], None]:
    """A report that cancels the ticket halfway."""

    def report(share: float) -> None:
        ticket.cancelled = share > 0.5
        ticket.report(share)

    return report


def test_a_cancelled_upload_ends_between_two_chunks(sessions: Scripted, client: Client) -> None:
    ticket = Ticket("Sending the image", None, False)
    with pytest.raises(JobCancelled):
        client.upload(IMAGE, half(ticket))
    assert 0.4 < (ticket.progress or 0) <= 0.51
    assert client.upload(IMAGE) == "s", "the connection after it works"


def test_a_cancelled_download_ends_between_two_chunks(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    server.reply = lambda handler: handler.send(200, IMAGE)
    ticket = Ticket("Getting the image", None, False)
    with pytest.raises(JobCancelled):
        client.with_report(half(ticket)).download_image("a", tmp_path / "cut.nrrd")
    assert 0 < (ticket.progress or 0) <= 0.5 and not list(tmp_path.iterdir())
    assert client.download_image("a", tmp_path / "whole.nrrd").read_bytes() == IMAGE


# What the panel's closing does, in a program that ends afterwards, as Slicer does.
CLOSED_MID_UPLOAD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from UniUltraLib.control.worker import Worker
from UniUltraLib.wire.client import Client

client, worker = Client(sys.argv[2], timeout=(60, 60)), Worker("t")
# more than any socket buffer holds
ticket = worker.submit(lambda ticket: client.upload(bytes(1 << 28), ticket.report), print, print)
sent = -1.0
while ticket.progress is None or ticket.progress != sent:  # until the server's silence has stopped it
    sent = ticket.progress
    time.sleep(0.2)
start = time.monotonic()
worker.close()
client.close()
print("closed" if 0 < sent < 1 and time.monotonic() - start < 1 else f"{sent} {time.monotonic() - start}")
"""


def test_a_program_that_closes_does_not_wait_for_its_upload() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never reads
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-c", CLOSED_MID_UPLOAD, str(EXTENSION), address]
        start = time.monotonic()
        run = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert run.stdout == "closed\n", run.stdout + run.stderr
    assert time.monotonic() - start < 30, "the time-out of the request is 60 s"


def test_a_form_is_as_long_as_it_says() -> None:
    form = Form(IMAGE)
    pieces = list(iter(lambda: form.read(1 << 20), b""))
    assert sum(map(len, pieces)) == len(form) and max(map(len, pieces)) <= BLOCK
    assert form.read() == b""

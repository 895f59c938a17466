"""Work ahead of a click runs after everything that a user waits for."""

from __future__ import annotations

import threading

import pytest
import torch

from uniultra.predict.device import DeviceWorker


def test_clicks_run_before_work_ahead() -> None:
    device, gate, order = DeviceWorker(torch.device("cpu")), threading.Event(), []
    first = device.submit(lambda: gate.wait(30))
    ahead = [device.submit_ahead(lambda n=n: order.append(f"ahead {n}")) for n in range(3)]
    wanted = [device.submit(lambda n=n: order.append(f"wanted {n}")) for n in range(3)]
    background = device.submit(lambda: order.append("background"), background=True)
    gate.set()
    for future in (first, *ahead, *wanted, background):
        future.result(30)
    assert order[:3] == ["wanted 0", "wanted 1", "wanted 2"]
    assert [name for name in order if name.startswith("ahead")] == ["ahead 0", "ahead 1", "ahead 2"]


def test_results_and_errors_are_returned_and_the_worker_continues() -> None:
    device = DeviceWorker(torch.device("cpu"))
    assert device.submit_ahead(torch.is_inference_mode_enabled).result(30) is True
    with pytest.raises(ZeroDivisionError):
        device.submit_ahead(lambda: 1 / 0).result(30)
    assert device.quiet_for > 1e6, "work ahead is no click"
    assert device.submit(lambda: 7).result(30) == 7

"""Strategies over HTTP: each hands out units, and nothing of MONAI Label's scoring starts a process."""

import pytest

from uniultra.active.registry import FILES, strategy


@pytest.fixture
def no_processes(monkeypatch):
    """MONAI Label's background tasks are refused."""

    def refused(*args, **kwargs):
        raise AssertionError("a background process was about to start")

    monkeypatch.setattr("monailabel.utils.async_tasks.task.AsyncTask.run", refused)


def test_strategies_are_listed_with_what_they_do(client):
    listed = client.get("/info/").json()["strategies"]
    assert list(listed) == list(FILES)
    assert all(listed[name]["description"] == strategy(name).description for name in FILES)


@pytest.mark.parametrize("name", FILES)
def test_each_strategy_hands_out_a_unit(client, no_processes, name):
    answer = client.post(f"/activelearning/{name}", json={"client_id": f"reader of {name}"})
    assert answer.status_code == 200
    found = answer.json()
    if found:  # leases of the others last
        assert found["lease"]["annotator"] == f"reader of {name}" and found["frame"] == 0
        released = {"image": found["id"], "frame": found["frame"], "annotator": f"reader of {name}"}
        client.post("/lease/release", json=released)


def test_scoring_starts_no_process(client, no_processes):
    assert client.get("/info/").json()["scoring"] == {}
    assert client.post("/scoring/", json={}).json() == {}
    assert client.get("/scoring/").status_code == 404, "nothing has ever run"

from __future__ import annotations

from dataclasses import replace

import pytest

from uniultra.errors import ModelError
from uniultra.models import registry
from uniultra.serve.server import app_folder, run_server
from uniultra.serve.settings import ServerSettings, SettingsError
from uniultra.weights import loading


def test_defaults(monkeypatch) -> None:
    present = ("autosamus_mini.breast", "uniultra_mini.clinic")
    monkeypatch.setattr(loading, "variants", lambda: present)
    settings = ServerSettings.parse({})
    assert settings == replace(ServerSettings(), models=("uniultra_mini", "autosamus_mini.breast"))
    assert not settings.allow_reload
    assert ServerSettings.parse({"models": "uniultra_mini"}) == ServerSettings()


def test_values_of_conf_are_text() -> None:
    settings = ServerSettings.parse(
        {"models": "uniultra_mini", "labels": "head, femur,head", "embed_cache_mb": "64", "preload": "false"}
    )
    assert settings.labels == ("head", "femur")
    assert settings.embed_cache_mb == 64
    assert not settings.preload


@pytest.mark.parametrize(
    "conf",
    [
        *({"embed_cache_mb": v} for v in ("many", "0", "-3", "1.5", "99999999999")),
        *({"preload": v} for v in ("maybe", "")),
        {"max_upload_mb": "²"},
    ],
)
def test_values_of_the_wrong_kind_are_refused(conf: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="Expected"):
        ServerSettings.parse(conf)


@pytest.mark.parametrize("models", ["uniultra_mini,nonsense", "all,uniultra_mini", "nonsense.breast"])
def test_an_unknown_model_is_refused_with_the_known_ones(models: str) -> None:
    with pytest.raises(ModelError, match="uniultra_mini"):
        ServerSettings.parse({"models": models})


def test_all_models_are_the_registered_ones_and_the_weights_of_tasks(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path))
    (tmp_path / "autosamus_mini.breast.safetensors").touch()
    settings = ServerSettings.parse({"models": "all"})
    assert settings.everything
    assert settings.models == (*registry.names(), *loading.variants())
    assert "autosamus_mini.breast" in settings.models


def test_what_is_loaded_at_the_start() -> None:
    named = {"models": "sam2_t, autosamus_mini.breast"}  # with or without weights here
    assert ServerSettings.parse(named).preloaded == ("sam2_t", "autosamus_mini.breast")
    assert ServerSettings.parse({"models": "all"}).preloaded == ("uniultra_mini",)
    assert ServerSettings.parse({**named, "preload": "false"}).preloaded == ()


@pytest.mark.parametrize("text", ["a,b", "all"])
def test_the_command_takes_several_models(text: str, monkeypatch, tmp_path) -> None:
    from uniultra.cli import main

    seen = {}
    monkeypatch.setattr("uniultra.serve.server.run_server", lambda *a, **k: seen.update(k))
    assert main.main(["serve", "--studies", str(tmp_path), "--model", text]) == 0
    assert ",".join(seen["models"]) == text


def test_the_app_is_found_beside_the_library(project_root) -> None:
    assert app_folder() == project_root / "apps" / "uniultra"


def test_a_server_says_what_is_wrong_before_it_starts(tmp_path) -> None:
    import socket

    with pytest.raises(SettingsError, match="studies folder"):
        run_server(tmp_path / "absent")
    with pytest.raises(ModelError, match="uniultra_mini"):
        run_server(tmp_path, models=["nonsense"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError, match="--port"):
            run_server(tmp_path, port=taken.getsockname()[1])

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from uniultra.cli import main
from uniultra.errors import ModelError
from uniultra.models import registry
from uniultra.serve.server import app_folder, run_server
from uniultra.serve.settings import Settings, SettingsError
from uniultra.weights import loading


def test_defaults(monkeypatch) -> None:
    present = ("autosamus_mini.breast", "uniultra_mini.clinic")
    monkeypatch.setattr(loading, "variants", lambda: present)
    settings = Settings.parse({})
    assert settings == Settings() and settings.device == "auto" and not settings.allow_reload
    assert settings.served == ("uniultra_mini", "autosamus_mini.breast")
    assert Settings.parse({"models": "uniultra_mini"}).served == ("uniultra_mini",)
    assert settings.train_after is None and settings.train_threads >= 1 and settings.train_nice == 10
    assert settings.replay_set is None and settings.store_url is None


def test_values_of_conf_are_text(tmp_path) -> None:
    (tmp_path / "manifest.csv").touch()
    settings = Settings.parse(
        {
            "labels": "head, femur,head",
            "embed_cache_mb": "64",
            "preload": "False",
            "allow_reload": "on",
            "allowed_hosts": "a.example, .b.example",
            "train_after": "0",
            "train_known": str(tmp_path),
            "train_known_sets": "hc18,busi",
        }
    )
    assert settings.labels == ("head", "femur")
    assert settings.embed_cache_mb == 64
    assert not settings.preload and settings.allow_reload
    assert settings.allowed_hosts == ("a.example", ".b.example")
    assert settings.train_after == 0
    assert settings.replay_set is not None and settings.replay_set.sets == ("hc18", "busi")
    assert Settings.parse({"labels": "", "train_known": "", "store_url": ""}) == Settings()


@pytest.mark.parametrize(
    "conf",
    [
        *({"embed_cache_mb": v} for v in ("many", "0", "-3", "1.5", "99999999999")),
        *({"preload": v} for v in ("maybe", "")),
        {"max_upload_mb": "²"},
        {"train_after": "-1"},
        {"train_threads": "0"},
        {"allow_reload": "t"},
        {"preload": "y"},
        {"train_nice": "20"},
        {"train_known": "/home/secret"},
        {"store_url": "mysql://a:secret@b/c"},
    ],
)
def test_values_of_the_wrong_kind_are_refused_by_key(conf: dict[str, str]) -> None:
    [(key, value)] = conf.items()
    with pytest.raises(SettingsError, match=rf"Expected {key} .*--conf {key}") as refusal:
        Settings.parse(conf)
    assert len(value) < 3 or value not in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("embed_cache_md", r"embed_cache_md.*mean embed_cache_mb\?"),
        ("threads", r"mean train_threads\?"),
        ("zebra", "settings are models, labels"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(key: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=hint):
        Settings.parse({key: "1"})


def test_a_key_that_may_be_a_swapped_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.parse({"postgresql://a:secret@b/c": "store_url"})
    assert "secret" not in str(refusal.value)


def test_settings_of_other_apps_are_accepted_and_named_once(
    tmp_path, caplog: pytest.LogCaptureFixture, monkeypatch
) -> None:
    from in_process import serving

    conf = {"use_pretrained_model": "true", "sam2": "false", "models": "uniultra_mini"}
    caplog.set_level(logging.INFO)
    (tmp_path / "studies").mkdir()
    with serving(tmp_path, tmp_path / "studies", monkeypatch, preload="false", **conf) as client:
        assert client.get("/info/").status_code == 200
    lines = [record.getMessage() for record in caplog.records if "no effect" in record.getMessage()]
    assert len(lines) == 1 and "sam2, use_pretrained_model" in lines[0] and "models," not in lines[0]


def test_the_address_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNIULTRA_STORE_URL", raising=False)
    address = "postgresql+psycopg://a:secret@b/c"
    assert Settings.parse({"store_url": "postgresql://a:secret@b/c"}).store_url == address
    monkeypatch.setenv("UNIULTRA_STORE_URL", address)
    assert Settings.parse({}).store_url == address
    assert "secret" not in repr(Settings.parse({}))


@pytest.mark.parametrize("models", ["uniultra_mini,nonsense", "all,uniultra_mini", "nonsense.breast"])
def test_an_unknown_model_is_refused_with_the_known_ones(models: str) -> None:
    with pytest.raises(ModelError, match="uniultra_mini"):
        Settings.parse({"models": models})


def test_all_models_are_the_registered_ones_and_the_weights_of_tasks(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path))
    (tmp_path / "autosamus_mini.breast.safetensors").touch()
    settings = Settings.parse({"models": "all"})
    assert settings.everything
    assert settings.served == (*registry.names(), *loading.variants())
    assert "autosamus_mini.breast" in settings.served


def test_what_is_loaded_at_the_start() -> None:
    named = {"models": "sam2_t, autosamus_mini.breast"}  # with or without weights here
    assert Settings.parse(named).preloaded == ("sam2_t", "autosamus_mini.breast")
    assert Settings.parse({"models": "all"}).preloaded == ("uniultra_mini",)
    assert Settings.parse({**named, "preload": "false"}).preloaded == ()


@pytest.mark.parametrize("text", ["a,b", "all"])
def test_the_command_takes_several_models(text: str, monkeypatch, tmp_path) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr("uniultra.serve.server.run_server", lambda *a, **k: seen.update(k))
    assert main.main(["serve", "--studies", str(tmp_path), "--model", text]) == 0
    assert ",".join(seen["models"]) == text


def test_the_app_is_found_beside_the_library(project_root) -> None:
    assert app_folder() == project_root / "apps" / "uniultra"


def test_a_server_says_what_is_wrong_before_it_starts(tmp_path) -> None:
    with pytest.raises(SettingsError, match="studies folder"):
        run_server(tmp_path / "absent")
    with pytest.raises(ModelError, match="uniultra_mini"):
        run_server(tmp_path, models=["nonsense"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError, match="--port"):
            run_server(tmp_path, port=taken.getsockname()[1])

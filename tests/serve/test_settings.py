from __future__ import annotations

import pytest

from uniultra.errors import ModelError
from uniultra.serve.server import app_folder, run_server
from uniultra.serve.settings import ServerSettings, SettingsError


def test_defaults() -> None:
    settings = ServerSettings.parse({})
    assert settings == ServerSettings()
    assert settings.models == ("uniultra_mini",)
    assert not settings.allow_reload


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


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="uniultra_mini"):
        ServerSettings.parse({"models": "uniultra_mini,nonsense"})


def test_all_models_are_those_with_weights() -> None:
    assert "uniultra_mini" in ServerSettings.parse({"models": "all"}).models


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

"""Starts MONAI Label's server with our app, in this process."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from uniultra.serve.settings import Settings, SettingsError


def run_server(
    studies: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    models: Sequence[str] = (),
    conf: Mapping[str, str] | None = None,
) -> None:
    """Serve a studies folder until interrupted; nothing is fetched from the network.

    Without `models` the default is served, and every task without prompts beside it. `conf` holds further
    settings as `monailabel start_server --conf KEY VALUE` takes them.

    Raises:
        SettingsError: no such folder, no app beside this library, or the port is taken.
        ModelError: an unknown model; the text lists the known ones.
    """
    from uniultra.serve.http import logs

    settings = dict(conf or {}) | ({"models": ",".join(models)} if models else {})
    Settings.parse(settings)
    if not studies.is_dir():
        raise SettingsError(
            f"Expected a studies folder; {studies.name!r} does not exist. Create it and add images."
        )
    app = app_folder()
    check_port(host, port)
    logs.install()
    from monailabel.main import Main

    os.environ.setdefault("PYTHONPATH", "")
    main = Main(loglevel=logging.WARNING)
    logging.getLogger("monailabel").setLevel(logging.WARNING)  # its chatter says nothing once cleaned
    arguments = ["start_server", "--app", str(app), "--studies", str(studies), "--host", host]
    arguments += ["--port", str(port)]
    for key, value in settings.items():
        arguments += ["--conf", key, value]
    main.action_start_server(main.args_parser().parse_args(arguments))


def app_folder() -> Path:
    """The folder `apps/uniultra` of the source tree that this library runs from.

    Raises:
        SettingsError: it is not there.
    """
    folder = Path(__file__).resolve().parents[3] / "apps" / "uniultra"
    if not (folder / "main.py").is_file():
        raise SettingsError(
            "Expected the folder apps/uniultra beside lib/uniultra; it is missing. Install UniUltra from its "
            "source tree with: pip install -e ."
        )
    return folder


def check_port(host: str, port: int) -> None:
    """Refuse a port that is taken.

    Raises:
        SettingsError: nothing can listen there.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        if os.name != "nt":  # as uvicorn binds, so that a port in TIME_WAIT is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise SettingsError(
                f"Port {port} on {host} cannot be used. Stop what runs there, or choose another: "
                f"--port {port + 1}, or make demo PORT={port + 1}."
            ) from None

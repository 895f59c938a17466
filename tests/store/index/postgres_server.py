"""A PostgreSQL server of Debian's package, in a folder of its own, for one test session."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "canary-5f1c"
MISSING = "PostgreSQL is not on this machine: apt-get install postgresql"


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest version's; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextmanager
def running() -> Iterator[str]:
    """The address of a server that runs while the block does, with a password in it."""
    bin_folder = programs()
    assert bin_folder is not None
    # PostgreSQL does not run as root, and whoever it runs as must reach its folder
    user = next((n for n in ("postgres", "nobody") if _exists(n)), None) if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="uniultra-pg-", dir="/tmp" if user else None))
    (folder / "password").write_text(PASSWORD)
    if user:
        for path in (folder, folder / "password"):
            shutil.chown(path, user)
    options = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    data, port = folder / "data", _free_port()
    subprocess.run(
        [
            bin_folder / "initdb",
            "-D",
            data,
            "-U",
            "anna",
            "-A",
            "scram-sha-256",
            "--pwfile",
            "password",
            "-N",
        ],
        check=True,
        **options,  # type: ignore[call-overload]
    )
    command = [bin_folder / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    subprocess.run([*command, "-o", settings, "start"], check=True, **options)  # type: ignore[call-overload]
    try:
        yield f"postgresql+psycopg://anna:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*command, "-m", "immediate", "stop"], **options)  # type: ignore[call-overload]
        shutil.rmtree(folder, ignore_errors=True)


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""`uniultra serve` and `uniultra demo`: the server in the foreground."""

from __future__ import annotations

import argparse
from pathlib import Path

from uniultra.cli.arguments import Commands, add_device


def add_parser(commands: Commands) -> None:
    """Add `serve` and `demo` to the program's commands."""
    serve = commands.add_parser("serve", help="start the server for 3D Slicer and other MONAI Label clients")
    serve.add_argument("--studies", type=Path, required=True)
    serve.add_argument(
        "--conf",
        nargs=2,
        action="append",
        default=[],
        metavar=("KEY", "VALUE"),
        help="a setting of apps/uniultra/README.md (repeatable)",
    )
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo", help="start the server on sample ultrasound")
    demo.add_argument("--folder", type=Path, default=Path("demo"))
    demo.set_defaults(run=_demo)

    for parser in (serve, demo):
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--model", help="one or several (a,b), or all; the default and the tasks beside it if not named"
        )
        add_device(parser)


def _serve(options: argparse.Namespace) -> None:
    from uniultra.serve.server import run_server

    run_server(
        options.studies,
        host=options.host,
        port=options.port,
        models=(options.model,) if options.model else (),
        conf={"device": options.device, **dict(options.conf)},
    )


def _demo(options: argparse.Namespace) -> None:
    from uniultra.serve.demo import run_demo

    run_demo(options.folder, options.host, options.port, options.model, options.device)

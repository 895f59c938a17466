"""`uniultra export`: a model as ONNX or TorchScript files."""

from __future__ import annotations

import argparse
from pathlib import Path

from uniultra.cli.arguments import Commands


def add_parser(commands: Commands) -> None:
    """Add `export` to the program's commands."""
    parser = commands.add_parser("export", help="write a model as files that run without this library")
    parser.add_argument("model", metavar="NAME", help="see `uniultra models`")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--format", choices=("onnx", "torchscript"), default="onnx")
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    from uniultra.export.export import export

    for name, file in export(options.model, options.output, options.format)["files"].items():
        print(f"{name}: differs from torch by at most {file['max_abs_difference']:.2g}")

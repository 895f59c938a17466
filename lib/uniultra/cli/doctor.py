"""`uniultra doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from uniultra.cli.arguments import Commands


def add_parser(commands: Commands) -> None:
    """Add `doctor` to the program's commands."""
    parser = commands.add_parser("doctor", help="say what is wrong and how to fix it")
    parser.add_argument("--json", action="store_true", help="as a list of {subject, state, remedy}")
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from uniultra.doctor import examine

    findings = []
    for finding in examine():
        findings.append(finding)
        if options.json:
            continue
        print(f"{'!!' if finding.remedy else 'ok'} {finding.subject:16} {finding.state}")
        if finding.remedy:
            print(f"   {'':16} -> {finding.remedy}")
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    return int(any(finding.remedy for finding in findings))

r"""Crash tests: the state of a campaign after kills and file damage.

    .venv/bin/python training/benchmark/kills.py --output training/benchmark/results/kills.json

SIGKILL at random moments to processes that work with the label store, to trainings and to whole servers;
flipped bits and truncations in every kind of file. After each of them a restart has to succeed, nothing that
was acknowledged may be lost, and no damaged data may be used. Parts can be run separately (`--part`): each
replaces its part of the file. All choices follow from the seeds in the file, except the moment of a signal.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import time
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from crashes.schema import Part, Report

PARTS = ("store", "train", "server", "damage")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--part", action="append", choices=PARTS, help="only these; repeatable")
    parser.add_argument("--store", type=int, default=160, help="kills of store processes")
    parser.add_argument("--train", type=int, default=30, help="kills of training processes")
    parser.add_argument("--server", type=int, default=10, help="kills of whole servers")
    parser.add_argument("--damage", type=int, default=60, help="flips of each kind, half as many cuts")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    for name in options.part or PARTS:
        report = one_part(name, options, read(options.output))
        options.output.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
        bad = sum(violation.part == name for violation in report.violations)
        print(f"{name}: {bad} violations", flush=True)


def read(path: Path) -> Report:
    """What an earlier run wrote, or nothing yet."""
    import torch

    from uniultra.evaluate.machine import this_machine

    known = Report.model_validate_json(path.read_bytes()) if path.is_file() else None
    return Report(
        date=str(date.today()),
        machine=this_machine(torch.device("cpu")).model_dump(mode="json"),
        command="training/benchmark/kills.py",
        **(known.model_dump(exclude={"date", "machine", "command"}) if known else {}),
    )


def one_part(name: str, options: argparse.Namespace, report: Report) -> Report:
    """Do one part anew."""
    report.violations = [one for one in report.violations if one.part != name]
    if name == "damage":
        from crashes import damage

        began = time.monotonic()
        report.damage = damage.work(report.violations, options.damage, options.seed)
        report.damage_seed, report.damage_seconds = options.seed, round(time.monotonic() - began, 1)
        return report
    part = Part()
    if name == "store":
        from crashes.store import StoreKills

        kills = StoreKills(part, report.violations)
        kills.run(options.store, options.seed)
        seconds = kills.restarts
    elif name == "train":
        from crashes import train

        seconds = train.work(part, report.violations, options.train, options.seed)
    else:
        from crashes import server

        seconds = server.work(part, report.violations, options.server, options.seed)
    part.restart_s = {"median": round(statistics.median(seconds), 3), "worst": round(max(seconds), 3)}
    setattr(report, name, part)
    return report


if __name__ == "__main__":
    main()

"""`uniultra …`: one subcommand per thing a person does."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from uniultra import __version__
from uniultra.cli import adapters, benchmark, campaign, data, distill, label, weights
from uniultra.errors import PromptError, RequestError, UniUltraError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it went well, 1 when what it checked is wrong, 2 when it could not run."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except UniUltraError as error:
        print(f"uniultra {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="uniultra", description="Prompt-driven ultrasound segmentation. Research use only."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser("segment", help="segment one object of one picture")
    one.add_argument("image", type=Path)
    one.add_argument(
        "--point",
        type=_numbers(2, 3),
        action="append",
        default=[],
        metavar="X,Y[,FRAME]",
        help="a click on the object (repeatable)",
    )
    one.add_argument(
        "--negative",
        type=_numbers(2, 3),
        action="append",
        default=[],
        metavar="X,Y[,FRAME]",
        help="a click beside the object (repeatable)",
    )
    one.add_argument("--box", type=_numbers(4, 4), metavar="X0,Y0,X1,Y1")
    one.add_argument("--frame", type=int, help="frame of a cine or volume (default: the first point's, or 0)")
    one.add_argument("-o", "--output", type=Path, required=True, help=".nrrd, .nii.gz or .mha")
    one.add_argument("--overlay", type=Path, help="a PNG with the mask and the prompts drawn on the picture")
    one.set_defaults(run=_segment)

    listing = commands.add_parser("models", help="list the models")
    listing.add_argument("--json", action="store_true", help="as a list of objects with flat keys")
    listing.add_argument("--published", action="store_true", help="the papers' percentages, counted again")
    listing.set_defaults(run=_models)

    check = commands.add_parser("evaluate", help="score a model on test pictures it never saw")
    check.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    check.add_argument(
        "--dataset",
        action="append",
        metavar="NAME",
        help="only this set (repeatable; default: all with test rows)",
    )
    check.add_argument("--limit", type=int, help="at most so many pictures of each set")
    check.add_argument("--output", type=Path, help="write the numbers as JSON")
    check.add_argument("--suite", metavar="NAME", help="instead: train and score all systems alike (seeds)")
    check.add_argument("--work", type=Path, metavar="FOLDER", help="the suite's trainings; goes on from it")
    check.add_argument(
        "--system", action="append", metavar="NAME", help="only this system of the suite (repeatable)"
    )
    check.set_defaults(run=_evaluate)

    train = commands.add_parser("train", help="train a model by a recipe; goes on where it was stopped")
    train.add_argument("recipe", type=Path)
    train.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    train.add_argument("--output", type=Path, required=True, help="folder for checkpoints and the result")
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting of the recipe, for example optimizer.rate=1e-4 (repeatable)",
    )
    train.add_argument("--stage", metavar="NAME", help="of a plan of stages only this one and its basis")
    train.add_argument("--workers", type=int, metavar="N", help="processes that draw batches ahead")
    train.set_defaults(run=_train)

    export = commands.add_parser("export", help="write a model as files that run without this library")
    export.add_argument("model", metavar="NAME", help="see `uniultra models`")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    export.add_argument("--format", choices=("onnx", "torchscript"), default="onnx")
    export.set_defaults(run=_export)

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

    for server in (serve, demo):
        server.add_argument("--host", default="127.0.0.1")
        server.add_argument("--port", type=int, default=8000)
    for chooser in (one, check):
        chooser.add_argument("--model", default="uniultra_mini", help="see `uniultra models`")
    for server in (serve, demo):
        server.add_argument(
            "--model", help="one or several (a,b), or all; the default and the tasks beside it if not named"
        )
    for runner in (one, check, train, serve, demo):
        runner.add_argument("--device", default="auto", help="auto, cpu or cuda[:N]")

    adapters.add_parser(commands)
    benchmark.add_parser(commands)
    campaign.add_parser(commands)
    data.add_parser(commands)
    distill.add_parser(commands)
    label.add_parser(commands)
    weights.add_parser(commands)
    doctor = commands.add_parser("doctor", help="say what is wrong and how to fix it")
    doctor.add_argument("--json", action="store_true", help="as a list of {subject, state, remedy}")
    doctor.set_defaults(run=_doctor)
    return parser


def _numbers(low: int, high: int):  # type: ignore[no-untyped-def]
    def parse(text: str) -> list[float]:
        values = [float(part) for part in text.split(",")]
        if not low <= len(values) <= high:
            raise argparse.ArgumentTypeError(f"expected {low} to {high} numbers, got {len(values)}")
        return values

    parse.__name__ = "list of numbers"
    return parse


def _segment(options: argparse.Namespace) -> None:
    import numpy as np
    from PIL import Image

    from uniultra.images import read_image, write_mask
    from uniultra.images.types import Plane
    from uniultra.predict import Predictor
    from uniultra.prompts import Box, Point, PromptSet
    from uniultra.prompts.coordinates import slice_of
    from uniultra.prompts.overlay import overlay

    image = read_image(options.image)
    clicks = options.point + options.negative
    named = {slice_of([click]) for click in clicks if len(click) == 3}
    named |= {options.frame} if options.frame is not None else set()
    if len(named) > 1:
        raise PromptError(
            f"Expected one frame; the points and --frame name {len(named)}. Segment each frame by itself."
        )
    frame = next(iter(named), 0) or 0
    points = [Point(p[0], p[1]) for p in options.point]
    points += [Point(p[0], p[1], positive=False) for p in options.negative]
    prompts = PromptSet(tuple(points), Box(*options.box) if options.box else None)
    plane = Plane("k", frame)
    [answer] = Predictor(options.model, device=options.device).predict(image, plane, [prompts])
    masks = np.zeros(image.shape, bool)
    masks[frame] = answer.mask
    write_mask(masks, image, options.output)
    if options.overlay:
        drawn = Image.fromarray(overlay(image.picture(plane), answer.mask, prompts))
        try:
            drawn.save(options.overlay, "PNG")
        except OSError:
            raise RequestError(
                "The overlay cannot be written there. Name a .png in another folder."
            ) from None
    share = 100 * answer.mask.mean()
    print(f"frame {frame}: {answer.mask.sum()} pixels ({share:.1f} %), predicted IoU {answer.score:.2f}")


def _models(options: argparse.Namespace) -> None:
    if options.published:
        return distill.show_published(as_json=options.json)
    from uniultra.models import entry, names
    from uniultra.models.counting import count
    from uniultra.weights.loading import find, variants
    from uniultra.weights.tensors import file_sha256

    found = []
    for name in names():
        model, weights = entry(name), find(name)
        found.append(
            {
                "name": name,
                "system": model.system,
                "image_size": model.image_size,
                **asdict(count(name)),
                "licence": model.licence,
                "sha256": file_sha256(weights) if weights else None,
                "prompts": list(model.prompts),
                "available": weights is not None,
                "description": model.description,
            }
        )
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'name':16}{'parameters':>12}{'encoder':>10}{'adapter':>10}{'trained':>10}  weights")
    for line in found:
        counts = (line[f"parameters_{part}"] / 1e6 for part in ("total", "encoder", "adapter", "trained"))
        total, encoder, adapter, trained = (f"{n:.2f} M" for n in counts)
        state = "available" if line["available"] else "not on this machine"
        print(f"{line['name']:16}{total:>12}{encoder:>10}{adapter:>10}{trained:>10}  {state}")
    if variants():
        print(f"other weights of these on this machine: {', '.join(variants())}")


def _evaluate(options: argparse.Namespace) -> int:
    if options.suite:
        return _run_suite(options)
    from uniultra.evaluate.evaluate import evaluate, report, table
    from uniultra.predict import Predictor

    predictor = Predictor(options.model, device=options.device)
    scores, obedience = evaluate(predictor, options.data, options.dataset, limit=options.limit)
    print(table(scores, obedience))
    if options.output:
        options.output.write_text(json.dumps(report(scores, obedience), indent=2) + "\n", encoding="utf-8")
    return 1 if obedience.failures else 0


def _run_suite(options: argparse.Namespace) -> int:
    """The papers' comparison is a program of the checkout, not of the library."""
    program = Path(__file__).resolve().parents[3] / "training" / "suite"
    if not (program / "__main__.py").is_file():
        raise RequestError(
            "The suite of published systems needs a source checkout. Clone the repository and run it there."
        )
    command = [sys.executable, str(program), options.suite, "--data", str(options.data)]
    for name in ("work", "output", "device"):
        if getattr(options, name) is not None:
            command += [f"--{name}", str(getattr(options, name))]
    for system in options.system or ():
        command += ["--system", system]
    return subprocess.run(command).returncode


def _train(options: argparse.Namespace) -> None:
    from uniultra.predict.device import choose_device
    from uniultra.train import plan
    from uniultra.train.recipe import Recipe
    from uniultra.train.trainer import Trainer

    device = str(choose_device(options.device))
    if plan.is_plan(options.recipe):
        made = plan.Plan.read(options.recipe, options.set)
        results = plan.run(made, options.data, options.output, device, options.workers, options.stage)
        if os.environ.get("RANK", "0") == "0":
            for name, path in results.items():
                print(f"{name}: {path.name} in its folder of the output")
        return
    recipe = Recipe.read(options.recipe, options.set)
    result = Trainer(recipe, options.data, options.output, device, options.workers).run()
    if os.environ.get("RANK", "0") == "0":
        print(f"weights: {result.name} in the output folder; try them with UNIULTRA_WEIGHTS set to it")


def _export(options: argparse.Namespace) -> None:
    from uniultra.export.export import export

    for name, file in export(options.model, options.output, options.format)["files"].items():
        print(f"{name}: differs from torch by at most {file['max_abs_difference']:.2g}")


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


def _doctor(options: argparse.Namespace) -> int:
    from uniultra.doctor import examine

    if options.json:
        findings = [asdict(finding) for finding in examine()]
        print(json.dumps(findings, indent=2))
        return int(any(finding["remedy"] for finding in findings))
    wrong = 0
    for finding in examine():
        wrong += bool(finding.remedy)
        print(f"{'!!' if finding.remedy else 'ok'} {finding.subject:16} {finding.state}")
        if finding.remedy:
            print(f"   {'':16} -> {finding.remedy}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

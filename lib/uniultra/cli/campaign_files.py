"""`uniultra campaign export | backup | restore`: a campaign as files for others, and for a bad day."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from uniultra.cli.arguments import Commands, shares
from uniultra.cli.studies import add_studies, listed, open_store

FORMATS = ("coco", "nifti", "nrrd", "manifest")


def add_actions(actions: Commands) -> None:
    """Add them to the actions of `uniultra campaign`."""
    _add_export(actions)
    _add_archives(actions)


def _add_export(actions: Commands) -> None:
    export = actions.add_parser("export", help="write the labels as files for others")
    add_studies(export)
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="new or empty")
    export.add_argument(
        "--format",
        choices=FORMATS,
        default="coco",
        help="coco: pictures, masks and annotations.json; nifti, nrrd: label maps in the images' geometry; "
        "manifest: pictures without names for `uniultra train --data`",
    )
    export.add_argument(
        "--all", action="store_true", help="each person's newest label, not only what the campaign trains on"
    )
    export.add_argument(
        "--splits",
        type=shares,
        default=(0.7, 0.1, 0.2),
        metavar="TRAIN,VAL,TEST",
        help="of a manifest, shares of the patients (default: 0.7,0.1,0.2)",
    )
    export.add_argument(
        "--keep-names", action="store_true", help="of a manifest, the images' own names instead of hashes"
    )
    export.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from uniultra.store import exports
    from uniultra.store.exports.choose import everything, structures

    store = open_store(options)
    labels = everything(store) if options.all else store.trainable()
    how = exports.ExportChoices(
        options.format,
        store.campaign.name,
        structures(store, labels),
        shares=options.splits,
        keep_names=options.keep_names,
    )
    with tqdm(total=len(labels), desc="exporting", unit="label", file=sys.stderr, disable=None) as bar:
        done = exports.export(
            options.studies, labels, options.output, how, lambda number: bar.update(number - bar.n)
        )
    print(f"{done.images} images: {done.written} {_things(options.format)} in the output folder")
    _warn_of_names(done.burned_in)
    return listed(done.left_out)


def _things(kind: str) -> str:
    return "label maps" if kind in ("nifti", "nrrd") else "pictures with their masks"


def _warn_of_names(burned_in: dict[str, str]) -> None:
    """Say whose pixels may show who the patient is."""
    sure = [image for image, said in burned_in.items() if said == "yes"]
    for image in sure:
        print(f"!! {image}: its header says that the patient's identity is in the pixels", file=sys.stderr)
    if unsure := len(burned_in) - len(sure):
        print(
            f"!! of {unsure} images nobody says whether names or dates are in the pixels (DICOM Burned In "
            "Annotation is missing, or they are no DICOM): look at them before you pass them on",
            file=sys.stderr,
        )


def _add_archives(actions: Commands) -> None:
    backup = actions.add_parser("backup", help="one archive of labels, reviews and adapters; not the images")
    add_studies(backup)
    backup.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.zip", help="a new file")
    backup.set_defaults(run=_backup)

    restore = actions.add_parser("restore", help="bring a backup into a folder without a campaign")
    restore.add_argument("archive", type=Path, metavar="FILE.zip")
    place = restore.add_mutually_exclusive_group(required=True)
    place.add_argument("--studies", type=Path, help="a folder without a campaign; it may have the images")
    place.add_argument("--into", type=Path, metavar="FOLDER", help="a new or empty folder")
    restore.add_argument("--limit-gb", type=float, default=64, metavar="GB", help="unpacked (default: 64)")
    restore.set_defaults(run=_restore)


def _backup(options: argparse.Namespace) -> int:
    from uniultra.store.backups import save

    store = open_store(options)
    done = save(options.studies, options.output, store.lock)
    print(f"{done.versions} versions of labels, {done.files} files, {done.bytes / 1e6:.1f} MB")
    print(f"SHA-256 {done.sha256}")
    return listed(dict.fromkeys(done.left_out, "its label is damaged or gone"))


def _restore(options: argparse.Namespace) -> None:
    from uniultra.files.whole_folder import check_free
    from uniultra.store.backups import restore
    from uniultra.store.store import LabelStore

    if options.into:
        check_free(options.into)
    studies = options.into or options.studies
    done = restore(options.archive, studies, limit=int(options.limit_gb * 1e9))
    store = LabelStore(studies)
    store.rebuild()
    print(f"{done.versions} versions of labels in {done.files} files are back; the index is built again")
    missing = {v.image for v in store.versions()} - set(store.images.listed())
    if missing:
        print(f"{len(missing)} of their images are not in the folder: put them where they were")

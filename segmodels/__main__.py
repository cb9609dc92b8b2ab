"""`garmentscope segment | models | pull | archive`, or `python -m segmodels ...`.

Other packages bring commands of their own: each is an entry point of the group `garmentscope.commands`, a function that
takes a list of arguments and returns an exit status. It is imported when its command is called.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from tqdm import tqdm

from segmodels.checkpoints.catalog import DEFAULT_MODEL, Offer, list_offers, load_segmenter, pull_checkpoint
from segmodels.checkpoints.checkpoint import CheckpointError, read_config, read_results
from segmodels.device import DeviceError, add_device_arguments
from segmodels.hub.client import Progress
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError, find_photos, open_photo
from segmodels.sentences import first_line


def main(arguments: list[str] | None = None) -> int:
    """Runs a command: 0 if all went well, 1 if something failed, 2 for wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["archive"]:
        return importlib.import_module("segmodels.archive.__main__").main(arguments[1:])  # type: ignore[no-any-return]
    brought = _brought_commands()
    if arguments and arguments[0] in brought:
        return brought[arguments[0]].load()(arguments[1:])  # type: ignore[no-any-return]
    parser = argparse.ArgumentParser(prog="garmentscope", description="Finds the garments in outfit photos.")
    commands = parser.add_subparsers(dest="command", required=True)
    segment = commands.add_parser("segment", help="write a class map (PNG) and a list of garments (JSON) per photo")
    segment.add_argument("photos", nargs="+", type=Path, metavar="PHOTO_OR_FOLDER")
    segment.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    segment.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="NAME", help="catalog name, folder of a checkpoint, or hf://..."
    )
    add_device_arguments(segment)
    commands.add_parser("models", help="list the models and where they come from")
    pull = commands.add_parser("pull", help="download models from the Hugging Face Hub, or update them")
    pull.add_argument("names", nargs="+", metavar="NAME", help="catalog name, or hf://owner/repo@revision")
    commands.add_parser(
        "archive", help="turn photos into data: ingest, show, duplicates, make-up; each has its own --help"
    )
    for name, entry in brought.items():
        commands.add_parser(name, help=f"run the package {entry.module.partition('.')[0]}; has its own --help")
    parsed = parser.parse_args(arguments)
    try:
        if parsed.command == "segment":
            return _segment(parsed)
        return _pull(parsed.names) if parsed.command == "pull" else _models()
    except KeyboardInterrupt:
        print("\nStopped. Results written so far are complete.", file=sys.stderr)
        return 130
    except (CheckpointError, DeviceError, PhotoError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _brought_commands() -> dict[str, EntryPoint]:
    """Commands of other packages, by name; none if Garmentscope is not installed."""
    own = {"segment", "models", "pull", "archive"}
    return {entry.name: entry for entry in entry_points(group="garmentscope.commands") if entry.name not in own}


def _segment(arguments: argparse.Namespace) -> int:
    out = arguments.out
    photos, failed = _collect(arguments.photos)
    if not photos:
        print("There is no photo to segment.", file=sys.stderr)
        return 1
    named = list(_with_stems(photos))
    originals = {path.resolve() for path in photos}
    for _, stem in named:
        if (result := out / f"{stem}.png").resolve() in originals:
            print(f"{result} is a photo that its class map would overwrite. Name another --out.", file=sys.stderr)
            return 1
    with _pull_bar(arguments.model) as progress:
        segmenter = load_segmenter(arguments.model, arguments.device, precision=arguments.precision, progress=progress)
    out.mkdir(parents=True, exist_ok=True)
    with tqdm(named, unit="photo", disable=None) as bar:
        for path, stem in bar:
            try:
                for note in _segment_one(segmenter, path, out / stem):
                    bar.write(note, file=sys.stderr)
            except (CheckpointError, DeviceError):
                raise
            except PhotoError as error:
                failed += 1
                bar.write(str(error), file=sys.stderr)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise
                failed += 1
                bar.write(f"{path}: the results cannot be written: {error.strerror or error}.", file=sys.stderr)
            except Exception as error:  # one photo must not stop the others, whatever it raises
                failed += 1
                reason = first_line(error) or type(error).__name__
                bar.write(f"{path} could not be analysed: {reason}.", file=sys.stderr)
    return 1 if failed else 0


def _collect(paths: list[Path]) -> tuple[list[Path], int]:
    """The photos under the paths, and the number of paths not found, which are reported on stderr."""
    photos: list[Path] = []
    failed = 0
    for path in paths:
        try:
            found = find_photos([path])
        except PhotoError as error:
            failed += 1
            print(error, file=sys.stderr)
            continue
        photos += [photo for photo in found if photo not in photos]
    return photos, failed


def _with_stems(photos: list[Path]) -> Iterator[tuple[Path, str]]:
    """Each photo with the name of its results; the second `look.jpg` becomes `look-2`."""
    taken: set[str] = set()
    for photo in photos:
        stem, count = photo.stem, 1
        while stem.lower() in taken:
            count += 1
            stem = f"{photo.stem}-{count}"
        taken.add(stem.lower())
        yield photo, stem


def _segment_one(segmenter: Segmenter, path: Path, target: Path) -> list[str]:
    """Writes the results of a photo; gives sentences on how it was read."""
    notes: list[str] = []
    segmentation = segmenter.segment(open_photo(path, max_bytes=None, notes=notes))
    listing = json.dumps(segmentation.to_json(str(path)), indent=1, ensure_ascii=False)
    target.with_name(f"{target.name}.png").write_bytes(segmentation.class_map_png())
    target.with_name(f"{target.name}.json").write_text(listing + "\n", encoding="utf-8")
    return notes


def _pull(names: list[str]) -> int:
    failed = 0
    for name in names:
        try:
            with _pull_bar(name) as progress:
                pulled = pull_checkpoint(name, progress)
        except CheckpointError as error:
            failed += 1
            print(error, file=sys.stderr)
            continue
        print(f"{name}: revision {pulled.revision} of {pulled.repository} is in {pulled.folder}")
    return 1 if failed else 0


@contextmanager
def _pull_bar(name: str) -> Iterator[Progress]:
    """A progress bar that appears when the first byte arrives."""
    bar: tqdm[Any] | None = None

    def progress(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, desc=f"Pulling {name}", unit="B", unit_scale=True, disable=None)
        bar.update(done - bar.n)

    try:
        yield progress
    finally:
        if bar is not None:
            bar.close()


def _models() -> int:
    offers, problem = list_offers()
    if problem:
        print(problem, file=sys.stderr)
    if not offers:
        print("No model is installed. Set GARMENTSCOPE_MODELS to a folder of checkpoints.", file=sys.stderr)
        return 1
    failed = 0
    width = max(16, *(len(offer.name) + 2 for offer in offers))
    print(f"{'name':<{width}}{'from':<12}{'architecture':<16}{'input':<12}{'mean IoU':<10}{'on':<36}folder")
    for offer in offers:
        try:
            print(_model_line(offer, width))
        except CheckpointError as error:
            failed += 1
            print(f"{offer.name}: {error}", file=sys.stderr)
    return 1 if failed else 0


def _model_line(offer: Offer, width: int) -> str:
    if offer.folder is None:
        raise CheckpointError(offer.hub.problem if offer.hub else "it cannot be read")
    config, results = read_config(offer.folder), read_results(offer.folder)
    measured = next(iter(results.evaluations), None)
    mean_iou = measured.scores.mean_iou if measured else None
    score = f"{mean_iou:.3f}" if mean_iou is not None else "-"
    photos = str(measured.photos) if measured else "-"
    size = f"{config.height} x {config.width}"
    if offer.here is None and offer.hub:
        where = f"hf://{offer.hub.repository}, {offer.hub.size / 1e6:.1f} MB"
    else:
        where = f"{offer.folder}{', the Hub has a newer revision' if offer.has_update else ''}"
    architecture = "+".join(network.architecture for network in (config, *config.ensemble))
    return f"{offer.name:<{width}}{offer.place:<12}{architecture:<16}{size:<12}{score:<10}{photos:<36}{where}"


if __name__ == "__main__":
    sys.exit(main())

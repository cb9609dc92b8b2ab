"""`garmentscope segment | models | pull | archive`, or `python -m segmodels ...`.

Other packages bring commands of their own: each is an entry point of the group `garmentscope.commands`, a function that
takes a list of arguments and returns an exit status. It is imported when its command is called.
"""

from __future__ import annotations

import argparse
import ast
import errno
import importlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from tqdm import tqdm

import segmodels.streams  # noqa: F401  # before what takes long to import
from segmodels.annotations import ANNOTATION_FORMATS, LOCAL_FILES, AnnotationFile, AnnotationWriter, names_apart
from segmodels.arguments import path_argument, refusal
from segmodels.checkpoints.catalog import DEFAULT_MODEL, Offer, list_offers, load_segmenter, pull_checkpoint
from segmodels.checkpoints.checkpoint import read_results
from segmodels.checkpoints.config import read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.checkpoints.listing import about_model
from segmodels.device import DeviceError, add_device_arguments
from segmodels.files import replacing, writable_name
from segmodels.hub.progress import pull_bar
from segmodels.inference.memory import is_out_of_memory
from segmodels.inference.segmentation import Segmentation
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError, decode_photo, find_photos
from segmodels.results_folder import choose_targets, is_done, legible, map_of, write_results
from segmodels.sentences import first_line, listed
from segmodels.settings import read_settings
from segmodels.streams import heed_sigterm, leave_pipe, stopped_status


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
    segment = commands.add_parser(
        "segment",
        help="write a class map (PNG) and a list of garments (JSON) per photo, and files for annotation tools",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_exports(),
    )
    segment.add_argument("photos", nargs="+", type=path_argument, metavar="PHOTO_OR_FOLDER")
    segment.add_argument("--out", type=path_argument, required=True, metavar="DIR", help="folder for the results")
    segment.add_argument(
        "--again", action="store_true", help="also do photos whose results of this model are in DIR already"
    )
    segment.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="NAME", help="catalog name, folder, ONNX file, or hf://owner/repo"
    )
    segment.add_argument(
        "--export",
        action="append",
        default=[],
        choices=ANNOTATION_FORMATS,
        metavar="FORMAT",
        help="also write annotations of all photos into DIR/FORMAT; may be repeated; the formats are listed below",
    )
    segment.add_argument(
        "--as-stored",
        action="store_true",
        help="turn exported annotations of photos with an EXIF orientation back to the pixels that the file stores",
    )
    segment.add_argument(
        "--image-address",
        default=LOCAL_FILES,
        metavar="PREFIX",
        help="what comes before a photo's name in Label Studio's tasks (default: %(default)s)",
    )
    add_device_arguments(segment)
    models = commands.add_parser("models", help="list the models and where they come from")
    models.add_argument("--json", action="store_true", help="print all that is known of each, as JSON")
    pull = commands.add_parser("pull", help="download models from the Hugging Face Hub, or update them")
    pull.add_argument("names", nargs="+", metavar="NAME", help="catalog name, or hf://owner/repo@revision")
    commands.add_parser(
        "archive", help="turn photos into data: ingest, show, delete-photos, merge, check ...; each has its own --help"
    )
    for name, entry in brought.items():
        commands.add_parser(name, help=_what_it_does(entry))
    parsed = parser.parse_args(arguments)
    try:
        with heed_sigterm():
            if parsed.command == "segment":
                status = _segment(parsed)
            else:
                status = _pull(parsed.names) if parsed.command == "pull" else _models(as_json=parsed.json)
            sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        print("\nStopped. Results written so far are complete; run the same command to go on.", file=sys.stderr)
        return stopped_status()
    except BrokenPipeError:
        return leave_pipe()
    except (CheckpointError, DeviceError, PhotoError) as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, MemoryError, RuntimeError) as error:
        if not isinstance(error, OSError) and not is_out_of_memory(error):
            raise
        print(refusal(error), file=sys.stderr)
        return 1


def _exports() -> str:
    """The formats of `--export`, a line each."""
    width = max(map(len, ANNOTATION_FORMATS))
    lines = [f"  {name:<{width}}  {form.title}. {form.hint}" for name, form in ANNOTATION_FORMATS.items()]
    return "\n".join(
        [
            "formats of --export:",
            *lines,
            "",
            "Photos are named by their path in the folder given. Every class but the background is exported, for each",
            "person. Masks are exact; polygons keep within one pixel of the outline, and holes are cut in by a seam.",
            "Annotations are of the photo turned upright, as CVAT, Label Studio, OpenCV and Ultralytics read it.",
            "Programs that ignore EXIF, as Pillow and torchvision do if not told otherwise, need --as-stored.",
        ]
    )


def _brought_commands() -> dict[str, EntryPoint]:
    """Commands of other packages, by name; none if Garmentscope is not installed."""
    own = {"segment", "models", "pull", "archive"}
    return {entry.name: entry for entry in entry_points(group="garmentscope.commands") if entry.name not in own}


def _what_it_does(entry: EntryPoint) -> str:
    """The first sentence of a command's documentation, up to its first colon or semicolon; nothing is imported."""
    try:
        spec = importlib.util.find_spec(entry.module)
        source = Path(str(spec and spec.origin)).read_text(encoding="utf-8")
        functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
        text = next(ast.get_docstring(node) or "" for node in functions if node.name == entry.attr)
    except (ImportError, OSError, SyntaxError, ValueError, StopIteration):  # it must not hide the other commands
        text = ""
    said = re.split("[:;.]", text)[0].strip().replace("%", "%%")
    return f"{said[:1].lower()}{said[1:]}; has its own --help" if said else "has its own --help"


def _segment(arguments: argparse.Namespace) -> int:
    out = arguments.out
    names, failed = _collect(arguments.photos)
    if not names:
        print(
            "There is no photo to segment. Name photos, or a folder with JPEG, PNG, WebP, HEIC or other photos.",
            file=sys.stderr,
        )
        return 1
    exported_names = dict(zip(names, names_apart(names.values()), strict=True))
    originals = {os.path.realpath(path) for path in names}  # which, unlike Path.resolve, takes a loop of links
    results = [out / Path(name).with_suffix(".png") for name in names.values()]
    if "masks" in arguments.export:
        results += [(out / "masks" / "masks" / name).with_suffix(".png") for name in exported_names.values()]
    for result in results:
        if os.path.realpath(result) in originals:
            print(f"{result} is a photo that its class map would overwrite. Name another --out.", file=sys.stderr)
            return 1
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else first_line(error)
        print(f"The results cannot be written to {legible(out)}: {reason}. Name another --out.", file=sys.stderr)
        return 1
    with pull_bar(arguments.model) as progress:
        segmenter = load_segmenter(arguments.model, arguments.device, precision=arguments.precision, progress=progress)
    targets = choose_targets(names, out)
    writers = {kind: ANNOTATION_FORMATS[kind].open(arguments.image_address) for kind in dict.fromkeys(arguments.export)}
    checkpoint = segmenter.checkpoint
    done = written = 0
    try:
        with tqdm(targets.items(), unit="photo", disable=None) as bar:
            for path, target in bar:
                if not (arguments.again or writers) and is_done(target, path, checkpoint.name, checkpoint.revision):
                    done += 1
                    continue
                try:
                    segmentation, notes = _analysed(segmenter, path)
                except (CheckpointError, DeviceError):
                    raise
                except PhotoError as error:
                    failed += 1
                    bar.write(str(error), file=sys.stderr)
                    continue
                except Exception as error:  # one photo must not stop the others, whatever it raises
                    failed += 1
                    reason = first_line(error) or type(error).__name__
                    bar.write(f"{legible(path)} could not be analysed: {reason}.", file=sys.stderr)
                    continue
                try:
                    write_results(target, path, segmentation)
                    exported = segmentation.as_stored() if arguments.as_stored else segmentation
                    for kind, writer in writers.items():
                        _write(out / kind, writer.add(exported_names[path], exported))
                except OSError as error:
                    if error.errno in (errno.ENOSPC, errno.EDQUOT):
                        raise OSError(
                            f"No space is left in {out} for the results of {legible(path)}. Those written so far are "
                            "complete: free some space and run the same command to go on."
                        ) from None
                    failed += 1
                    reason = error.strerror or first_line(error)
                    bar.write(f"{legible(path)}: the results cannot be written: {reason}.", file=sys.stderr)
                    continue
                except Exception as error:
                    failed += 1
                    reason = first_line(error) or type(error).__name__
                    bar.write(f"{legible(path)}: the annotations cannot be made: {reason}.", file=sys.stderr)
                    continue
                written += 1
                for note in [*notes, *_renamed(path, target)]:
                    bar.write(note, file=sys.stderr)
    except BaseException:
        with suppress(OSError):  # of what was done before Ctrl-C; a full disk is told already
            _close(writers, out)
        raise
    _close(writers, out)
    if done:
        who = "1 photo was done before, and left as it is." if done == 1 else ""
        who = who or f"{done:,} photos were done before, and left as they are."
        print(f"{who} --again does all anew.", file=sys.stderr)
    if written:
        print(_what_was_written(written, checkpoint.name, out, list(writers)))
    return 1 if failed else 0


def _what_was_written(count: int, model: str, out: Path, exports: Sequence[str]) -> str:
    photos = "1 photo" if count == 1 else f"{count:,} photos"
    text = f"{photos} segmented with {model}. Class maps (PNG) and garments (JSON) are in {out}"
    return f"{text}, annotations in {listed([str(out / kind) for kind in exports])}." if exports else f"{text}."


def _renamed(path: Path, target: Path) -> list[str]:
    """A sentence where no file can be called like a photo."""
    if writable_name(path.stem) == path.stem:
        return []
    return [f"The results of {legible(path)} are {map_of(target)} and .json."]


def _close(writers: Mapping[str, AnnotationWriter], out: Path) -> None:
    """Writes what each export has when all its photos are there."""
    for kind, writer in writers.items():
        _write(out / kind, writer.close())


def _write(folder: Path, files: Iterable[AnnotationFile]) -> None:
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_bytes(file.content)


def _collect(paths: list[Path]) -> tuple[dict[Path, str], int]:
    """The photos under the paths, and the number of paths that cannot be searched, which are reported on stderr.

    Each photo has its path in the folder that was given, with `/` between folders.
    """
    photos: dict[Path, str] = {}
    failed = 0
    passed_over: dict[Path, str] = {}
    for path in paths:
        try:
            found = find_photos([path], passed_over)
        except PhotoError as error:
            failed += 1
            print(error, file=sys.stderr)
            continue
        for photo in found:
            photos.setdefault(photo, photo.name if photo == path else photo.relative_to(path).as_posix())
    for sentence in passed_over.values():
        print(sentence, file=sys.stderr)
    return photos, failed + len(passed_over)


def _analysed(segmenter: Segmenter, path: Path) -> tuple[Segmentation, Sequence[str]]:
    """The results of a photo, and sentences on how it was read."""
    photo = decode_photo(path, max_bytes=None)
    return segmenter.segment(photo), photo.notes


def _pull(names: list[str]) -> int:
    failed = 0
    for name in names:
        try:
            with pull_bar(name) as progress:
                pulled = pull_checkpoint(name, progress)
        except CheckpointError as error:
            failed += 1
            print(error, file=sys.stderr)
            continue
        print(f"{name}: revision {pulled.revision} of {pulled.repository} is in {pulled.folder}")
    return 1 if failed else 0


def _models(*, as_json: bool) -> int:
    offers, problem = list_offers()
    if problem:
        print(problem, file=sys.stderr)
    for place in read_settings().models:
        if not os.access(place, os.R_OK | os.X_OK) or not place.is_dir():
            print(
                f"GARMENTSCOPE_MODELS names {legible(place)}, which is no folder that can be listed. Correct it.",
                file=sys.stderr,
            )
    if not offers:
        print("No model is installed. Set GARMENTSCOPE_MODELS to a folder of checkpoints.", file=sys.stderr)
        return 1
    failed = 0
    if as_json:
        rows = []
        for offer in offers:
            try:
                rows.append(_model_json(offer))
            except Exception as error:  # one folder, whatever is in it, never hides the others
                failed += 1
                rows.append({"name": offer.name, "from": offer.place, "problem": _problem(error)})
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 1 if failed else 0
    lines: list[tuple[str, ...]] = [("name", "from", "architecture", "input", "mean IoU", "on", "folder")]
    for offer in offers:
        try:
            lines.append(_model_cells(offer))
            if offer.here and (sentence := offer.here.replaces):
                print(f"{offer.name}: {sentence}", file=sys.stderr)
        except Exception as error:  # one folder, whatever is in it, never hides the others
            failed += 1
            print(f"{offer.name}: {_problem(error)}", file=sys.stderr)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for cells in lines:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
    return 1 if failed else 0


def _problem(error: Exception) -> str:
    if isinstance(error, CheckpointError):
        return str(error)
    return f"cannot be read: {first_line(error) or type(error).__name__}."


def _model_json(offer: Offer) -> dict[str, Any]:
    """What `models --json` says of a model."""
    if offer.folder is None:
        raise CheckpointError(offer.hub.problem if offer.hub and offer.hub.problem else "pull it to see what it is")
    return {"name": offer.name, "from": offer.place, "folder": str(offer.folder), **about_model(offer.folder)}


def _model_cells(offer: Offer) -> tuple[str, ...]:
    """What a line of `models` says of a model."""
    if offer.folder is None:
        raise CheckpointError(offer.hub.problem if offer.hub and offer.hub.problem else "pull it to see what it is")
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
    return offer.name, offer.place, architecture, size, score, photos, where


if __name__ == "__main__":
    sys.exit(main())

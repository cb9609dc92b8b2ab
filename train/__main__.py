"""The command line: `python -m train --help` lists the commands."""

from __future__ import annotations

import argparse
import sys

import segmodels.streams  # noqa: F401  # before what takes long to import
import train.extra  # noqa: F401  # ends the command with a sentence where the extra is not installed
from segmodels.arguments import refusal
from segmodels.checkpoints.errors import CheckpointError
from segmodels.datasets import DatasetError
from segmodels.device import DeviceError
from segmodels.evaluation.evidence import EvidenceError
from segmodels.evaluation.results import ResultsError
from segmodels.inference.memory import is_out_of_memory
from segmodels.mappings import MappingError
from segmodels.photo import PhotoError
from segmodels.streams import heed_sigterm, leave_pipe, stopped_status
from train.commands import detecting, embedding, fitting, judging, kinds, labelling, publishing
from train.publishing.export import ExportError
from train.recipe import RecipeError
from train.resume import FitError
from train.segmentation.pretrained import PretrainedError

__all__ = ["main"]

_FORESEEN = (
    CheckpointError,
    DatasetError,
    DeviceError,
    EvidenceError,
    ExportError,
    FitError,
    MappingError,
    PhotoError,
    PretrainedError,
    RecipeError,
    ResultsError,
)
"""Errors whose message is for the user."""

_COMMANDS = (
    fitting.add_fit,
    fitting.add_crossval,
    fitting.add_probe,
    fitting.add_compare,
    judging.add_evaluate,
    judging.add_calibrate,
    kinds.add_kinds,
    embedding.add_embedding,
    publishing.add_join,
    publishing.add_describe,
    publishing.add_push,
    publishing.add_export,
    judging.add_suspects,
    judging.add_reliability,
    judging.add_truth,
    judging.add_stats,
    judging.add_check_data,
    labelling.add_pseudo_label,
    labelling.add_mask_flatlays,
    detecting.add_fit_person,
    detecting.add_list_bystanders,
    detecting.add_evaluate_person,
    detecting.add_evaluate_scenes,
)
"""Each adds its command, in the order of the help."""


def main(arguments: list[str] | None = None) -> int:
    """Trains, evaluates and exports networks: 0 if a command did its work, 1 with one sentence on stderr if not."""
    parser = argparse.ArgumentParser(prog="python -m train", description="Trains and evaluates segmentation networks.")
    commands = parser.add_subparsers(dest="command", required=True)
    for add_command in _COMMANDS:
        add_command(commands)
    parsed = parser.parse_args(arguments)
    try:
        with heed_sigterm():
            status = int(parsed.run(parsed))
            sys.stdout.flush()
            return status
    except BrokenPipeError:
        return leave_pipe()
    except KeyboardInterrupt:
        print(
            "\nStopped. Run the same command to continue; a fit continues from its last epoch.",
            file=sys.stderr,
        )
        return stopped_status()
    except _FORESEEN as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, MemoryError, RuntimeError) as error:
        if not isinstance(error, OSError) and not is_out_of_memory(error):
            raise
        print(refusal(error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

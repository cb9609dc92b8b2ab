"""Puts a checkpoint on the Hugging Face Hub, in one commit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import RepositoryNotFoundError

from segmodels.checkpoints.checkpoint import Checkpoint, load_checkpoint
from segmodels.checkpoints.errors import CheckpointError
from segmodels.evaluation.evidence import EVIDENCE_FILE, read_evidence
from segmodels.hub.cache import FILES, REPOSITORY_PREFIX
from segmodels.hub.client import open_api
from segmodels.hub.errors import HubError, explain_failures
from train.publishing.card import model_card

__all__ = ["Published", "check_owner", "push", "repository_of"]


@dataclass(frozen=True)
class Published:
    """What was put on the Hub.

    Args:
        address: Address of the repository's page.
        commit: Commit that holds the checkpoint; the one that was there if nothing has changed.
    """

    address: str
    commit: str


def repository_of(owner: str, name: str) -> str:
    """The repository under which the catalog looks for an owner's checkpoint of a name."""
    return f"{owner}/{REPOSITORY_PREFIX}{name}"


def check_owner(owner: str) -> None:
    """Finds out before hours of training whether one can publish under an owner.

    Raises:
        HubError: If nobody is logged in, the token is not accepted, or it is neither the owner's nor a member's.
    """
    api = open_api()
    with explain_failures(owner, writing=True):
        who = api.whoami()
        names = [who["name"], *(organisation["name"] for organisation in who.get("orgs", []))]
    if owner not in names:
        raise HubError(f"The token belongs to {names[0]}, who cannot publish under {owner}. Name {' or '.join(names)}.")


def push(folder: Path, repository: str, *, private: bool = False, message: str = "") -> Published:
    """Publishes a checkpoint: its files and a model card that is written anew; other files of the repository stay.

    Args:
        folder: Folder of the checkpoint.
        repository: `owner/name`; made if there is none.
        private: Whether only its owner may see it.
        message: Message of the commit; if left out, it says what the checkpoint is.

    Raises:
        CheckpointError: If the checkpoint could not be loaded again.
        EvidenceError: If its evidence is damaged.
        HubError: If the Hub refuses, or is not there; then nothing is published.
    """
    checkpoint = load_checkpoint(folder)
    if checkpoint.config.foreign:
        raise CheckpointError(
            f"{folder} is a network of {checkpoint.config.foreign.library}, licence "
            f"{checkpoint.config.foreign.licence}. Only checkpoints of Garmentscope are published; upload others with "
            "their own tools."
        )
    if (folder / EVIDENCE_FILE).is_file():
        read_evidence(folder / EVIDENCE_FILE)
    name = repository.rpartition("/")[2].removeprefix(REPOSITORY_PREFIX)
    card = model_card(
        name,
        checkpoint.config,
        checkpoint.results,
        repository,
        calibration=checkpoint.calibration,
        kinds=checkpoint.kinds.config if checkpoint.kinds else None,
    )
    api = open_api()
    with explain_failures(repository, writing=True):
        try:
            there = api.model_info(repository)
        except RepositoryNotFoundError:
            api.create_repo(repository, private=private or None, exist_ok=True)
            there = api.model_info(repository)
        assert there.siblings is not None
    if private and not there.private:
        raise HubError(f"{repository} is public already. Make it private on its page, or push without --private.")
    here = [file for file in FILES if file != "README.md" and (folder / file).is_file()]
    gone = {file.rfilename for file in there.siblings} & {*FILES} - {*here, "README.md"}
    with explain_failures(repository, writing=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*you are about to commit a data file.*")  # the evidence
        commit = api.create_commit(
            repository,
            [
                *(CommitOperationAdd(file, folder / file) for file in here),
                CommitOperationAdd("README.md", card.encode()),
                *(CommitOperationDelete(file) for file in sorted(gone)),
            ],
            commit_message=message or _message(name, checkpoint),
        )
    return Published(f"{api.endpoint}/{repository}", commit.oid)


def _message(name: str, checkpoint: Checkpoint) -> str:
    training = checkpoint.config.training
    judged = [evaluation.scores.mean_iou for evaluation in checkpoint.results.evaluations]
    score = f", mean IoU {judged[-1]:.3f}" if judged and judged[-1] is not None else ""
    return f"{name}: epoch {training.get('epoch', '-')} on {training.get('dataset', 'unknown data')}{score}"

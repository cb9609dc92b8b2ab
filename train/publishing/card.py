"""The model card of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.checkpoints.config import CheckpointConfig, Member
from segmodels.evaluation.papers import ARCHITECTURE_PAPERS
from segmodels.evaluation.results import DATASET_TITLES, ConditionScore, DetectorResults, Evaluation, Results, Scores
from segmodels.inference.detector import DetectorConfig
from segmodels.inference.kinds import KindJudgement, KindsConfig
from segmodels.inference.presence import LIKELY, Calibration, PresenceJudgement

__all__ = ["card_data", "card_of", "detector_card", "model_card"]


_DATA_SETS = {
    "ccp": "[Clothing Co-Parsing](https://github.com/bearpaw/clothing-co-parsing) (Yang, Luo & Lin, CVPR 2014), "
    "Apache-2.0",
    "cfpd": "[Colorful Fashion Parsing Data](https://github.com/hrsma2i/dataset-CFPD), on its authors' terms",
    "imaterialist": "[iMaterialist (Fashion) 2019](https://www.kaggle.com/c/imaterialist-fashion-2019-FGVC6), on the "
    "terms of its competition",
    "fashionpedia": "[Fashionpedia](https://fashionpedia.github.io/home) (Jia et al., ECCV 2020), annotations CC BY "
    "4.0, photos on the terms of their owners",
}
_DATA_SETS["ccp_cfpd"] = f"{_DATA_SETS['ccp']}; and {_DATA_SETS['cfpd']}"

_METRICS = {  # key among the scores: the Hub's identifier, a name for people
    "mean_iou": ("mean_iou", "mean IoU"),
    "mean_f1": ("f1", "mean F1"),
    "pixel_accuracy": ("accuracy", "pixel accuracy"),
    "binary_iou": ("binary_iou", "IoU of not Background"),
}

_LARGEST_MATRIX = 20  # classes up to which a confusion matrix fits a page


def card_of(checkpoint: Checkpoint, results: Results) -> str | None:
    """README.md of a checkpoint with new results; None for a network from elsewhere, whose own one stays."""
    if checkpoint.config.foreign:
        return None
    return model_card(
        checkpoint.name,
        checkpoint.config,
        results,
        calibration=checkpoint.calibration,
        kinds=checkpoint.kinds.config if checkpoint.kinds else None,
    )


def model_card(
    name: str,
    config: CheckpointConfig,
    results: Results,
    repository: str = "",
    *,
    calibration: Calibration | None = None,
    kinds: KindsConfig | None = None,
) -> str:
    """README.md of a checkpoint: what it is, how to load it, on what it was trained, its scores and its limits.

    It begins with the front matter that the Hugging Face Hub reads.

    Args:
        name: Name of the checkpoint in the catalog.
        config: Configuration of the checkpoint.
        results: Scores of the checkpoint.
        repository: `owner/name` on the Hub, if it goes there.
        calibration: Calibration of the checkpoint, if it has one.
        kinds: Kinds of the checkpoint, if it has any.
    """
    lines = [
        "---",
        card_data(name, config, results).to_yaml(),
        "---",
        "",
        f"# Garmentscope {name}",
        "",
        *_what_it_is(config),
        *_weights(config.training),
        *_use(name, config, repository),
        *_training(config.training),
    ]
    for evaluation in results.evaluations:
        lines += _scores(evaluation)
    if not results.evaluations:
        lines += ["## Scores", "", "Not evaluated yet on photos that were not used in training or selection.", ""]
    return "\n".join(
        [*lines, *_conditions(results.conditions), *_presence(calibration), *_kinds(kinds), *_limits(config.training)]
    )


def _what_it_is(config: CheckpointConfig) -> list[str]:
    return [
        f"Segments the garments of each person in a photo into {len(config.classes)} classes ({config.taxonomy}): "
        f"{', '.join(config.classes)}.",
        f"Architecture `{config.architecture}`{_paper(config.architecture)}, input {config.height} x {config.width}"
        f"{''.join(map(_averaged, config.ensemble))}.",
        "",
    ]


def _use(name: str, config: CheckpointConfig, repository: str) -> list[str]:
    """Section on loading and use."""
    address, where = f"hf://{repository}" if repository else name, ""
    if config.own_taxonomy and not repository:  # the catalog may have another network of its name
        address, where = "FOLDER", ", and FOLDER the path of the folder in which this file lies"
    return [
        "## Use",
        "",
        f"With Garmentscope installed{where}:",
        "",
        "```python",
        "from segmodels import load_segmenter",
        "",
        f'segmentation = load_segmenter("{address}").segment("outfit.jpg")',
        "```",
        "",
        "It is meant for masks of garments in photos of outfits, for statistics over many such photos, and for "
        "comparing architectures. The weights are a safetensors file, and nothing is unpickled.",
        "",
    ]


def _training(training: Mapping[str, Any]) -> list[str]:
    """A section on what it learned from, and how."""
    return [
        "## Training",
        "",
        f"Data set {_title(training.get('dataset'))}, {_epoch(training)}.{_steps(training)}{_members(training)} "
        "The recipe is in `config.json`.",
        "",
        f"The data: {_DATA_SETS.get(str(training.get('dataset')), 'photos and masks of whoever trained it')}. None of "
        "its photos is included.",
        "",
    ]


def _title(dataset: Any) -> str:
    return DATASET_TITLES.get(str(dataset), str(dataset))


def _limits(training: Mapping[str, Any]) -> list[str]:
    """A section on what it cannot do."""
    dataset = str(training.get("dataset"))
    if dataset in ("ccp", "ccp_cfpd"):
        learned = (
            "Trained on few photos, in the street style of about 2014, mostly of women, with one person each: expect "
            "lower scores on other people, other clothes and other kinds of photo. Rare garments (rompers, scarves, "
            "ties, socks) are often missed."
        )
    else:
        before = dict.fromkeys(each["dataset"] for each in training.get("start", {}).get("trained_on", []))
        earlier = f" and, before, of {' and '.join(before)}" if before else ""
        learned = (
            f"Trained on the photos of {dataset}{earlier}: expect lower scores on other people, other clothes and "
            "other kinds of photo. Classes that few of them show are often missed."
        )
    return ["## Limits", "", f"{learned} Not for identifying people, nor for conclusions about them.", ""]


def _scores(evaluation: Evaluation) -> list[str]:
    """A section with the scores by class, their means, and where the pixels of each class went."""
    scores = evaluation.scores
    return [
        f"## Scores on {evaluation.photos}",
        "",
        " ".join(filter(None, (evaluation.how, evaluation.classes_scored))),
        "",
        "| class | IoU | F1 | precision | recall |",
        "|---|---|---|---|---|",
        *(
            f"| {label} | {_cell(row.iou)} | {_cell(row.f1)} | {_cell(row.precision)} | {_cell(row.recall)} |"
            for label, row in scores.classes.items()
        ),
        f"| mean | {_cell(scores.mean_iou)} | {_cell(scores.mean_f1)} | {_cell(scores.mean_precision)} | "
        f"{_cell(scores.mean_recall)} |",
        "",
        f"Pixel accuracy {_cell(scores.pixel_accuracy)}, binary IoU {_cell(scores.binary_iou)}, mean IoU "
        f"without background {_cell(scores.mean_iou_foreground)}.",
        "",
        *_confusion(scores, of_two_taxonomies=bool(evaluation.truth_taxonomy)),
    ]


def _conditions(conditions: Sequence[ConditionScore]) -> list[str]:
    """A table of the scores on photos that are cut, lit or made otherwise."""
    if not conditions:
        return []
    return [
        "## Scores under other conditions",
        "",
        "| photos | score | what it is | measured on |",
        "|---|---|---|---|",
        *(f"| {each.name} | {_cell(each.score)} | {each.measure} | {each.photos} |" for each in conditions),
        "",
    ]


def _presence(calibration: Calibration | None) -> list[str]:
    """A table of how far counts of garments are right, with and without the calibration."""
    if calibration is None:
        return []
    return [
        "## Counts",
        "",
        "Presence is the calibrated probability that a person shows a garment. Error: mean over the garments of the "
        "absolute error of the share of photos that show it. F1: micro F1 over photos and garments, from presence "
        f"{LIKELY}. Each first without the calibration, then with it.",
        "",
        "| photos | framing | how | error | F1 | Brier score |",
        "|---|---|---|---|---|---|",
        *(
            f"| {each.photos} | {each.framing} | {each.how} | {_both(each, 'share_error')} | {_both(each, 'f1')} | "
            f"{_both(each, 'brier')} |"
            for each in (*calibration.fitted_on, *calibration.judged_on)
        ),
        "",
    ]


def _kinds(kinds: KindsConfig | None) -> list[str]:
    """Sections on the kinds that are told apart: a table of their scores and a confusion matrix for each class."""
    if kinds is None:
        return []
    lines = [
        "## Kinds",
        "",
        "What a garment is within its class, from the network's features under its mask: one kind each, or none where "
        "the likeliest is not certain or the garment much larger than all that taught, as shoes without a wearer. "
        "Named: share of the garments found whose kind is named. Accuracy: share of the "
        "named that are right, with its 95 % interval over photos; balanced: its mean over the kinds; most frequent: "
        f"the accuracy of always naming the most frequent kind. Learned from {kinds.data}.",
        "",
        "| class | kinds | photos | framing | how | garments | named | accuracy | balanced | most frequent |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {each.garment} | {', '.join(kinds.classes[each.garment].names)} | {each.photos} | {each.framing} | "
            f"{each.how} | {each.garments} | {each.answered:.0%} | {each.accuracy.value:.2f} "
            f"({each.accuracy.low:.2f} to {each.accuracy.high:.2f}) | {each.balanced_accuracy:.2f} | "
            f"{each.majority:.2f} |"
            for each in kinds.judgements
        ),
        "",
    ]
    for each in kinds.judgements:
        if each.how == "held out" and each.framing == "full":
            lines += _kinds_matrix(each, kinds.classes[each.garment].names)
    lines += [f"{name} has no kinds: {reason}." for name, reason in kinds.left_out.items()]
    return [*lines, ""] if kinds.left_out else lines


def _kinds_matrix(judgement: KindJudgement, names: Sequence[str]) -> list[str]:
    return [
        f"{judgement.garment} on {judgement.photos}: true kinds in rows, named kinds in columns, numbers of garments:",
        "",
        f"| truth | {' | '.join(names)} | not named |",
        f"|---|{'---|' * (len(names) + 1)}",
        *(f"| {name} | {' | '.join(map(str, row))} |" for name, row in zip(names, judgement.matrix, strict=True)),
        "",
    ]


def _both(judgement: PresenceJudgement, score: str) -> str:
    return f"{_cell(getattr(judgement.raw, score))} → {_cell(getattr(judgement.calibrated, score))}"


def _weights(training: Mapping[str, Any]) -> list[str]:
    """Where those of a description come from; nothing for a checkpoint, which has them."""
    if "command" not in training:
        return []
    return [
        "## Weights",
        "",
        "They are not included in Garmentscope. This command trains them, with the data set in the folder DATA:",
        "",
        "```sh",
        str(training["command"]),
        "```",
        "",
        *_needs(training),
        "Copy the checkpoint that it writes to a folder of this model's name, and set `GARMENTSCOPE_MODELS` to the "
        "folder above it.",
        "",
    ]


def _needs(training: Mapping[str, Any]) -> list[str]:
    """What has to be there before the command is run."""
    recipe = training.get("recipe", {})
    start, pseudo = recipe.get("start"), recipe.get("pseudo")
    lines = [f"Training continues from the checkpoint `{start}`."] if start else []
    lines += [f"Training uses the masks of tagged photos in `{pseudo}`."] if pseudo else []
    return [" ".join([*lines, "The comment at the top of the recipe says how to make them."]), ""] if lines else []


def _averaged(member: Member) -> str:
    return f", averaged with `{member.architecture}`, input {member.height} x {member.width}, share {member.share:g}"


def card_data(name: str, config: CheckpointConfig, results: Results) -> ModelCardData:
    """The front matter of a model card: what the Hub files it under, and its scores as `model-index`.

    Args:
        name: Name of the checkpoint in the catalog.
        config: Configuration of the checkpoint.
        results: Scores of the checkpoint.
    """
    index = [
        EvalResult(
            task_type="image-segmentation",
            dataset_type=evaluation.photos.dataset,
            dataset_name=evaluation.photos.dataset,
            dataset_split=evaluation.photos.part,
            metric_type=identifier,
            metric_name=label,
            metric_value=value,
        )
        for evaluation in results.evaluations
        for key, (identifier, label) in _METRICS.items()
        if (value := getattr(evaluation.scores, key)) is not None
    ]
    free = config.training.get("dataset") == "ccp"
    return ModelCardData(
        library_name="garmentscope",
        pipeline_tag="image-segmentation",
        license="apache-2.0" if free else "other",
        license_name=None if free else "terms-of-the-data-set",
        tags=["image-segmentation", "semantic-segmentation", "fashion", "garments", config.architecture],
        model_name=f"garmentscope-{name}" if index else None,
        eval_results=index or None,
    )


def detector_card(config: DetectorConfig, results: DetectorResults) -> str:
    """README.md of a person detector.

    Args:
        config: Configuration of the detector.
        results: Scores of the detector.
    """
    training = config.training
    lines = [
        "# Garmentscope person detector",
        "",
        "Finds the people in a photo, so that each outfit is segmented in its own crop. It is "
        f"torchvision's SSD for one class on EfficientNet-Lite0, input {config.side} x {config.side}; a box with a "
        f"score of at least {config.threshold} is a person.",
        "",
        "```python",
        "from segmodels.inference.detector import find_people",
        "from segmodels.photo import open_photo",
        "",
        'for person in find_people(open_photo("street.jpg")):',
        "    print(person.box, person.confidence)",
        "```",
        "",
        "## Training",
        "",
        f"Data set {_title(training.get('dataset'))}, {_epoch(training)}: boxes around its masks, on photos and on "
        "scenes made of them (zoomed out, mosaics, people side by side, people on other backgrounds, no people). The "
        "recipe is in `config.json`.",
        "",
    ]
    if (blend := training.get("recipe", {}).get("blend", 1.0)) < 1:
        lines += [
            f"The weights lie between those of the detector that it started from and those trained, of which they have "
            f"{blend:.0%}.",
            "",
        ]
    for evaluation in results.evaluations:
        lines += [
            f"## Scores on {evaluation.photos}",
            "",
            "At an intersection over union of 0.5. `photos`: people in the background count as wrong, because the data "
            "set does not label them; `photos_without_bystanders`: those that an earlier detector found do not count.",
            "",
            "| scenes | number | people | recall | precision | average precision | false boxes per scene |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {name} | {row['scenes']} | {row['people']} | {_cell(row['recall'])} | {_cell(row['precision'])} | "
                f"{_cell(row['average_precision'])} | {_cell(row['false_boxes'])} |"
                for name, row in evaluation.scores.items()
            ),
            "",
        ]
    lines += [
        "## Limits",
        "",
        "Trained on 640 street-style photos of about 2014, mostly of standing women; small people, groups and empty "
        "scenes were made by cutting and pasting. Not for identifying people or for anything safety-critical.",
        "",
    ]
    return "\n".join(lines)


def _paper(architecture: str) -> str:
    return f" ({ARCHITECTURE_PAPERS[architecture]})" if architecture in ARCHITECTURE_PAPERS else ""


def _confusion(scores: Scores, *, of_two_taxonomies: bool) -> list[str]:
    """Where the pixels of each class went, as a table."""
    if scores.confusion_matrix is None:
        return []
    names = list(scores.classes)
    if of_two_taxonomies or len(names) > _LARGEST_MATRIX:
        return ["The confusion matrix is in `metrics.json`.", ""]
    return [
        "Confusion matrix: true classes in rows, predicted classes in columns, in percent of the row:",
        "",
        f"| truth | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
        *(
            f"| {name} | {' | '.join(f'{100 * count / sum(row):.0f}' if sum(row) else '-' for count in row)} |"
            for name, row in zip(names, scores.confusion_matrix, strict=True)
        ),
        "",
    ]


def _epoch(training: Mapping[str, Any]) -> str:
    fold = training.get("recipe", {}).get("fold")
    how = "the last, trained on all folds" if fold == -1 else f"chosen on fold {fold}"
    return f"epoch {training['epoch']}, {how}" if training.get("epoch") else "not trained yet"


def _steps(training: Mapping[str, Any]) -> str:
    """A sentence each on an earlier fit, pseudo-labels, flat-lays and a teacher, each after a space, as far as used."""
    recipe = training.get("recipe", {})
    text = f" Training started from the weights of an earlier fit, `{recipe['start']}`." if recipe.get("start") else ""
    if recipe.get("pseudo"):
        text += " It was also trained on photos that have only tags, with masks that networks and tags agree on."
    if recipe.get("flatlays"):
        share = f"{recipe['flatlay_share']:.0%}"
        text += f" About {share} of its training crops show flat-lays (CC0), garments without a person."
    if recipe.get("teacher"):
        text += f" It was also trained on the probabilities of another network, `{recipe['teacher']}`."
    return text


def _members(training: Mapping[str, Any]) -> str:
    """A sentence on each further network of an ensemble, with a space before it."""
    return "".join(
        f" {member['name']} (revision {member['revision']}), which it is averaged with: {_epoch(member)}."
        f"{_steps(member)}"
        for member in training.get("members", [])
    )


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

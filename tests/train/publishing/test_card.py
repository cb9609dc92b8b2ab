import re
from dataclasses import replace

import numpy as np
import pytest
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from own_classes import KIMONO

from segmodels.architectures import ARCHITECTURES
from segmodels.checkpoints.catalog import EMBEDDED
from segmodels.checkpoints.checkpoint import read_results
from segmodels.checkpoints.config import CheckpointConfig, read_config
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.evaluation.papers import ARCHITECTURE_PAPERS
from segmodels.evaluation.results import EvaluatedPhotos, Evaluation, Results, parse_scores
from segmodels.inference.kinds import read_kinds_config
from segmodels.inference.presence import read_calibration
from segmodels.taxonomy import CCP_59, OUTFIT_15, TAXONOMIES, taxonomy_entries
from train.publishing.card import card_data, model_card


def config_of(dataset: str = "ccp", taxonomy: str = "OUTFIT_15", **changes: object) -> CheckpointConfig:
    values: dict[str, object] = {
        "architecture": "fpn",
        "arguments": {},
        "taxonomy": taxonomy,
        "classes": list(TAXONOMIES[taxonomy].names),
        "height": 64,
        "width": 32,
        "mean": 0.5,
        "std": 0.5,
        "training": {"dataset": dataset, "epoch": 3, "recipe": {"fold": 1}},
    }
    return CheckpointConfig(**values | changes)  # type: ignore[arg-type]


TWO = EvaluatedPhotos(dataset="ccp", split="ids", ids_file="ids.txt", number=2)
SEVEN = EvaluatedPhotos(dataset="cfpd", split="fold", fold=0, number=7)


def evaluation(photos: EvaluatedPhotos = TWO, names: tuple[str, ...] = OUTFIT_15.names) -> Evaluation:
    """Scores of a made-up matrix in which the last class is nowhere."""
    counts = np.random.default_rng(0).integers(1, 90, (len(names), len(names)))
    counts[-1] = counts[:, -1] = 0
    return Evaluation(photos=photos, how="Counted.", scores=parse_scores(ConfusionMatrix(names, counts).scores()))


def test_front_matter_there_and_back() -> None:
    """The Hub's own check is a service on the web; the client's classes are what can be asked here."""
    results = Results(evaluations=(evaluation(), evaluation(SEVEN)))
    card = ModelCard(model_card("fpn", config_of(), results, "atelier/garmentscope-fpn"))
    assert card.data.to_dict() == card_data("fpn", config_of(), results).to_dict()
    again = ModelCardData(**card.data.to_dict())
    assert (again.library_name, again.pipeline_tag, again.license) == (
        "garmentscope",
        "image-segmentation",
        "apache-2.0",
    )
    assert again.tags and {"image-segmentation", "fashion", "fpn"} <= set(again.tags)
    assert again.model_name == "garmentscope-fpn" and again.eval_results and len(again.eval_results) == 8
    first = again.eval_results[0]
    assert isinstance(first, EvalResult)
    assert first == EvalResult(
        task_type="image-segmentation",
        dataset_type="ccp",
        dataset_name="ccp",
        dataset_split="ids.txt (2 photos)",
        metric_type="mean_iou",
        metric_name="mean IoU",
        metric_value=evaluation().scores.mean_iou,
    )
    assert {result.dataset_type for result in again.eval_results} == {"ccp", "cfpd"}


def test_front_matter_without_scores() -> None:
    card = ModelCard(model_card("fpn", config_of(), Results()))
    assert "model-index" not in card.data.to_dict() and "Not evaluated yet" in card.text


def test_a_score_that_does_not_exist_is_left_out() -> None:
    empty = Evaluation(photos=TWO, scores=parse_scores(ConfusionMatrix(OUTFIT_15.names).scores()))
    card = ModelCard(model_card("fpn", config_of(), Results(evaluations=(empty,))))
    assert card.data.eval_results is None


@pytest.mark.parametrize(
    ("dataset", "licence", "words"),
    [
        ("ccp", "apache-2.0", "Yang, Luo & Lin"),
        ("ccp_cfpd", "other", "Colorful Fashion Parsing Data"),
        ("imaterialist", "other", "terms of its competition"),
        ("coco-mine", "other", "photos and masks of whoever trained it"),
    ],
)
def test_data_and_licence(dataset: str, licence: str, words: str) -> None:
    card = ModelCard(model_card("fpn", config_of(dataset), Results()))
    assert card.data.license == licence and words in card.text


def test_the_card_of_a_network_of_other_classes_is_true_of_it() -> None:
    """Its name may be that of the default network, and neither 2014 nor rompers have to do with it."""
    training = {"dataset": "coco-mine", "epoch": 3, "recipe": {"fold": 0, "start": "fpn"}}
    training |= {"start": {"trained_on": [{"dataset": "ccp", "fold": 0, "folds": 5}]}}
    config = replace(config_of(training=training), **taxonomy_entries(KIMONO))
    text = model_card("fpn", config, Results())
    assert 'load_segmenter("FOLDER")' in text and "FOLDER the path of the folder in which this file lies" in text
    assert "Trained on the photos of coco-mine and, before, of ccp:" in text
    assert "2014" not in text and "rompers" not in text
    assert 'load_segmenter("hf://atelier/kimonos")' in model_card("fpn", config, Results(), "atelier/kimonos")


def test_pseudo_labels_are_not_hidden() -> None:
    recipe = {"fold": 1, "pseudo": "runs/pseudo"}
    card = model_card("fpn", config_of(training={"dataset": "ccp", "epoch": 3, "recipe": recipe}), Results())
    assert "also trained on photos that have only tags" in card
    assert "only tags" not in model_card("fpn", config_of(), Results())


def test_what_a_stranger_needs() -> None:
    text = model_card("fpn", config_of(), Results(evaluations=(evaluation(),)), "atelier/garmentscope-fpn")
    code = re.search(r"```python\n(.*?)\n```", text, re.DOTALL)
    assert code and [line for line in code[1].splitlines() if line] == [
        "from segmodels import load_segmenter",
        'segmentation = load_segmenter("hf://atelier/garmentscope-fpn").segment("outfit.jpg")',
    ]
    for words in (
        "15 classes",
        "Lin et al.",
        "epoch 3, chosen on fold 1",
        "Counted.",
        "of about 2014",
        "mostly of women",
    ):
        assert words in text


def test_the_confusion_matrix() -> None:
    text = model_card("fpn", config_of(), Results(evaluations=(evaluation(),)))
    table = text.partition("in percent of the row:")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("| ")]
    assert rows[0] == ["truth", *OUTFIT_15.names] and [row[0] for row in rows[1:]] == list(OUTFIT_15.names)
    assert rows[-1][1:] == ["-"] * 15, "of a class that is nowhere"
    assert all(abs(sum(map(int, row[1:])) - 100) <= 8 for row in rows[1:-1]), "rounded"


def test_a_matrix_too_large_for_a_page() -> None:
    names = TAXONOMIES["CCP_59"].names if "CCP_59" in TAXONOMIES else CCP_59
    text = model_card("fpn", config_of(), Results(evaluations=(evaluation(names=tuple(names)),)))
    assert "is in `metrics.json`" in text and "| truth |" not in text


def test_the_embedded_cards_are_what_is_written_today() -> None:
    folders = [path.parent for path in EMBEDDED.glob("*/config.json")]
    assert len(folders) > 9
    for folder in folders:
        config = read_config(folder)
        calibration = read_calibration(folder, TAXONOMIES[config.taxonomy])
        kinds = read_kinds_config(folder, TAXONOMIES[config.taxonomy])
        card = model_card(folder.name, config, read_results(folder), calibration=calibration, kinds=kinds)
        assert (folder / "README.md").read_text("utf-8") == card, folder.name


def test_a_card_says_what_else_it_learned_from() -> None:
    recipe = {"fold": 0, "flatlays": "flatlay", "flatlay_share": 0.18, "teacher": "runs/pair"}
    text = model_card("light", config_of(training={"dataset": "ccp", "recipe": recipe}), Results())
    assert "About 18% of its training crops show flat-lays (CC0), garments without a person." in text
    assert "It was also trained on the probabilities of another network, `runs/pair`." in text
    plain = model_card(
        "light", config_of(training={"dataset": "ccp", "recipe": {"fold": 0, "flatlay_share": 0.2}}), Results()
    )
    assert "flat-lays" not in plain and "probabilities of another" not in plain


def test_a_description_says_where_the_weights_come_from() -> None:
    training = {"dataset": "ccp", "recipe": {"fold": 0}, "command": "python -m train fit own/large"}
    text = model_card("large", config_of(training=training), Results())
    assert "\n## Weights\n" in text and "```sh\npython -m train fit own/large\n```" in text
    assert "not trained yet" in text and "## Weights" not in model_card("fpn", config_of(), Results())


def test_a_description_says_what_has_to_be_there_first() -> None:
    training = {"dataset": "ccp", "command": "python -m train fit own/large"}
    text = model_card("large", config_of(training={**training, "recipe": {"fold": -1, "start": "runs/a"}}), Results())
    assert "continues from the checkpoint `runs/a`. The comment" in text
    text = model_card(
        "large", config_of(training={**training, "recipe": {"fold": 0, "pseudo": "runs/masks"}}), Results()
    )
    assert "masks of tagged photos in `runs/masks`. The comment" in text
    assert "The comment" not in model_card("large", config_of(training={**training, "recipe": {"fold": 0}}), Results())


def test_an_ensemble_says_how_each_network_came_about() -> None:
    members = [{"name": "second", "revision": "0123456789ab", "epoch": 7, "recipe": {"fold": 0, "start": "runs/a"}}]
    text = model_card("both", config_of(training={"dataset": "ccp", "members": members}), Results())
    assert (
        "second (revision 0123456789ab), which it is averaged with: epoch 7, chosen on fold 0. Training started" in text
    )
    assert "from the weights of an earlier fit, `runs/a`." in text


def test_each_architecture_has_its_paper() -> None:
    assert set(ARCHITECTURE_PAPERS) == set(ARCHITECTURES)

import json
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_classes import save_own
from PIL import Image
from scipy.io import savemat
from small_memory import SmallMemory
from torch import nn

from segmodels.architectures import build
from segmodels.checkpoints.catalog import EMBEDDED
from segmodels.checkpoints.checkpoint import load_checkpoint, read_results, save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig, read_config
from segmodels.datasets import Dataset, DatasetError, read_ccp
from segmodels.device import pick_device, pick_precision
from segmodels.evaluation.evidence import read_evidence, total
from segmodels.evaluation.results import EvaluatedPhotos, Evaluation, Results, parse_scores
from segmodels.inference.segmenter import Segmenter
from segmodels.mappings import shipped_mappings
from segmodels.taxonomy import OUTFIT_15
from train.__main__ import main
from train.analysis.evaluate import HOW, check_fold, evaluate, keep_evaluation
from train.recipe import Recipe

KEYS = [
    *("photos", "pixel_accuracy", "mean_iou", "mean_iou_foreground", "mean_f1", "mean_precision", "mean_recall"),
    *("binary_iou", "classes", "confusion_matrix"),
]


@pytest.fixture(scope="session")
def network() -> nn.Module:
    torch.manual_seed(0)
    return build("fpn", 15, {}).eval()


@pytest.fixture
def checkpoint(tmp_path: Path, network: nn.Module, tiny: Callable[..., Recipe]) -> Path:
    config = CheckpointConfig(
        architecture="fpn",
        arguments={},
        taxonomy="OUTFIT_15",
        classes=list(OUTFIT_15.names),
        height=64,
        width=32,
        mean=0.5,
        std=0.5,
        training={"dataset": "ccp", "recipe": tiny().to_dict(), "epoch": 7},
    )
    results = Results(learning_curve=({"epoch": 1},))
    save_checkpoint(tmp_path / "fpn", config, network, results=results, card="# Old\n")
    return tmp_path / "fpn"


@pytest.fixture
def segmenter(checkpoint: Path) -> Segmenter:
    return Segmenter(load_checkpoint(checkpoint))


def counted(segmenter: Segmenter, dataset: Dataset, ids: list[str]) -> Counter[tuple[int, int]]:
    """Pixels by truth and prediction, one by one."""
    pairs: Counter[tuple[int, int]] = Counter()
    for photo_id in ids:
        photo, truth = dataset.pair(photo_id)
        pairs.update(zip(truth.ravel().tolist(), segmenter.segment(photo).class_map.ravel().tolist(), strict=True))
    return pairs


def test_scores_are_those_of_a_count_pixel_by_pixel(segmenter: Segmenter, dataset: Dataset) -> None:
    ids = ["0002", "0008"]
    scores = evaluate(segmenter, dataset, ids).scores
    pairs = counted(segmenter, dataset, ids)
    total = sum(pairs.values())
    assert total == 2 * 72 * 48
    assert scores["confusion_matrix"] == [[pairs[t, p] for p in range(15)] for t in range(15)]
    assert scores["pixel_accuracy"] == pytest.approx(sum(n for (t, p), n in pairs.items() if t == p) / total)
    ious = []
    for c, name in enumerate(OUTFIT_15.names):
        union = sum(n for pair, n in pairs.items() if c in pair)
        iou = pairs[c, c] / union if union else None
        assert scores["classes"][name]["iou"] == (None if iou is None else pytest.approx(iou))
        assert scores["classes"][name]["pixels"] == sum(n for (t, _), n in pairs.items() if t == c)
        ious += [] if iou is None else [iou]
    assert scores["mean_iou"] == pytest.approx(sum(ious) / len(ious))
    foreground = sum(n for pair, n in pairs.items() if all(pair)) / sum(n for pair, n in pairs.items() if any(pair))
    assert scores["binary_iou"] == pytest.approx(foreground)
    assert len(pairs) > 5, "a network that says one thing would prove little"


def test_json_has_exactly_the_keys_of_the_design(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "scores.json"
    arguments = ["evaluate", checkpoint, "--dataset", "ccp", "--data", root, "--json", out]
    assert main([str(argument) for argument in arguments]) == 0
    scores = json.loads(out.read_text())
    assert list(scores) == KEYS
    assert scores["photos"] == 8
    assert list(scores["classes"]) == list(OUTFIT_15.names)
    assert all(list(row) == ["iou", "f1", "precision", "recall", "pixels"] for row in scores["classes"].values())
    assert sum(map(sum, scores["confusion_matrix"])) == 8 * 72 * 48


def evaluated(checkpoint: Path, root: Path, out: Path, *more: object) -> int:
    arguments = ["evaluate", checkpoint, "--dataset", "ccp", "--data", root, "--json", out, *more]
    return main([str(argument) for argument in arguments])


def test_another_use_for_one_evaluation(
    checkpoint: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = (checkpoint / "config.json").read_text(), tmp_path / "out.json"
    (tmp_path / "ids.txt").write_text("0001\n")
    change: list[object] = ["--ids", tmp_path / "ids.txt", "--crop", "none", "--opening-kernel", 7]
    assert evaluated(checkpoint, root, out, *change) == 0
    opened = load_checkpoint(checkpoint)
    opened = replace(opened, config=replace(opened.config, crop="none", opening_kernel=7))
    assert json.loads(out.read_text()) == evaluate(Segmenter(opened), read_ccp(root), ["0001"]).scores
    plain = replace(opened, config=replace(opened.config, opening_kernel=0))
    assert json.loads(out.read_text()) != evaluate(Segmenter(plain), read_ccp(root), ["0001"]).scores
    assert (checkpoint / "config.json").read_text() == before
    capsys.readouterr()
    assert evaluated(checkpoint, root, out, *change, "--keep") == 1
    assert capsys.readouterr().err == (
        "--crop and --opening-kernel try out another use of the checkpoint. Leave out --keep.\n"
    )
    assert evaluated(checkpoint, root, out, "--opening-kernel", 4) == 1
    assert "opening_kernel must be 0 or an odd number of pixels, not 4" in capsys.readouterr().err


def test_ids_of_a_file(checkpoint: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ids.txt").write_text("0003\n0001\n")
    assert evaluated(checkpoint, root, tmp_path / "out.json", "--ids", tmp_path / "ids.txt") == 0
    scores = json.loads((tmp_path / "out.json").read_text())
    assert scores["photos"] == 2
    direct = evaluate(Segmenter(load_checkpoint(checkpoint)), read_ccp(root), ["0001", "0003"])
    assert scores == direct.scores
    line = capsys.readouterr().out.strip()
    assert line.startswith(f"mean IoU {scores['mean_iou']:.4f} (without background ")
    assert line.endswith("on 2 photos") and "\n" not in line


def test_all_photos_of_the_data_set_that_it_learned_from(
    checkpoint: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(checkpoint, root, tmp_path / "out.json") == 0
    assert "learned from some of these photos. Judge it on --fold 0, which chose it, or on others." in (
        capsys.readouterr().err
    )


def test_the_photos_of_a_fold(checkpoint: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.commands.judging.fold_ids", lambda dataset, fold, folds: (["0001"], ["0002", "0004"]))
    assert evaluated(checkpoint, root, tmp_path / "out.json", "--fold", 3, "--keep", "--allow-trained") == 0
    assert json.loads((tmp_path / "out.json").read_text())["photos"] == 2
    (kept,) = json.loads((checkpoint / "metrics.json").read_text())["evaluations"]
    assert kept["photos"] == {"dataset": "ccp", "split": "fold", "fold": 3, "number": 2}


def test_a_fold_that_it_was_trained_on_is_refused(
    checkpoint: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(checkpoint, root, tmp_path / "out.json", "--fold", 3) == 1
    sentence = capsys.readouterr().err
    assert sentence.startswith("The network was trained on fold 3 of ccp; only fold 0 was left out.")
    assert "--allow-trained" in sentence and not (tmp_path / "out.json").exists()


def test_a_fold_that_there_is_not_is_refused_before_anything_is_said_of_training(
    checkpoint: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(checkpoint, root, tmp_path / "out.json", "--fold", 7) == 1
    assert capsys.readouterr().err == "ccp has folds 0 to 4, not 7.\n"


@pytest.mark.parametrize(
    ("training", "fold", "refused"),
    [
        ({"recipe": {"dataset": "ccp", "fold": 0}}, 0, False),
        ({"recipe": {"dataset": "ccp", "fold": -1}}, 0, True),
        ({"recipe": {"dataset": "ccp_cfpd", "fold": 1}}, 0, True),
        ({"recipe": {"dataset": "imaterialist", "fold": 1}}, 0, False),
        ({"recipe": {"dataset": "ccp", "fold": 0}, "members": [{"recipe": {"dataset": "ccp", "fold": 1}}]}, 0, True),
        ({}, 0, False),
        ({"recipe": {"dataset": "ccp", "fold": 0}, "start": {"weights": "checkpoint"}, "teacher": {}}, 0, False),
    ],
)
def test_which_folds_were_trained_on(checkpoint: Path, training: dict[str, Any], fold: int, refused: bool) -> None:
    config = replace(load_checkpoint(checkpoint).config, training=training)
    with pytest.raises(DatasetError, match="was trained on fold 0") if refused else nullcontext():
        check_fold(config, "ccp", fold)


@pytest.mark.parametrize(
    ("source", "subject"),
    [
        ("start", "The checkpoint that the network started from"),
        ("teacher", "The teacher that the network learned from"),
        ("pseudo", "A network that made its pseudo-labels"),
    ],
)
def test_what_a_checkpoint_learned_from_must_not_have_seen_the_fold(
    checkpoint: Path, source: str, subject: str
) -> None:
    def check(**fit: Any) -> None:
        training = {"recipe": {"dataset": "ccp", "fold": 0}, source: {"trained_on": [fit]}}
        check_fold(replace(load_checkpoint(checkpoint).config, training=training), "ccp", 0)

    check(dataset="ccp", fold=0, folds=5)
    check(dataset="imaterialist", fold=1, folds=5)
    with pytest.raises(DatasetError, match=f"^{subject} was trained on fold 0 of ccp; only fold 3 was left out"):
        check(dataset="ccp", fold=3, folds=5)
    with pytest.raises(DatasetError, match=f"^{subject} was trained on fold 0 of ccp; no fold was left out"):
        check(dataset="ccp_cfpd", fold=-1, folds=5)
    with pytest.raises(DatasetError, match="only fold 0 was left out, of 3 and not of 5"):
        check(dataset="ccp", fold=0, folds=3)
    with pytest.raises(DatasetError, match="was trained on fold 1 of ccp_cfpd; only fold 0 was left out"):
        check_fold(load_checkpoint(checkpoint).config, "ccp_cfpd", 1)


def test_a_source_trained_on_is_known_by_its_name(checkpoint: Path) -> None:
    training = {"recipe": {"dataset": "coco:some/where/my_clothes.json", "fold": 2}}
    config = replace(load_checkpoint(checkpoint).config, training=training)
    check_fold(config, "coco-my-clothes", 2)
    check_fold(config, "coco-yours", 0)
    with pytest.raises(DatasetError, match="was trained on fold 0 of coco-my-clothes; only fold 2 was left out"):
        check_fold(config, "coco-my-clothes", 0)


def test_ones_own_masks_in_the_classes_of_the_network(checkpoint: Path, dataset: Dataset, tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "masks").mkdir(parents=True)
    for photo_id in dataset.ids:
        Image.fromarray(dataset.read_truth(photo_id)).save(own / "masks" / f"{photo_id}.png")
    (own / "classes.txt").write_text("\n".join(OUTFIT_15.names), "utf-8")
    found = {}
    for name, data in (("ccp", dataset.root), (f"masks:{own}", dataset.root / "photos")):
        arguments = ["evaluate", checkpoint, "--dataset", name, "--data", data, "--json", tmp_path / "scores.json"]
        assert main(list(map(str, arguments))) == 0
        found[name] = json.loads((tmp_path / "scores.json").read_text())
    assert found[f"masks:{own}"] == found["ccp"] and found["ccp"]["photos"] == 8


def test_ones_own_classes_that_no_mapping_knows(
    checkpoint: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own" / "masks").mkdir(parents=True)
    Image.fromarray(dataset.read_truth("0001")).save(tmp_path / "own" / "masks" / "0001.png")
    (tmp_path / "own" / "classes.txt").write_text("Shirt\nKimono\n", "utf-8")
    source, data, out = f"masks:{tmp_path / 'own'}", dataset.root / "photos", tmp_path / "scores.json"
    arguments = ["evaluate", checkpoint, "--dataset", source, "--data", data, "--json", out]
    assert main(list(map(str, arguments))) == 1
    assert capsys.readouterr().err.startswith(
        "masks-own has the classes of masks-own, and no mapping says what Kimono would be in OUTFIT_15. Write a mapping"
    )
    assert main(["evaluate", str(checkpoint), "--dataset", "wild", "--json", str(out)]) == 1
    assert capsys.readouterr().err == "Name the folder of wild with --data.\n"


def test_the_default_may_be_judged_on_its_fold() -> None:
    config = read_config(EMBEDDED / "fpn")
    check_fold(config, "ccp", 0)
    with pytest.raises(DatasetError, match="only fold 0 was left out"):
        check_fold(config, "ccp", 1)


def test_the_number_of_folds_is_the_checkpoints(
    checkpoint: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def folds(dataset: Dataset, fold: int, folds: int) -> tuple[list[str], list[str]]:
        asked.append(folds)
        return [], ["0002"]

    monkeypatch.setattr("train.commands.judging.fold_ids", folds)
    config = json.loads((checkpoint / "config.json").read_text())
    config["training"]["recipe"]["folds"] = 3
    (checkpoint / "config.json").write_text(json.dumps(config))
    assert evaluated(checkpoint, root, tmp_path / "out.json", "--fold", 0) == 0
    assert asked == [3]


def test_an_unknown_id(checkpoint: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ids.txt").write_text("0003\n0999\n")
    assert evaluated(checkpoint, root, tmp_path / "out.json", "--ids", tmp_path / "ids.txt") == 1
    assert capsys.readouterr().err == f"1 of 2 ids are not in ccp at {root}: 0999.\n"
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"--dataset": "coco"},
            "The data set 'coco' says no more than its kind. Write coco:annotations.json, say.",
        ),
        (
            {"--dataset": "cocoa"},
            "The data set 'cocoa' starts with none of coco:, masks:, yolo:, labelstudio:, cvat:, hub: and a",
        ),
        ({"--data": "nowhere"}, "photos is missing."),
        ({"--ids": "nowhere.txt"}, "The list of ids nowhere.txt cannot be read"),
        ({"checkpoint": "nowhere"}, "There is no model 'nowhere'."),
    ],
)
def test_what_is_wrong_is_one_line(
    checkpoint: Path,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    sentence: str,
) -> None:
    values = {"checkpoint": checkpoint, "--dataset": "ccp", "--data": root, "--json": tmp_path / "out.json", **change}
    first = values.pop("checkpoint")
    arguments = ["evaluate", first, *(part for pair in values.items() for part in pair)]
    assert main([str(argument) for argument in arguments]) == 1
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["evaluate", "x"], ["evaluate", "x", "--dataset", "ccp"], ["fit", "own/fpn"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    assert "usage: python -m train" in capsys.readouterr().err


def test_keep_writes_metrics_and_card(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("0003\n0001\n")
    weights = (checkpoint / "model.safetensors").read_bytes()
    for _ in range(2):  # the second time in place of the first
        assert evaluated(checkpoint, root, tmp_path / "out.json", "--ids", tmp_path / "two.txt", "--keep") == 0
    loaded = load_checkpoint(checkpoint)
    (entry,) = loaded.results.evaluations
    assert entry.seconds_per_photo and entry.device
    assert entry == Evaluation(
        photos=EvaluatedPhotos(dataset="ccp", split="ids", ids_file="two.txt", number=2),
        how=HOW,
        precision=pick_precision(None, pick_device()).name,
        ids=("0003", "0001"),
        scores=parse_scores(json.loads((tmp_path / "out.json").read_text())),
        seconds_per_photo=entry.seconds_per_photo,
        device=entry.device,
    )
    assert loaded.results.learning_curve == ({"epoch": 1},), "what was there stays"
    assert (checkpoint / "model.safetensors").read_bytes() == weights
    evidence, taxonomy = read_evidence(checkpoint / "evidence.parquet")
    assert [(row.photo_id, row.fold) for row in evidence] == [("0003", None), ("0001", None)]
    assert np.array_equal(total(evidence, taxonomy).counts, np.array(entry.scores.confusion_matrix))
    card = (checkpoint / "README.md").read_text()
    assert "\n# Garmentscope fpn\n" in card
    assert "## Scores on Clothing Co-Parsing, two.txt (2 photos)" in card and "epoch 7, chosen on fold 0" in card
    assert f"| mean | {entry.scores.mean_iou:.3f} |" in card
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 15 + 1 + 1 + 15, "scores, then where the pixels went"
    absent = next(name for name, row in entry.scores.classes.items() if row.iou is None)
    assert f"| {absent} | - | - | - | - |" in card


def test_evaluations_on_other_photos_stay(checkpoint: Path, segmenter: Segmenter, dataset: Dataset) -> None:
    judgement = evaluate(segmenter, dataset, ["0001"])
    for name in ("one", "two", "one"):
        keep_evaluation(checkpoint, EvaluatedPhotos(dataset=name), judgement)
    assert [each.photos.dataset for each in load_checkpoint(checkpoint).results.evaluations] == ["two", "one"]


def test_without_keep_the_checkpoint_is_left_alone(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    (tmp_path / "one.txt").write_text("0003\n")
    assert evaluated(checkpoint, root, tmp_path / "out.json", "--ids", tmp_path / "one.txt") == 0
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir()} == before


def test_photos_that_cannot_be_read_are_left_out_and_counted(
    segmenter: Segmenter, own_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_root / "photos" / "0002.jpg").write_bytes(b"")
    (own_root / "annotations" / "pixel-level" / "0003.mat").write_bytes(b"damaged")
    dataset = read_ccp(own_root)
    scores = evaluate(segmenter, dataset, ["0001", "0002", "0003"]).scores
    assert scores.pop("photos_left_out") == 2
    assert scores == evaluate(segmenter, dataset, ["0001"]).scores
    said = capsys.readouterr().out
    assert "0002 is left out: " in said and "0003 is left out: " in said
    with pytest.raises(DatasetError, match="None of the 2 photos could be read"):
        evaluate(segmenter, dataset, ["0002", "0003"])


def test_a_network_of_other_classes_is_judged_on_what_it_can_name(
    checkpoint: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An ATR network, which has no socks and one class for coats and shirts, on CCP's truth; then against the other."""
    atr = next(each.taxonomy() for each in shipped_mappings() if each.source == "ATR_18")
    folder = save_own(tmp_path / "segformer", atr)
    for model in (folder, checkpoint):
        assert evaluated(model, dataset.root, tmp_path / f"{model.name}.json", "--keep") == 0
    assert "Scored on 11 of the 15 classes of OUTFIT_15, which all can name." in capsys.readouterr().out
    scores = json.loads((tmp_path / "segformer.json").read_text())

    segmenter = Segmenter(load_checkpoint(folder))
    pairs: Counter[tuple[str, str]] = Counter()
    for (truth, found), count in counted(segmenter, dataset, list(dataset.ids)).items():
        pairs[OUTFIT_15.names[truth], atr.names[found]] += count
    shirts = sum(count for (truth, _), count in pairs.items() if truth in ("Coat", "Shirt"))
    assert scores["classes"]["Coat or Shirt"]["pixels"] == shirts == 8 * 24 * 24 - 16, "one scarf of 4 x 4 in front"
    hits = sum(count for (truth, found), count in pairs.items() if truth == "Shirt" and found == "Upper-clothes")
    union = shirts + sum(count for (truth, found), count in pairs.items() if found == "Upper-clothes") - hits
    assert scores["classes"]["Coat or Shirt"]["iou"] == pytest.approx(hits / union)

    evaluation = read_results(folder).evaluations[0]
    assert evaluation.truth_taxonomy == "OUTFIT_15" and np.shape(evaluation.scores.confusion_matrix) == (15, 18)
    assert "Counted as one: Coat and Shirt; Pants and Shorts." in evaluation.classes_scored and evaluation.how == HOW
    assert evaluation.classes_scored in (folder / "README.md").read_text()
    rows, taxonomy = read_evidence(folder / "evidence.parquet")
    assert taxonomy == atr and rows[0].counts.shape == (15, 18) and rows[0].truth_taxonomy == OUTFIT_15

    assert main(["compare", str(folder), str(checkpoint)]) == 0
    said = capsys.readouterr().out
    assert "Scored on 11 of the 15 classes of OUTFIT_15" in said
    assert f"mean_iou               {scores['mean_iou']:.4f} -> " in said
    assert main(["compare", str(checkpoint), str(folder)]) == 0


def test_a_mapping_of_ones_own_is_kept_with_the_checkpoint(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_own(tmp_path / "kimonos")
    assert evaluated(folder, dataset.root, tmp_path / "out.json", "--keep") == 1
    assert "no mapping says what Kimono, Obi <sash>, Left hand and 1 more would be in OUTFIT_15" in (
        capsys.readouterr().err
    )
    names = '"Kimono" = ["Coat", "Dress", "Shirt"]\n"Obi <sash>" = "ignore"\n"Left hand" = "Skin"\n"Tote bag" = "Bag"\n'
    mapping = tmp_path / "m.toml"
    mapping.write_text(f'from = "kimono shop"\nto = "OUTFIT_15"\n[classes]\nBackdrop = "Background"\n{names}')
    assert evaluated(folder, dataset.root, tmp_path / "out.json", "--keep", "--mapping", mapping) == 0
    assert "Left out of kimonos: Obi <sash>." in capsys.readouterr().out
    assert (folder / "mapping.toml").read_text() == mapping.read_text()
    assert evaluated(folder, dataset.root, tmp_path / "out.json") == 0, "it is found there"
    (folder / "mapping.toml").write_text("from = 3")
    capsys.readouterr()
    assert evaluated(folder, dataset.root, tmp_path / "out.json") == 1
    assert (
        capsys.readouterr().err == f'{folder / "mapping.toml"} does not say from. Write from = "NAME OF A TAXONOMY".\n'
    )


def test_a_broken_mapping_that_is_not_needed_is_not_looked_at(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    (checkpoint / "mapping.toml").write_text("from = 3")
    assert evaluated(checkpoint, root, tmp_path / "out.json") == 0


def test_scores_that_do_not_exist_are_a_dash(
    checkpoint: Path, own_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A photo of nobody, in which a network finds nobody."""
    loaded = load_checkpoint(checkpoint)
    with torch.no_grad():
        head = loaded.network.get_submodule("network.segmentation_head.0")
        head.get_parameter("bias")[0] = 1000
    save_checkpoint(checkpoint, loaded.config, loaded.network)
    nobody = {"groundtruth": np.zeros((72, 48), np.uint8)}
    savemat(own_root / "annotations" / "pixel-level" / "0001.mat", nobody)
    (tmp_path / "ids.txt").write_text("0001\n")
    assert evaluated(checkpoint, own_root, tmp_path / "out.json", "--ids", tmp_path / "ids.txt", "--keep") == 0
    assert json.loads((tmp_path / "out.json").read_text())["binary_iou"] is None
    line = capsys.readouterr().out.strip()
    assert line == ("mean IoU 1.0000 (without background -), F1 1.0000, pixel accuracy 1.0000, binary IoU - on 1 photo")


def test_a_batch_that_does_not_fit_is_judged_in_parts(
    segmenter: Segmenter, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"{number:04}" for number in range(1, 6)]
    expected = evaluate(segmenter, dataset, ids)
    monkeypatch.setattr(Segmenter, "batch_photos", 8)
    network = SmallMemory(segmenter.networks[0], 2)
    segmenter.networks = [network]
    judgement = evaluate(segmenter, dataset, ids)
    assert network.batches[:3] == [5, 3, 2] and max(network.batches[3:]) == 2
    assert judgement.scores["confusion_matrix"] == expected.scores["confusion_matrix"]
    assert [row.photo_id for row in judgement.evidence] == ids


def test_a_checkpoint_by_its_name(
    checkpoint: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(checkpoint.parent))
    (tmp_path / "one.txt").write_text("0001\n")
    options = (root, tmp_path / "out.json", "--ids", tmp_path / "one.txt", "--keep")
    assert evaluated(Path(checkpoint.name), *options) == 0
    assert [each.photos.ids_file for each in read_results(checkpoint).evaluations] == ["one.txt"]
    assert evaluated(Path("nobody"), *options) == 1
    assert "There is no model 'nobody'" in capsys.readouterr().err

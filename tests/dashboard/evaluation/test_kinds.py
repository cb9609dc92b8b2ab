from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scored import evaluation, judged, write_model
from streamlit.testing.v1 import AppTest
from streamlit_page import opened

from dashboard.evaluation.kinds import kinds_caption, kinds_cells, kinds_matrix, kinds_of, kinds_table, matrices
from dashboard.evaluation.records import read_model
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.kinds import KINDS_FILE, ClassKinds, KindJudgement, Kinds, KindsConfig, Proportion, write_kinds

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "evaluation.py"


def judgement(how: str, matrix: tuple[tuple[int, ...], ...]) -> KindJudgement:
    return KindJudgement(
        garment="Dress",
        photos=EvaluatedPhotos(dataset="ccp", split="ids", ids_file="ccp_test.txt", number=12),
        how=how,  # type: ignore[arg-type]
        framing="full",
        garments=sum(map(sum, matrix)),
        answered=0.8,
        accuracy=Proportion(value=0.75, low=0.5, high=0.9),
        balanced_accuracy=0.7,
        majority=0.5,
        accuracy_of_all=0.72,
        matrix=matrix,
        photo_ids=tuple(
            tuple(
                "\n".join(f"{row}{column}-{number}" for number in range(count)) for column, count in enumerate(counts)
            )
            for row, counts in enumerate(matrix)
        )
        if how == "held out"
        else (),
    )


def having(folder: Path) -> Path:
    write_model(folder, {"evaluations": [evaluation(judged(1))]})
    config = KindsConfig(
        taxonomy="OUTFIT_15",
        weights="abc",
        classes={"Dress": ClassKinds(names=("dress", "skirt"), thresholds=(0.6, 0.6))},
        features=1,
        data="made up",
        left_out={"Glasses": "the most frequent kind alone 0.88"},
        judgements=(
            judgement("cross-validated", ((3, 1, 1), (1, 3, 1))),
            judgement("held out", ((4, 0, 1), (2, 5, 0))),
        ),
    )
    write_kinds(folder, Kinds(config, {"Dress": np.zeros((2, 1))}, {"Dress": np.zeros(2)}))
    return folder


def test_matrices_are_of_other_photos_or_of_the_fit_where_no_others_judged() -> None:
    fitted, other = (judgement(how, ((3, 1, 1), (1, 3, 1))) for how in ("cross-validated", "held out"))
    config = KindsConfig(
        taxonomy="OUTFIT_15", weights="abc", classes={}, features=1, data="", judgements=(fitted, other)
    )
    assert matrices(config) == [other]
    assert matrices(replace(config, judgements=(fitted,))) == [fitted]


def test_the_scores_on_other_photos_come_first(tmp_path: Path) -> None:
    folder = having(tmp_path / "m")
    kinds = kinds_of(read_model("m", folder))
    assert kinds
    table = kinds_table(kinds)
    assert list(table["how"]) == ["held out", "cross-validated"]
    assert table.loc[0, ["class", "garments", "accuracy", "most_frequent"]].tolist() == ["Dress", 12, 0.75, 0.5]
    matrix = kinds_matrix(kinds.judgements[1], kinds)
    assert matrix.loc["skirt", "dress"] == 2 and matrix.loc["dress", "not named"] == 1
    assert "Dress: dress, skirt." in kinds_caption("m", kinds)
    assert "Glasses has none: the most frequent kind alone 0.88." in kinds_caption("m", kinds)


def test_the_page_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    having(tmp_path / "models" / "mine")
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path / "models"))
    page = opened(AppTest.from_file(str(PAGE), default_timeout=60), models="mine")
    assert not page.exception
    assert "Kinds of garments" in [each.label for each in page.expander]
    assert any("dress, skirt" in each.value for each in page.caption)
    (matrix,) = [each.value for each in page.dataframe if "not named" in each.value]
    assert matrix.loc["skirt"].tolist() == [2, 5, 0]
    (cells,) = [each for each in page.selectbox if each.label == "Photos of the cell"]
    assert cells.options[0] == "True skirt, named dress: 2 garments" and len(cells.options) == 4
    assert any("10-0, 10-1" in each.value.replace("\\", "") for each in page.caption)


def test_the_photos_of_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    having(tmp_path / "models" / "mine")
    data = tmp_path / "data"
    (data / "annotations" / "pixel-level").mkdir(parents=True)
    (data / "photos").mkdir()
    Image.new("RGB", (40, 60), "red").save(data / "photos" / "10-0.jpg")
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("GARMENTSCOPE_DATA", str(data))
    page = opened(AppTest.from_file(str(PAGE), default_timeout=60), models="mine")
    cards = [each.body for each in page.get("html") if "10-0" in each.body]
    assert len(cards) == 1 and "10-1" in cards[0] and cards[0].count("data:image/jpeg") == 1
    assert any("10-1 cannot be read" in each.value.replace("\\", "") for each in page.caption)


def test_errors_come_first_among_the_cells(tmp_path: Path) -> None:
    kinds = kinds_of(read_model("m", having(tmp_path / "m")))
    assert kinds
    held_out = next(each for each in kinds.judgements if each.how == "held out")
    cells = kinds_cells(held_out, kinds)
    assert [(cell.truth, cell.named, len(cell.photo_ids)) for cell in cells] == [
        ("skirt", "dress", 2),
        ("dress", "", 1),
        ("skirt", "skirt", 5),
        ("dress", "dress", 4),
    ]
    assert cells[1].words() == "True dress, not named: 1 garment"
    assert kinds_cells(next(each for each in kinds.judgements if each.how != "held out"), kinds) == []


def test_damaged_kinds_are_passed_over(tmp_path: Path) -> None:
    folder = having(tmp_path / "m")
    (folder / KINDS_FILE).write_text("{")
    assert kinds_of(read_model("m", folder)) is None
    assert kinds_of(read_model("n", write_model(tmp_path / "n", {"evaluations": [evaluation(judged(1))]}))) is None

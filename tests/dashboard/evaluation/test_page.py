import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scored import LABEL, evaluation, judged, write_maps, write_model
from streamlit.testing.v1 import AppTest
from streamlit_page import opened

from dashboard.evaluation.confusion import Cell
from dashboard.figures import evaluation as evaluation_figures
from segmodels.checkpoints import catalog
from segmodels.evaluation.results import VERSION

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "evaluation.py"

pytestmark = pytest.mark.usefixtures("only_fpn")


@pytest.fixture
def page(scored_models: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(scored_models))
    monkeypatch.setenv("GARMENTSCOPE_DATA", str(photo_folder))
    return AppTest.from_file(str(PAGE), default_timeout=60)


def said(page: AppTest) -> str:
    kinds = [*page.error, *page.info, *page.markdown, *page.caption]
    return "\n".join(each.value for each in kinds).replace("\\", "")


def box(page: AppTest, label: str):  # type: ignore[no-untyped-def]
    return next(each for each in page.selectbox if each.label == label)


def cards(page: AppTest) -> list[str]:
    return [each.body for each in page.get("html") if "photo-cards" in each.body]


def headings(page: AppTest) -> list[str]:
    return [each.value for each in page.subheader] + [each.label for each in page.expander]


def test_the_page_opens_on_the_photos_that_most_models_have(page: AppTest) -> None:
    opened(page)
    assert box(page, "Measured on").value == LABEL
    assert f"3 models measured on {LABEL}. Not measured there: fpn." in said(page)
    assert page.multiselect[0].value == ["sharp", "old", "blunt"]
    assert headings(page) == [
        "Score against cost",
        "Scores by class",
        "Confusion matrix, and the photos behind each cell",
        "Best and worst photos",
        "Learning curves",
        "Scores in papers",
    ]
    assert not page.error


def test_a_link_reopens_models_and_photos_and_says_what_it_left_out(page: AppTest) -> None:
    opened(page, models="blunt,gone,fpn", on=LABEL)
    assert page.multiselect[0].value == ["blunt", "fpn"]
    assert 'Model "gone" not found' in said(page)
    assert "fpn was not measured on these photos" in said(page)
    page.multiselect[0].set_value(["sharp"]).run()
    assert page.query_params["models"] == "sharp" and page.query_params["on"] == LABEL
    assert not page.exception


def test_a_model_has_one_ink_on_the_whole_page(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    monkeypatch.setattr(
        "dashboard.components.leaderboard.show_leaderboard",
        lambda data, key: seen.update({row["name"]: row["ink"] for row in data["rows"]}),
    )
    draw = evaluation_figures.class_figure

    def drawn(*arguments: object, **more: object) -> object:
        figure = draw(*arguments, **more)  # type: ignore[arg-type]
        seen["bar"] = figure.data[0].marker.color
        return figure

    monkeypatch.setattr("dashboard.evaluation.charts.class_figure", drawn)
    opened(page, models="fpn,blunt", on=LABEL)
    second = "#B4691F"
    assert seen == {"sharp": None, "old": None, "blunt": second, "bar": second}, "fpn has the first, in its curve"


def test_a_link_to_models_opens_on_the_photos_that_they_have(page: AppTest) -> None:
    page.query_params["models"] = "fpn"
    opened(page)
    assert box(page, "Measured on").value == "Clothing Co-Parsing, ccp_test.txt (101 photos)" and page.multiselect[
        0
    ].value == ["fpn"]


def test_a_link_to_photos_that_no_model_has(page: AppTest) -> None:
    opened(page, on="the moon")
    assert "No model was measured on the moon" in said(page) and box(page, "Measured on").value == LABEL


def test_a_link_whose_photos_are_left_empty_names_none(page: AppTest) -> None:
    opened(page, on="")
    assert "No model was measured" not in said(page) and box(page, "Measured on").value == LABEL


def test_other_photos_are_another_ranking(page: AppTest) -> None:
    opened(page, models="sharp,fpn")
    box(page, "Measured on").select("Clothing Co-Parsing, ccp_test.txt (101 photos)").run()
    assert not page.exception
    assert "1 model measured on Clothing Co-Parsing, ccp_test.txt (101 photos)." in said(page)
    assert "sharp was not measured on these photos" in said(page)
    assert page.query_params["on"].startswith("Clothing Co-Parsing, ccp_test")


def test_other_photos_show_the_best_there_where_no_chosen_model_was_measured(page: AppTest) -> None:
    opened(page, models="sharp,blunt")
    box(page, "Measured on").select("Clothing Co-Parsing, ccp_test.txt (101 photos)").run()
    assert page.multiselect[0].value == ["fpn"] and "not measured" not in said(page).replace("Not measured there", "")
    page.multiselect[0].set_value(["sharp"]).run()  # one's own choice stays
    assert page.multiselect[0].value == ["sharp"] and "sharp was not measured on these photos" in said(page)
    box(page, "Measured on").select(LABEL).run()
    assert page.multiselect[0].value == ["sharp"] and not page.exception


def test_a_cell_lists_the_photos_that_add_most_to_it(page: AppTest) -> None:
    opened(page, models="sharp,blunt")
    assert box(page, "Cell (or click in the matrix)").value == Cell("Coat", "Shirt")
    assert "Coat predicted as Shirt in 8 photos; the 6 that add most to it:" in said(page)
    shown = cards(page)[0]
    assert shown.index("0008") < shown.index("0006") < shown.index("0003") and "0002" not in shown
    assert "160 pixels, 22% of the cell" in shown
    assert shown.count("Photo of photo") == shown.count("Truth of photo") == 5, "the mask of 0007 is damaged"
    assert shown.count("Prediction of photo") == 6
    assert "0007.mat" in said(page)
    box(page, "Cell (or click in the matrix)").select(Cell("Socks", "Socks")).run()
    assert "Socks recognised in 1 photo:" in said(page) and "0001" in cards(page)[0]


def test_the_difference_of_two_models_with_its_interval(page: AppTest) -> None:
    opened(page, models="sharp,blunt")
    box(page, "Difference to").select("blunt").run()
    assert not page.exception
    assert "sharp minus blunt" in said(page) and "paired bootstrap over the photos" in said(page)
    assert "pixels fewer than blunt" in cards(page)[0] and "blunt of photo" in cards(page)[0]


def test_classes_background_and_unit(page: AppTest) -> None:
    opened(page, models="sharp")
    page.toggle[0].set_value(False).run()
    page.multiselect[1].set_value(["Coat", "Pants"]).run()
    assert box(page, "Cell (or click in the matrix)").options == ["Pants recognised: 100.0%", "Coat recognised: 82.0%"]
    unit = next(each for each in page.button_group if each.label == "Shares or pixels")
    unit.set_value("pixels").run()
    assert "Coat recognised: 3,280 pixels" in box(page, "Cell (or click in the matrix)").options
    assert box(page, "Cell (or click in the matrix)").value == Cell("Pants", "Pants"), "the cell stays"
    page.multiselect[1].set_value(["Hat"]).run()
    assert "No pixel has one of these classes." in said(page) and not page.exception


def test_without_evidence_the_numbers_stand_and_the_photos_are_missed(page: AppTest) -> None:
    opened(page, models="old")
    assert "old: evidence.parquet is missing." in said(page) and not cards(page)
    assert "Confusion matrix, and the photos behind each cell" in headings(page) and not page.error


def test_without_the_folder_the_predictions_are_shown(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GARMENTSCOPE_DATA")
    opened(page, models="sharp")
    assert "Set GARMENTSCOPE_DATA to the folder of Clothing Co-Parsing" in said(page)
    assert "Prediction of photo 0008" in cards(page)[0] and "Truth of photo" not in cards(page)[0]


def test_best_and_worst(page: AppTest) -> None:
    opened(page, models="sharp")
    assert cards(page)[1].index("0008") < cards(page)[1].index("0007")
    end = next(each for each in page.button_group if each.label == "Photos")
    end.set_value("Best").run()
    assert cards(page)[1].index("0001") < cards(page)[1].index("0002")


def test_bad_files_are_a_sentence_each_and_the_rest_works(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "good", {"evaluations": [evaluation(judged(1))]}, judged(1))
    write_model(tmp_path / "torn", '{"evaluations": [')
    write_model(tmp_path / "odd", {"evaluations": [{"photos": LABEL}], "learning_curve": 3})
    write_model(tmp_path / "blind", {"evaluations": [evaluation(judged(2))]})
    (tmp_path / "blind" / "evidence.parquet").write_bytes(b"no parquet")
    write_model(tmp_path / "other", {"evaluations": [evaluation(judged(3))]}, judged(4))
    write_model(tmp_path / "silent", None)
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    opened(page, models="good,blind,other")
    assert "torn: metrics.json is damaged" in said(
        page
    ) and "Its scores are left out. Remove the file, and evaluate" in said(page)
    assert "odd: evaluation 1 in metrics.json cannot be used" in said(page)
    assert "odd: the learning curve" in said(page)
    assert "Not measured there: fpn, odd, silent, torn." in said(page)
    assert cards(page)
    for name, sentence in (("blind", "is damaged or not an evidence file"), ("other", "belongs to other photos than")):
        box(page, "Model").select(name).run()
        assert sentence in said(page) and not page.exception
    assert not any(str(tmp_path) in each for each in (said(page),)), "no path of the server"


def test_a_mended_file_is_read_again(page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "mine", '{"evaluations": [')
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    opened(page)
    assert "mine: metrics.json is damaged" in said(page)
    (folder / "metrics.json").write_text(json.dumps({"version": VERSION, "evaluations": [evaluation(judged(1))]}))
    page.run()
    assert not page.error and "measured on" in said(page)


def test_no_model_with_scores(page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "EMBEDDED", tmp_path / "none")
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    opened(page)
    assert page.title[0].value == "No scores yet" and "GARMENTSCOPE_MODELS" in said(page)
    shutil.copytree(write_model(tmp_path / "a", {"learning_curve": [{"epoch": 1, "loss": 0.5}]}), tmp_path / "b")
    page.run()
    assert not page.exception and headings(page) == ["Learning curves"]


def test_the_page_waits_for_no_network_to_be_imported() -> None:
    """PyTorch takes seconds; nothing here runs a network."""
    modules = "dashboard.evaluation.cache, dashboard.shared.networks, dashboard.components.charts, "
    modules += "dashboard.components.leaderboard, dashboard.evaluation.pictures, dashboard.shared.model_links, "
    modules += "dashboard.shared.uploads, segmodels.checkpoints.catalog"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PAGE.parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_class_maps_made_elsewhere_are_compared_on_common_classes(
    page: AppTest, tmp_path: Path, scored_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_maps(tmp_path / "segformer")
    shutil.copytree(scored_models / "sharp", tmp_path / "sharp")
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    opened(page, on=LABEL)
    assert "In other classes, and so compared on those in common (see Measured on): segformer." in said(page)
    common = f"{LABEL}, 11 common classes"
    box(page, "Measured on").set_value(common).run()
    assert not page.exception and box(page, "Measured on").value == common
    assert f"2 models measured on {common}. Scored on 11 of the 15 classes of OUTFIT_15" in said(page)
    assert "segformer: Class maps made elsewhere: https://example.org/segformer, MIT." in said(page)
    page.multiselect[0].set_value(["segformer", "sharp"]).run()
    assert not page.exception
    box(page, "Difference to").set_value("sharp").run()
    assert not page.exception and "segformer minus sharp" in said(page)
    assert "Mean IoU −0.300" in said(page).replace("-0.300", "−0.300")
    assert cards(page) and "Truth of photo 0001" in cards(page)[0]


def test_what_papers_print_is_apart(page: AppTest) -> None:
    opened(page)
    assert "none can be compared with the scores above" in said(page)
    assert "Dotted" not in said(page)
    (table,) = [each.value for each in page.dataframe if "measured on" in each.value]
    assert "3,686 photos of CCP and CFPD, 15 classes, five folds" in set(table["measured on"])

import io
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scored import IDS, judged

from dashboard.evaluation.confusion import Cell, cell_photos, matrix_table, photos_by_iou, photos_of_class, view_matrix
from dashboard.shared.tables import as_csv, as_parquet
from segmodels.evaluation.evidence import total
from segmodels.taxonomy import OUTFIT_15

COUNTS = total(judged(1), OUTFIT_15).counts
ERROR = Cell("Coat", "Shirt")
ALL = OUTFIT_15.names


def test_shares_are_of_the_row_the_column_or_none() -> None:
    wrong = 20 * sum(range(1, 9))  # one row of the coat more in each photo
    assert view_matrix(COUNTS, OUTFIT_15, "row", ALL).value(ERROR) == pytest.approx(wrong / (8 * 500))
    assert view_matrix(COUNTS, OUTFIT_15, "column", ALL).value(ERROR) == 1.0
    view = view_matrix(COUNTS, OUTFIT_15, "pixels", ALL)
    assert view.value(ERROR) == wrong and view.text(ERROR) == "720 pixels"
    assert view.names == OUTFIT_15.display_order
    rows = view_matrix(COUNTS, OUTFIT_15, "row", ALL)
    assert np.isnan(rows.value(Cell("Hat", "Hat"))) and rows.text(Cell("Hat", "Hat")) == "–"
    assert rows.text(ERROR) == "18.0%"


def test_a_class_left_out_still_counts_in_the_shares_of_the_others() -> None:
    view = view_matrix(COUNTS, OUTFIT_15, "row", ("Coat", "Pants"))
    assert view.names == ("Coat", "Pants")
    assert view.value(Cell("Coat", "Coat")) == pytest.approx(0.82)


def test_errors_come_first_and_empty_cells_not_at_all() -> None:
    cells = view_matrix(COUNTS, OUTFIT_15, "row", ALL).cells()
    assert cells[0] == ERROR and cells[1].is_right
    assert Cell("Hat", "Hat") not in cells and Cell("Pants", "Coat") not in cells


def test_a_difference_is_the_first_less_the_second() -> None:
    other = total(judged(3), OUTFIT_15).counts
    view = view_matrix(COUNTS, OUTFIT_15, "row", ALL, other)
    assert view.value(ERROR) == pytest.approx(0.18 - other[2, 11] / 4000)
    assert view.text(ERROR).startswith("−") and "percentage points" in view.text(ERROR)
    assert view.is_difference and not view_matrix(COUNTS, OUTFIT_15, "row", ALL, COUNTS).cells()


def test_the_photos_that_add_most_to_a_cell_come_first() -> None:
    found = cell_photos(judged(1), OUTFIT_15, ERROR)
    assert [each.evidence.photo_id for each in found] == list(IDS[::-1])
    assert (found[0].pixels, found[0].share) == (160, pytest.approx(160 / 720))
    assert [each.evidence.photo_id for each in cell_photos(judged(1), OUTFIT_15, Cell("Socks", "Socks"))] == ["0001"]
    assert cell_photos(judged(1), OUTFIT_15, Cell("Hat", "Hat")) == []


def test_of_a_difference_those_come_first_that_make_it() -> None:
    found = cell_photos(judged(1), OUTFIT_15, ERROR, judged(2)[:6])
    assert [each.evidence.photo_id for each in found] == list(IDS[5::-1]), "only photos of both"
    assert found[0].pixels == -120 and found[0].other is not None
    back = cell_photos(judged(2), OUTFIT_15, ERROR, judged(1))
    assert back[0].pixels == 160 and sum(each.share for each in back) == pytest.approx(1)


def test_photos_by_their_own_iou() -> None:
    scored = photos_by_iou(judged(1), OUTFIT_15)
    assert [row.photo_id for row, _ in scored] == sorted(IDS, key=lambda each: each)
    assert all(first >= second for (_, first), (_, second) in pairwise(scored))


def test_how_many_photos_show_a_class() -> None:
    shown = photos_of_class(judged(1), OUTFIT_15)
    assert (shown["Coat"], shown["Socks"], shown["Shirt"], shown["Hat"]) == (8, 1, 0, 0)


def test_the_download_has_a_row_for_each_cell() -> None:
    table = matrix_table(view_matrix(COUNTS, OUTFIT_15, "row", ("Coat", "Shirt")))
    assert table.loc[1, ["truth", "prediction", "pixels", "share_of_truth"]].tolist() == ["Coat", "Shirt", 720, 0.18]
    assert table["share_of_truth"].isna()[3]
    view = view_matrix(COUNTS, OUTFIT_15, "pixels", ("Coat",), COUNTS)
    assert as_csv(matrix_table(view)).decode().splitlines() == ["truth,prediction,pixels_difference", "Coat,Coat,0"]
    assert pd.read_parquet(io.BytesIO(as_parquet(table))).astype(str).equals(table.astype(str))

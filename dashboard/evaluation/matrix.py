"""The confusion matrix of the Evaluation page, and the photos behind its cells and its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from dashboard.components.charts import page_theme, show_chart
from dashboard.evaluation import cache
from dashboard.evaluation.confusion import (
    UNITS,
    Cell,
    PhotoShare,
    Unit,
    cell_photos,
    matrix_table,
    photos_by_iou,
    view_matrix,
)
from dashboard.evaluation.pictures import SHOWN, Card, PictureError, cards_html, colour_map, find_data, read_class_map
from dashboard.evaluation.ranking import COLUMNS, Standing
from dashboard.evaluation.state import EvaluationState
from dashboard.figures import confusion_figure
from dashboard.shared.page_state import page_state
from dashboard.shared.text import literal
from segmodels.evaluation.evidence import Evidence
from segmodels.settings import read_settings
from segmodels.taxonomy import Taxonomy

__all__ = ["show_extremes", "show_matrix"]

_NO_OTHER = "no other model"
_CROWDED = 8  # classes above which a phone's cells are too small for more than two digits
_UNIT_NAMES: Mapping[Unit, str] = {"row": "By row", "column": "By column", "pixels": "Pixels"}


@st.fragment
def show_matrix(standings: Sequence[Standing]) -> None:
    """The matrix of a model, or of two the difference; beside it the photos of the cell chosen."""
    state = page_state(EvaluationState)
    row, second, unit, classes = _matrix_choice(standings)
    taxonomy = row.taxonomy
    matrix, other = row.measurement.matrix, second.measurement.matrix if second else None
    assert matrix is not None
    view = view_matrix(matrix, taxonomy, unit, classes, other)
    cells = view.cells()
    st.caption(literal(_matrix_caption(row, second, unit)))
    left, right = st.columns([60, 40], gap="large")
    if not cells:
        left.info("The two matrices are the same here." if second else "No pixel has one of these classes.")
        return
    if state.cell not in cells:
        state.cell = cells[0]
    crowded = len(classes) > _CROWDED and (unit == "pixels" or second is not None)
    with left, st.container(key="evaluation-crowded" if crowded else None):
        figure = confusion_figure(view, page_theme(), state.cell)
        words = "; ".join(f"{cell.words()}: {view.text(cell)}" for cell in cells[:10])
        show_chart(
            figure,
            "evaluation-matrix",
            words,
            title="Confusion matrix",
            notes=[_matrix_caption(row, second, unit)],
            data=partial(matrix_table, view),
            on_select=partial(_clicked, state),
        )
    with right:
        # Another list of labels is another widget: one that stays would go on showing the old label.
        less = second.model.name if second else _NO_OTHER
        key = f"evaluation-cell-{row.model.name}-{less}-{unit}-{row.measurement.photos}"
        st.session_state[key] = state.cell
        st.selectbox(
            "Cell (or click in the matrix)",
            cells,
            format_func=lambda cell: f"{cell.words()}: {view.text(cell)}",
            key=key,
            on_change=_picked,
            args=(state, key),
        )
        _photos_of_cell(row, second, taxonomy, state.cell)


def _matrix_choice(standings: Sequence[Standing]) -> tuple[Standing, Standing | None, Unit, list[str]]:
    """The model, that which it is compared with if any, what a cell counts, and the classes."""
    names = [row.model.name for row in standings]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = st.selectbox("Model", names, key=f"evaluation-first-{','.join(names)}", width=220)
        others = [row.model.name for row in standings if row.model.name != first]
        less = st.selectbox(
            "Difference to", [_NO_OTHER, *others], key=f"evaluation-less-{','.join([first, *others])}", width=220
        )
        unit = st.segmented_control(
            "Shares or pixels",
            UNITS,
            default="row",
            required=True,
            format_func=_UNIT_NAMES.__getitem__,
            key="evaluation-unit",
        )
        row = standings[names.index(first)]
        taxonomy = row.taxonomy
        assert unit
        with st.popover("Classes"):
            background = st.toggle("Background", value=True, key="evaluation-background")
            worn = [name for name in taxonomy.display_order if name != taxonomy.names[0]]
            picked = st.multiselect(
                "Only these classes (all if empty)", worn, key=f"evaluation-classes-{taxonomy.name}"
            )
    classes = [*(picked or worn), *([taxonomy.names[0]] if background else [])]
    second = standings[names.index(less)] if less in others else None
    return row, second, unit, classes


def _clicked(state: EvaluationState) -> None:
    """Takes over the cell that was clicked in the matrix."""
    points = st.session_state["evaluation-matrix"].selection.points
    if points and points[0].get("customdata"):
        truth, predicted = points[0]["customdata"][:2]
        state.cell = Cell(truth, predicted)


def _picked(state: EvaluationState, key: str) -> None:
    """Takes over the cell that was picked from the list."""
    state.cell = st.session_state[key]


def _matrix_caption(row: Standing, second: Standing | None, unit: Unit) -> str:
    whole = {
        "row": "Each row: shares of the pixels that truly are this class",
        "column": "Each column: shares of the pixels predicted as this class",
        "pixels": "Number of pixels at the photos' full resolution",
    }[unit]
    name = row.model.name
    if second is None:
        hidden = "" if unit == "pixels" else " Classes that are not shown count in the total."
        return f"{name} on {row.measurement.photos}. {whole}.{hidden}"
    text = f"{name} minus {second.model.name} on {row.measurement.photos}. {whole}. "
    found = cache.difference(row.model, second.model, [row.measurement, second.measurement])
    if not found:
        return f"{text}No interval: it needs the results by photo of both models."
    parts = [
        f"{COLUMNS[key].label} {found[key].value:+.3f} ({found[key].low:+.3f} to {found[key].high:+.3f})"
        for key in ("mean_iou", "mean_f1", "pixel_accuracy")
    ]
    return f"{text}Overall: {', '.join(parts)}; 95% intervals, paired bootstrap over the photos."


def _photos_of_cell(row: Standing, second: Standing | None, taxonomy: Taxonomy, cell: Cell) -> None:
    evidence, sentence = cache.evidence(row.model, row.measurement)
    other: list[Evidence] | None = None
    if second and not sentence:
        other, sentence = cache.evidence(second.model, second.measurement)
    if sentence:
        st.info(literal(sentence))
        return
    found = cell_photos(evidence, taxonomy, cell, other)
    shown = found[:SHOWN]
    if not shown:
        st.info("No photo has a pixel in this cell.")
        return
    which = f"; the {len(shown)} that add most to it" if len(found) > len(shown) else ""
    st.markdown(literal(f"{cell.words()} in {len(found)} photo{'s' if len(found) > 1 else ''}{which}:"))
    _show_cards(row, [(each.evidence, _share_note(each, second), each.other) for each in shown], second, cell)


def _share_note(each: PhotoShare, second: Standing | None) -> str:
    if second is None:
        share = "<1%" if each.share < 0.005 else f"{each.share:.0%}"
        return f"{_pixels(each.pixels)}, {share} of the cell"
    return f"{_pixels(abs(each.pixels))} {'more' if each.pixels > 0 else 'fewer'} than {second.model.name}"


def _pixels(number: int) -> str:
    return f"{number:,d} pixel{'' if number == 1 else 's'}"


@st.fragment
def show_extremes(standings: Sequence[Standing]) -> None:
    """The photos of highest and lowest IoU."""
    names = [row.model.name for row in standings]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Model", names, key=f"evaluation-photos-{','.join(names)}", width=220)
        end = st.segmented_control("Photos", ["Worst", "Best"], default="Worst", required=True, key="evaluation-end")
    row = standings[names.index(name)]
    taxonomy = row.taxonomy
    evidence, sentence = cache.evidence(row.model, row.measurement)
    if sentence:
        st.info(literal(sentence))
        return
    scored = photos_by_iou(evidence, taxonomy)
    ordered = scored if end == "Best" else scored[::-1]
    st.caption(
        literal(
            f"{name} on {row.measurement.photos}, sorted by the mean IoU of each photo over the classes in its ground "
            "truth or prediction."
        )
    )
    _show_cards(row, [(each, f"IoU {iou:.3f}", None) for each, iou in ordered[:SHOWN]])


def _show_cards(
    row: Standing,
    photos: Sequence[tuple[Evidence, str, Evidence | None]],
    second: Standing | None = None,
    cell: Cell | None = None,
) -> None:
    """Photo, truth and prediction of each; of a cell, its two classes stand out."""
    dataset = row.measurement.photos.dataset
    try:
        place, remark = find_data(dataset, read_settings()), ""
    except PictureError as error:
        place, remark = None, str(error)
    true, predicted = (cell.truth, cell.predicted) if cell else (None, None)
    cards, taxonomy = [], row.pictured
    for evidence, note, other in photos:
        pictures: dict[str, bytes | None] = {}
        if place:
            try:
                source = cache.photo_and_truth(*place, evidence.photo_id)
                pictures |= {
                    "Photo": source.photo,
                    "Truth": colour_map(row.picture_ids(of_truth=True)[source.truth], taxonomy, true),
                }
            except PictureError as error:
                pictures |= {"Photo": None, "Truth": None}
                remark = str(error)
        judged = [("Prediction" if second is None else row.model.name, row, evidence)]
        judged += [(second.model.name, second, other)] if second and other else []
        for label, of, each in judged:
            try:
                pictures[label] = colour_map(of.picture_ids()[read_class_map(each.class_map)], taxonomy, predicted)
            except PictureError as error:
                pictures[label] = None
                remark = str(error)
        cards.append(Card(evidence.photo_id, note, pictures))
    st.html(cards_html(cards))
    if remark:
        st.caption(literal(remark))

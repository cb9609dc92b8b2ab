"""The sections of the Evaluation page beside leaderboard and matrix: a chart each, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.components.charts import page_theme, show_chart
from dashboard.evaluation import cache
from dashboard.evaluation.conditions import conditions_caption, conditions_of, conditions_table, label_of
from dashboard.evaluation.confusion import photos_of_class
from dashboard.evaluation.counts import COUNT_HEADINGS, calibration_of, count_caption, count_table, kind_of
from dashboard.evaluation.kinds import (
    KIND_HEADINGS,
    kinds_caption,
    kinds_cells,
    kinds_matrix,
    kinds_of,
    kinds_table,
    matrices,
    matrix_title,
)
from dashboard.evaluation.pictures import SHOWN, Card, PictureError, cards_html, find_data
from dashboard.evaluation.ranking import (
    COLUMNS,
    COSTS,
    Standing,
    classes_table,
    curves_table,
    is_inacio_data,
    leaderboard_table,
    papers_table,
    references,
)
from dashboard.evaluation.records import Model, PhotoSet
from dashboard.figures import class_figure, condition_figure, cost_figure, curve_figure, reliability_figure
from dashboard.shared.tables import headings
from dashboard.shared.text import literal
from segmodels.evaluation.bootstrap import SCORES
from segmodels.inference.kinds import KindJudgement, KindsConfig
from segmodels.settings import read_settings

__all__ = [
    "show_classes",
    "show_conditions",
    "show_cost",
    "show_counts",
    "show_curves",
    "show_kinds",
    "show_papers",
]

_CURVES = {
    "mean_iou": "Mean IoU",
    "pixel_accuracy": "Accuracy",
    "loss": "Training loss",
    "validation_loss": "Validation loss",
}
_MEASURES = {"iou": "IoU", "f1": "F1", "precision": "Precision", "recall": "Recall"}


def show_cost(standings: Sequence[Standing], chosen: Sequence[str]) -> None:
    """The models' scores over one of their costs."""
    st.subheader("Score against cost")
    with st.container(horizontal=True):
        score = st.selectbox("Score", SCORES, format_func=lambda key: COLUMNS[key].label, key="evaluation-score")
        known = [key for key in COSTS if any(row.value(key) for row in standings)] or list(COSTS)
        cost = st.selectbox("Cost", known, format_func=lambda key: COLUMNS[key].label, key="evaluation-cost")
    lines = references(score, standings[0].measurement.photos)
    about = f"{standings[0].measurement.photos}. Upper left is better. Hollow: not among the models chosen."
    others = "; ".join(dict.fromkeys(line.on for line in lines))
    st.caption(
        literal(about + (f" Dotted: values from papers, measured on the same data ({others})." if lines else ""))
    )
    if missing := [row.model.name for row in standings if not row.value(cost)]:
        st.caption(literal(f"{COLUMNS[cost].label} is not known for {', '.join(missing)}."))
    words = "; ".join(f"{row.model.name}: {row.text(score)} at {row.text(cost)}" for row in standings)
    figure = cost_figure(standings, score, cost, page_theme(), chosen, lines)
    show_chart(
        figure,
        "evaluation-cost-chart",
        words,
        title="Score against cost",
        notes=[about],
        data=partial(leaderboard_table, standings),
    )


def show_classes(standings: Sequence[Standing], chosen: Sequence[str]) -> None:
    """The scores of each class."""
    st.subheader("Scores by class")
    rows = [row for row in standings if row.measurement.scores.classes]
    if not rows:
        st.info("None of the models chosen has scores by class on these photos. Choose another model.")
        return
    measure = st.segmented_control(
        "Score of a class",
        list(_MEASURES),
        default="iou",
        required=True,
        format_func=_MEASURES.__getitem__,
        key="evaluation-measure",
        label_visibility="collapsed",
    )
    assert measure
    taxonomy = rows[0].taxonomy
    evidence = next((found for row in rows if (found := cache.evidence(row.model, row.measurement)[0])), [])
    photos = photos_of_class(evidence, taxonomy) if evidence else {}
    printed = measure != "iou" and is_inacio_data(rows[0].measurement.photos)
    ticks = " Ticks: FPN of Inácio et al., on the same photos." if printed else ""
    pooled = " All folds pooled." if rows[0].measurement.deviation is not None else ""
    about = f"{_MEASURES[measure]} on {rows[0].measurement.photos}.{pooled}{ticks}"
    st.caption(literal(about))
    words = "; ".join(
        f"{row.model.name}: {name} {score:.2f}"
        for row in rows
        for name, scores in row.measurement.scores.classes.items()
        if (score := getattr(scores, measure)) is not None
    )
    figure = class_figure(rows, measure, taxonomy, photos, page_theme(), chosen, printed=printed)
    show_chart(
        figure,
        "evaluation-classes",
        words,
        title="Scores by class",
        notes=[about],
        data=partial(classes_table, rows, photos),
    )


def show_curves(models: Sequence[Model]) -> None:
    """Scores and losses by epoch."""
    known = [key for key in _CURVES if any(key in epoch for model in models for epoch in model.curve)]
    if not known:
        return
    with st.expander("Learning curves"):
        key = st.segmented_control(
            "Curve",
            known,
            default=known[0],
            required=True,
            format_func=_CURVES.__getitem__,
            key=f"evaluation-curve-{'-'.join(known)}",
            label_visibility="collapsed",
            wrap=True,
        )
        assert key
        drawn = [model for model in models if any(key in epoch for epoch in model.curve)]
        where = "" if key == "loss" else (
            " On crops of the validation photos at the network's input size: not comparable with the scores above."
        )  # fmt: skip
        folds = {f"fold {model.fold}" for model in drawn if model.fold is not None and model.fold >= 0}
        judged = f" Held out: {', '.join(sorted(folds))}." if folds and key != "loss" else ""
        about = f"By epoch; the point marks the selected epoch.{where}{judged}"
        st.caption(literal(about))
        if absent := [model.name for model in models if model not in drawn]:
            st.caption(literal(f"{_CURVES[key]} by epoch is not known for {', '.join(absent)}."))
        words = "; ".join(f"{m.name}: {[round(e[key], 3) for e in m.curve if key in e][-1]} at the end" for m in drawn)
        show_chart(
            curve_figure(models, key, page_theme()),
            "evaluation-curves",
            words,
            title=f"Learning curves: {_CURVES[key]}",
            notes=[about],
            data=partial(curves_table, models),
        )


def show_conditions(models: Sequence[Model], photos: PhotoSet) -> None:
    """How the models chosen do on photos that are not whole outfits in daylight."""
    measured = [model for model in models if conditions_of(model, photos.label)]
    if not measured:
        return
    with st.expander("Robustness to framing, light and kind of photo"):
        st.caption(literal(conditions_caption(measured, photos.label)))
        if absent := [model.name for model in models if model not in measured]:
            st.caption(literal(f"Not measured: {', '.join(absent)}."))
        words = "; ".join(
            f"{model.name}: {label_of(each)} {each.score:.2f}"
            for model in measured
            for each in conditions_of(model, photos.label)
        )
        figure = condition_figure(models, photos.label, page_theme())
        show_chart(
            figure,
            "evaluation-conditions",
            words,
            title="Robustness to framing, light and kind of photo",
            notes=[f"Photos of {photos.label}"],
            data=partial(conditions_table, measured, photos.label),
        )


def show_counts(models: Sequence[Model]) -> None:
    """How far counts with the first of the models chosen that has a calibration can be believed."""
    calibrated = [(model, each) for model in models if (each := calibration_of(model)) and each.judgements]
    if not calibrated:
        return
    with st.expander("Counts of garments"):
        model, calibration = calibrated[0]
        found = calibration.judgements
        st.caption(literal(count_caption(model.name, calibration)))
        words = "; ".join(
            f"{kind_of(each)}: error of a share {each.calibrated.share_error:.1%}, "
            f"without the calibration {each.raw.share_error:.1%}"
            for each in found
        )
        figure = reliability_figure(found, page_theme())
        show_chart(
            figure,
            "evaluation-counts",
            words,
            title="Counts of garments",
            notes=[count_caption(model.name, calibration)],
            data=partial(count_table, [each for each, _ in calibrated]),
        )
        table = count_table([each for each, _ in calibrated])
        scores = dict.fromkeys(("share_error_raw", "share_error", "f1_raw", "f1", "brier_raw", "brier"), "%.3f")
        _show_scores(table, headings(table, COUNT_HEADINGS, **scores))


def show_kinds(models: Sequence[Model]) -> None:
    """How well the first of the models chosen that has kinds tells them apart."""
    having = [(model, each) for model in models if (each := kinds_of(model)) and each.judgements]
    if not having:
        return
    model, kinds = having[0]
    with st.expander("Kinds of garments"):
        st.caption(literal(kinds_caption(model.name, kinds)))
        table = kinds_table(kinds)
        shares = dict.fromkeys(("named", "accuracy", "low", "high", "balanced", "most_frequent"), "%.2f")
        _show_scores(table, headings(table, KIND_HEADINGS, **shares))
        _kinds_matrix(matrices(kinds), kinds)


def _show_scores(table: pd.DataFrame, named: dict[str, Any]) -> None:
    """A table of scores; what they were measured on and those without calibration come last: a phone cuts them off."""
    last = [name for name in ("measured_on" if "measured_on" in table else "photos", "how") if name in table]
    order = sorted((name for name in table.columns if name not in last), key=lambda name: name.endswith("_raw"))
    st.dataframe(table, hide_index=True, column_config=named, column_order=[*order, *last])


@st.fragment
def _kinds_matrix(judged: Sequence[KindJudgement], kinds: KindsConfig) -> None:
    """A confusion matrix of kinds, and the photos behind one of its cells."""
    titles = [matrix_title(each) for each in judged]
    place = st.selectbox(
        "Confusion matrix", range(len(judged)), format_func=titles.__getitem__, key="evaluation-kinds", width=480
    )
    shown = judged[place]
    st.caption("Numbers of garments: true kinds in rows, named kinds in columns.")
    st.dataframe(kinds_matrix(shown, kinds), width="content")
    if not (cells := kinds_cells(shown, kinds)):
        st.caption("The photos behind it were not kept.")
        return
    key = f"evaluation-kinds-cell-{place}"
    cell = st.selectbox("Photos of the cell", cells, format_func=lambda cell: cell.words(), key=key, width=480)
    ids = list(dict.fromkeys(cell.photo_ids))
    dataset = shown.photos.dataset
    pictures: list[bytes | None] = []
    remark = ""
    try:
        source = find_data(dataset, read_settings())
    except PictureError as error:
        st.caption(literal(f"{error} Photos: {', '.join(ids)}."))
        return
    for photo_id in ids[:SHOWN]:
        try:
            pictures.append(cache.photo(*source, photo_id))
        except PictureError as error:
            pictures.append(None)
            remark = str(error)
    st.html(cards_html([Card(name, "", {"Photo": each}) for name, each in zip(ids, pictures, strict=False)]))
    more = f"{len(ids) - SHOWN} more: {', '.join(ids[SHOWN:])}." if len(ids) > SHOWN else ""
    if more or remark:
        st.caption(literal(f"{remark} {more}".strip()))


def show_papers() -> None:
    """What papers print, apart from our scores, as it was measured on other photos."""
    with st.expander("Scores in papers"):
        st.caption("Each was measured by its authors on their own data, so none can be compared with the scores above.")
        table = papers_table()
        st.dataframe(table, hide_index=True, column_config=headings(table))

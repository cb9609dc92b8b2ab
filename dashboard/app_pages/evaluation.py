"""Evaluation: which model is best on which photos, what it costs, and where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from dashboard.components.charts import page_theme, show_chart, show_downloads
from dashboard.components.leaderboard import show_leaderboard
from dashboard.evaluation import cache
from dashboard.evaluation.conditions import conditions_of, conditions_table, label_of
from dashboard.evaluation.confusion import (
    UNITS,
    Cell,
    PhotoShare,
    Unit,
    cell_photos,
    matrix_table,
    photos_by_iou,
    photos_of_class,
    view_matrix,
)
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
from dashboard.evaluation.pictures import (
    Card,
    PictureError,
    cards_html,
    colour_map,
    find_data,
    read_class_map,
)
from dashboard.evaluation.ranking import (
    COLUMNS,
    COSTS,
    Standing,
    classes_table,
    curves_table,
    is_inacio_data,
    leaderboard_data,
    leaderboard_table,
    papers_table,
    rank,
    references,
    scope,
)
from dashboard.evaluation.records import Model, PhotoSet, photo_sets
from dashboard.evaluation.state import EvaluationState
from dashboard.figures import (
    class_figure,
    condition_figure,
    confusion_figure,
    cost_figure,
    curve_figure,
    reliability_figure,
    series,
)
from dashboard.shared.guide import show_guide
from dashboard.shared.model_links import MAX_MODELS, parse_link
from dashboard.shared.page_state import page_state
from dashboard.shared.tables import headings
from dashboard.shared.text import literal
from segmodels.evaluation.bootstrap import SCORES
from segmodels.evaluation.evidence import Evidence
from segmodels.evaluation.results import DATASET_TITLES
from segmodels.inference.kinds import KindJudgement, KindsConfig
from segmodels.settings import read_settings
from segmodels.taxonomy import Taxonomy

state = page_state(EvaluationState)

GUIDE = (
    "Sort the models by any score or cost: click a heading. Point at a number to read where it comes from.",
    "*Choose models* picks those in the charts, and *Measured on* the photos.",
    "The confusion matrix shows which classes are mistaken for which; click a cell to see the photos behind it.",
    "*Best and worst photos* shows where a model fails.",
    "*Download* below a chart gives its picture and its data.",
)
FIRST = 3  # models in the charts when no link names any
SHOWN = 6  # photos in a list
NO_OTHER = "no other model"
CROWDED = 8  # classes above which a phone's cells are too small for more than two digits
UNIT_NAMES: Mapping[Unit, str] = {"row": "By row", "column": "By column", "pixels": "Pixels"}
CURVES = {
    "mean_iou": "Mean IoU",
    "pixel_accuracy": "Accuracy",
    "loss": "Training loss",
    "validation_loss": "Validation loss",
}
MEASURES = {"iou": "IoU", "f1": "F1", "precision": "Precision", "recall": "Recall"}


def page() -> None:
    """The whole page: the empty state, or leaderboard, charts, matrix and photos."""
    models = cache.scored_models()
    sets = photo_sets(models)
    if not sets:
        _empty(models)
        return
    photos = next((each for each in sets if each.label == _linked_set(sets)), sets[0])
    measured = [model for model in models if model.name in photos.models]
    found = {model.name: cache.intervals(model, m) for model in measured if (m := model.measured_on(photos))}
    standings = rank(models, photos, found)
    _read_link([model.name for model in models], standings)
    if state.others_chosen and not set(state.models).intersection(photos.models):
        state.models = [row.model.name for row in standings[:FIRST]]
    state.others_chosen = False
    _header(models, sets, photos)
    chosen = [name for name in state.models if name in {model.name for model in models}]
    st.query_params["models"] = ",".join(chosen)
    st.query_params["on"] = photos.label
    _sentences(models)
    _leaderboard(models, photos, standings, chosen)
    shown = [row for name in chosen for row in standings if row.model.name == name]
    if absent := [name for name in chosen if name not in photos.models]:
        verb = "were" if len(absent) > 1 else "was"
        st.info(literal(f"{', '.join(absent)} {verb} not measured on these photos; only the learning curve is shown."))
    left, right = st.columns(2, gap="large")
    with left:
        _cost(standings, chosen)
    with right:
        _classes(shown, chosen)
    with_matrix = [row for row in (shown or standings) if row.measurement.matrix is not None]
    if with_matrix:
        with st.expander("Confusion matrix, and the photos behind each cell"):
            _confusion(with_matrix)
        with st.expander("Best and worst photos"):
            _photos(with_matrix)
    picked = [model for name in chosen for model in models if model.name == name]
    _curves(picked)
    if photos.common is None:  # each model's conditions are scored in its own classes
        _conditions(picked, photos)
    _counts(picked)
    _kinds(picked)
    _papers()


def _empty(models: Sequence[Model]) -> None:
    st.title("No scores yet")
    st.markdown(
        "Scores are read from a checkpoint's `metrics.json`. To write it, evaluate the checkpoint on photos that it "
        "was not trained on; `--keep` stores the scores and the result of each photo:"
    )
    st.code(
        "python -m train evaluate CHECKPOINT --dataset ccp --data FOLDER --json scores.json --keep", wrap_lines=True
    )
    st.markdown("Or set `GARMENTSCOPE_MODELS` to a folder of checkpoints that have scores.")
    _sentences(models)
    _curves([model for model in models if model.curve][:MAX_MODELS])


def _linked_set(sets: Sequence[PhotoSet]) -> str:
    """Label of the photos chosen here or named by the link, else of those on which most of its models are measured."""
    labels = [each.label for each in sets]
    if state.photo_set is None:
        linked, _ = parse_link(st.query_params.get("models", ""), [name for each in sets for name in each.models])
        likely = max(sets, key=lambda each: sum(name in each.models for name in linked))
        name, comma, part = st.query_params.get("on", likely.label).partition(", ")
        named = DATASET_TITLES.get(name, name) + comma + part  # older links have the short name
        if named not in labels:
            state.sentences.append(f"No model was measured on {named[:80]}; scores on other photos are shown.")
        state.photo_set = named if named in labels else labels[0]
    return state.photo_set


def _read_link(installed: Sequence[str], standings: Sequence[Standing]) -> None:
    if state.link_read:
        return
    state.link_read = True
    chosen, sentences = parse_link(st.query_params.get("models", ""), installed)
    state.sentences += sentences
    state.models = chosen or [row.model.name for row in standings[:FIRST]]


def _header(models: Sequence[Model], sets: Sequence[PhotoSet], photos: PhotoSet) -> None:
    """Title, the models in the charts, and the photos that they are measured on."""
    names = [model.name for model in models]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Evaluation", width="stretch")
        show_guide(GUIDE)
        with st.popover("Choose models", type="primary"):
            state.models = st.multiselect(
                f"Models in the charts (up to {MAX_MODELS})",
                names,
                [name for name in state.models if name in names],
                max_selections=MAX_MODELS,
                key=f"evaluation-models-{photos.label}",
                placeholder="Choose models",
            )
    if len(sets) > 1:
        labels = [each.label for each in sets]
        counts = {each.label: len(each.models) for each in sets}
        state.photo_set = st.selectbox(
            "Measured on",
            labels,
            labels.index(photos.label),
            format_func=lambda label: f"{label}: {counts[label]} model{'s' if counts[label] > 1 else ''}",
            key=f"evaluation-set-{'-'.join(map(str, counts.values()))}",
        )
        if state.photo_set != photos.label:
            state.others_chosen = True
            st.rerun()


def _sentences(models: Sequence[Model]) -> None:
    """One sentence for each thing that is wrong with the link or the files."""
    sentences = [*state.sentences, *(sentence for model in models for sentence in model.sentences)]
    if sentences:
        st.error("\n\n".join(literal(sentence) for sentence in sentences))


def _leaderboard(
    models: Sequence[Model], photos: PhotoSet, standings: Sequence[Standing], chosen: Sequence[str]
) -> None:
    spread = "±: standard deviation over the folds." if photos.over_folds else (
        "Below the sorted score: 95% interval (bootstrap over the photos)."
    )  # fmt: skip
    st.caption(literal(f"{scope(models, photos)} {spread}"))
    inks = {name: series(place, page_theme()).ink for place, name in enumerate(chosen)}
    show_leaderboard(leaderboard_data(standings, inks), "evaluation-leaderboard")
    remarks = [f"{row.model.name}: {row.model.maps}" for row in standings if row.model.maps]
    if any(row.model.acquaintance(row.measurement) for row in standings):
        remarks.append("† saw these photos in training or selection; hover for details.")
    if len({row.measurement.device for row in standings if row.measurement.seconds_per_photo is not None}) > 1:
        remarks.append("Times are from different machines and cannot be compared.")
    if len({row.measurement.how for row in standings}) > 1:
        remarks.append("Not all models were measured in the same way; hover over a number for details.")
    if remarks:
        st.caption(literal(" ".join(remarks)))
    show_downloads("Download", "leaderboard", partial(leaderboard_table, standings))


def _cost(standings: Sequence[Standing], chosen: Sequence[str]) -> None:
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


def _classes(standings: Sequence[Standing], chosen: Sequence[str]) -> None:
    st.subheader("Scores by class")
    rows = [row for row in standings if row.measurement.scores.classes]
    if not rows:
        st.info("None of the models chosen has scores by class on these photos. Choose another model.")
        return
    measure = st.segmented_control(
        "Score of a class",
        list(MEASURES),
        default="iou",
        required=True,
        format_func=MEASURES.__getitem__,
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
    about = f"{MEASURES[measure]} on {rows[0].measurement.photos}.{pooled}{ticks}"
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


def _curves(models: Sequence[Model]) -> None:
    known = [key for key in CURVES if any(key in epoch for model in models for epoch in model.curve)]
    if not known:
        return
    with st.expander("Learning curves"):
        key = st.segmented_control(
            "Curve",
            known,
            default=known[0],
            required=True,
            format_func=CURVES.__getitem__,
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
            st.caption(literal(f"{CURVES[key]} by epoch is not known for {', '.join(absent)}."))
        words = "; ".join(f"{m.name}: {[round(e[key], 3) for e in m.curve if key in e][-1]} at the end" for m in drawn)
        show_chart(
            curve_figure(models, key, page_theme()),
            "evaluation-curves",
            words,
            title=f"Learning curves: {CURVES[key]}",
            notes=[about],
            data=partial(curves_table, models),
        )


def _conditions(models: Sequence[Model], photos: PhotoSet) -> None:
    """How the models chosen do on photos that are not whole outfits in daylight."""
    measured = [model for model in models if conditions_of(model, photos.label)]
    if not measured:
        return
    with st.expander("Robustness to framing, light and kind of photo"):
        st.caption(
            literal(
                f"Mean IoU on the photos of {photos.label}, cropped to a part of the person or otherwise changed "
                "(crops: over the classes with more than 0.2% of the pixels). Flat-lays: accuracy on the largest "
                "garment, mean over the classes. Other kinds of photo: micro F1 of the classes that the main person "
                "wears."
            )
        )
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


def _counts(models: Sequence[Model]) -> None:
    """How far counts with the first of the models chosen that has a calibration can be believed."""
    calibrated = [(model, each) for model in models if (each := calibration_of(model)) and each.judgements]
    if not calibrated:
        return
    with st.expander("Counts of garments"):
        model, calibration = calibrated[0]
        found = calibration.judgements
        st.caption(literal(count_caption(model.name, calibration)))
        words = "; ".join(
            f"{kind_of(each)}: error of a share {each.calibrated.share_error:.1%}, raw {each.raw.share_error:.1%}"
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
        st.dataframe(table, hide_index=True, column_config=headings(table, COUNT_HEADINGS, **scores))


def _kinds(models: Sequence[Model]) -> None:
    """How well the first of the models chosen that has kinds tells them apart."""
    having = [(model, each) for model in models if (each := kinds_of(model)) and each.judgements]
    if not having:
        return
    model, kinds = having[0]
    with st.expander("Kinds of garments"):
        st.caption(literal(kinds_caption(model.name, kinds)))
        table = kinds_table(kinds)
        shares = dict.fromkeys(("named", "accuracy", "low", "high", "balanced", "most_frequent"), "%.2f")
        st.dataframe(table, hide_index=True, column_config=headings(table, KIND_HEADINGS, **shares))
        _kinds_matrix(matrices(kinds), kinds)


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


def _papers() -> None:
    """What papers print, apart from our scores, as it was measured on other photos."""
    with st.expander("Scores in papers"):
        st.caption("Each was measured by its authors on their own data, so none can be compared with the scores above.")
        table = papers_table()
        st.dataframe(table, hide_index=True, column_config=headings(table))


# --- The matrix -------------------------------------------------------------------------------------------------------


@st.fragment
def _confusion(standings: Sequence[Standing]) -> None:
    """The matrix of a model, or of two the difference; beside it the photos of the cell chosen."""
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
    crowded = len(classes) > CROWDED and (unit == "pixels" or second is not None)
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
            on_select=_clicked,
        )
    with right:
        # Another list of labels is another widget: one that stays would go on showing the old label.
        less = second.model.name if second else NO_OTHER
        key = f"evaluation-cell-{row.model.name}-{less}-{unit}-{row.measurement.photos}"
        st.session_state[key] = state.cell
        st.selectbox(
            "Cell (or click in the matrix)",
            cells,
            format_func=lambda cell: f"{cell.words()}: {view.text(cell)}",
            key=key,
            on_change=_picked,
            args=(key,),
        )
        _photos_of_cell(row, second, taxonomy, state.cell)


def _matrix_choice(standings: Sequence[Standing]) -> tuple[Standing, Standing | None, Unit, list[str]]:
    """The model, that which it is compared with if any, what a cell counts, and the classes."""
    names = [row.model.name for row in standings]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = st.selectbox("Model", names, key=f"evaluation-first-{','.join(names)}", width=220)
        others = [row.model.name for row in standings if row.model.name != first]
        less = st.selectbox(
            "Difference to", [NO_OTHER, *others], key=f"evaluation-less-{','.join([first, *others])}", width=220
        )
        unit = st.segmented_control(
            "Shares or pixels",
            UNITS,
            default="row",
            required=True,
            format_func=UNIT_NAMES.__getitem__,
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


def _clicked() -> None:
    """Takes over the cell that was clicked in the matrix."""
    points = st.session_state["evaluation-matrix"].selection.points
    if points and points[0].get("customdata"):
        truth, predicted = points[0]["customdata"][:2]
        state.cell = Cell(truth, predicted)


def _picked(key: str) -> None:
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
        return f"{each.pixels:,d} pixels, {each.share:.0%} of the cell"
    return f"{abs(each.pixels):,d} pixels {'more' if each.pixels > 0 else 'fewer'} than {second.model.name}"


@st.fragment
def _photos(standings: Sequence[Standing]) -> None:
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


page()

"""Evaluation: which model is best on which photos, what it costs, and where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard.components.charts import page_theme, show_downloads
from dashboard.components.leaderboard import show_leaderboard
from dashboard.evaluation import cache
from dashboard.evaluation.charts import (
    show_classes,
    show_conditions,
    show_cost,
    show_counts,
    show_curves,
    show_kinds,
    show_papers,
)
from dashboard.evaluation.matrix import show_extremes, show_matrix
from dashboard.evaluation.ranking import Standing, leaderboard_data, leaderboard_table, rank, scope
from dashboard.evaluation.records import Model, PhotoSet, photo_sets
from dashboard.evaluation.state import EvaluationState
from dashboard.figures import series
from dashboard.shared.guide import show_guide
from dashboard.shared.model_links import MAX_MODELS, parse_link
from dashboard.shared.page_state import page_state
from dashboard.shared.text import literal
from segmodels.evaluation.results import DATASET_TITLES

state = page_state(EvaluationState)

GUIDE = (
    "Sort the models by any score or cost: click a heading. Point at a number to read where it comes from.",
    "*Choose models* picks those in the charts, and *Measured on* the photos.",
    "The confusion matrix shows which classes are mistaken for which; click a cell to see the photos behind it.",
    "*Best and worst photos* shows where a model fails.",
    "*Download* below a chart gives its picture and its data.",
)
FIRST = 3  # models in the charts when no link names any


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
    st.query_params.update(models=",".join(chosen), on=photos.label)  # at once: each is an entry to which Back leads
    _sentences(models)
    _leaderboard(models, photos, standings, chosen)
    shown = [row for name in chosen for row in standings if row.model.name == name]
    if absent := [name for name in chosen if name not in photos.models]:
        verb = "were" if len(absent) > 1 else "was"
        curve = any(model.curve for model in models if model.name in absent)
        rest = "; only the learning curve is shown" if curve else ""
        st.info(literal(f"{', '.join(absent)} {verb} not measured on these photos{rest}."))
    left, right = st.columns(2, gap="large")
    with left:
        show_cost(standings, chosen)
    with right:
        show_classes(shown, chosen)
    with_matrix = [row for row in (shown or standings) if row.measurement.matrix is not None]
    if with_matrix:
        with st.expander("Confusion matrix, and the photos behind each cell"):
            show_matrix(with_matrix)
        with st.expander("Best and worst photos"):
            show_extremes(with_matrix)
    picked = [model for name in chosen for model in models if model.name == name]
    show_curves(picked)
    if photos.common is None:  # each model's conditions are scored in its own classes
        show_conditions(picked, photos)
    show_counts(picked)
    show_kinds(picked)
    show_papers()


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
    show_curves([model for model in models if model.curve][:MAX_MODELS])


def _linked_set(sets: Sequence[PhotoSet]) -> str:
    """Label of the photos chosen here or named by the link, else of those on which most of its models are measured."""
    labels = [each.label for each in sets]
    if state.photo_set is None:
        linked, _ = parse_link(st.query_params.get("models", ""), [name for each in sets for name in each.models])
        likely = max(sets, key=lambda each: sum(name in each.models for name in linked))
        name, comma, part = (st.query_params.get("on") or likely.label).partition(", ")
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


page()

"""Compare: several models on the same photos, where they disagree, and their scores against a ground truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePath

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.compare.agreement import (
    Comparison,
    agreements_csv,
    comparison_csv,
    comparison_json,
    comparison_picture,
)
from dashboard.compare.conventions import (
    Prediction,
    TruthFile,
    coco_truths,
    is_class_list,
    read_class_list,
    read_truth_file,
)
from dashboard.compare.ground_truth import MaskError, match_masks
from dashboard.compare.run import CompareRun
from dashboard.compare.state import CompareState, connected
from dashboard.compare.table import score_text, table_html
from dashboard.components.charts import page_theme, show_chart
from dashboard.components.paste import watch_pasted
from dashboard.components.upload_limit import watch_uploads
from dashboard.components.viewer import MAX_STAGES, viewer, viewer_key
from dashboard.figures import agreement_figure, scores_figure
from dashboard.segment.state import SegmentState
from dashboard.shared import networks
from dashboard.shared.background import begin
from dashboard.shared.by_link import fetch_photo
from dashboard.shared.examples import EXAMPLE_MODELS, examples, show_examples
from dashboard.shared.guide import show_guide
from dashboard.shared.keeping import keep, show_privacy
from dashboard.shared.model_links import MAX_MODELS, parse_link
from dashboard.shared.page_state import page_state
from dashboard.shared.photo_file import PhotoFile
from dashboard.shared.text import literal
from dashboard.shared.uploads import MAX_UPLOAD_MB, choose_photo, more_ways, upload_photos
from dashboard.shared.waiting import follow
from segmodels.csv_text import for_excel
from segmodels.taxonomy import OUTFIT_15, Taxonomy

state = page_state(CompareState)

GUIDE = (
    "**Choose** two to nine models and add photos, then press *Compare*. You can leave the page meanwhile: it goes on.",
    "**Look**: one zoom moves all of them; *Wipe* puts two behind a divider; *Differences* colours only what they name "
    "differently. The map below is redder where they disagree and are certain.",
    "**Judge**: add a ground truth (PNG of class ids, COCO's JSON, or a .mat file of Clothing Co-Parsing) to see the "
    "scores of each model.",
    "**Export** the comparison as a picture, the table and the agreement as CSV, all as JSON. The page's address opens "
    "the same models again, and your photos while the server keeps them.",
)
UNDER_TABLE = "Share: of the photo's pixels. Time: from the decoded photo to its garments."
LESS_LIKELY = " Pictures, shares and agreement include less likely garments."
MEANS = (
    " Scores: against the ground truth, at the photo's full resolution; means over the classes in the ground truth or "
    "the prediction."
)


def page() -> None:
    """The whole page: the comparison of an example, or of the photo chosen."""
    installed = networks.model_names()
    state.take_over()
    if not state.photos:
        state.show_example(examples()[0])
    _read_mappings(installed)
    _read_link(installed)
    keep(state)
    watch_uploads(state.intake, _refuse)
    watch_pasted("photo-intake", "add-photos")
    uploads, address, asked, place = _header(installed)
    st.query_params["models"] = ",".join(state.models)
    if address:
        found = fetch_photo(address, place)
        if isinstance(found, str):
            state.sentences = [found]
            st.rerun()
        uploads.append(found)
    comparable = _comparable()
    enough = len(comparable) >= 2
    if uploads or asked or state.run:
        _work(uploads, comparable if enough else [], asked, place)
    if enough:
        _results()
    else:
        st.info("Choose a second model, then press Compare.")
    if not state.example:
        show_privacy(state)
    elif not enough:
        show_examples(state.example, state.show_example, key="compare-examples")
    if comparable:
        networks.warm_up_soon(comparable[0])


def _read_mappings(installed: Sequence[str]) -> None:
    """Takes over the mappings in the folders of the models; with other ones all is computed anew."""
    own = tuple(found for name in installed if (found := networks.own_mapping(name)))
    if own != state.own:
        state.own, state.latest, state.stages = own, {}, None


def _read_link(installed: Sequence[str]) -> None:
    if state.link_read:
        return
    state.link_read = True
    chosen, state.sentences = parse_link(st.query_params.get("models", ""), installed)
    usual = [name for name in EXAMPLE_MODELS if name in installed]
    state.models = chosen or _connected([*usual, *(name for name in installed if name not in usual)])[0][:2]


def _connected(models: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those whose classes can be compared, and a sentence for each other; one of unknown classes stays."""
    known = {name: own for name in models if (own := networks.taxonomy(name))}
    kept, sentences = connected(known, state.own)
    faults = [networks.mapping_fault(name) for name in known] if sentences else []  # their mapping is missed now
    return [name for name in models if name in kept or name not in known], [*sentences, *filter(None, faults)]


def _comparable() -> list[str]:
    """The models chosen whose classes can be compared with those of the first of them."""
    return _connected(state.models)[0]


def _taxonomies() -> list[Taxonomy]:
    """The taxonomies of the models that are compared, or of the default."""
    return [own for name in _comparable() if (own := networks.taxonomy(name))] or [OUTFIT_15]


def _refuse(sentences: Sequence[str], alone: bool) -> None:
    state.refused = sentences
    if alone:
        state.sentences = []


def _header(installed: Sequence[str]) -> tuple[list[PhotoFile], str, bool, DeltaGenerator]:
    """Title, choices, buttons; gives photos and address that came in, whether Compare was pressed, the bar's place."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Compare", width="stretch")
        show_guide(GUIDE)
        _choose_photo()
        taken_in = f"compare-add-{state.intake}"  # another popover, which is closed, once photos were taken in
        with st.container(key="add-photos", width="content"), st.popover("Add photos", key=taken_in):
            uploads = upload_photos(f"compare-upload-{state.intake}")
            if not state.example:
                uploads += _of_segment()
            more, address = more_ways(f"compare-{state.intake}")
            if not state.example and st.button("Start over", type="tertiary"):
                state.start_over()
                st.rerun()
        with st.popover("Ground truth"):
            _masks()
        asked = st.button("Compare", type="primary")
    if state.example:
        st.markdown(
            "The same photo under each model, with a shared zoom and a wipe between any two. Add a photo of your own, "
            "choose other models, or add a ground truth for scores."
        )
        uploads += _of_segment()
    place = st.container()
    _choose_models(installed)
    if len(installed) < 2:
        st.info(
            "Only one model is installed. To compare it with others, set GARMENTSCOPE_MODELS to a folder of "
            "checkpoints."
        )
    _show_sentences()
    return uploads + more, address, asked, place


def _of_segment() -> list[PhotoFile]:
    """A button for the photos that the visitor has on Segment and not here; the photos, once it is pressed."""
    segment = page_state(SegmentState)
    there = {} if segment.example else {key: done for key, done in segment.photos.items() if key not in state.photos}
    if not there:
        return []
    which = next(iter(there.values())).name if len(there) == 1 else f"the {len(there)} photos"
    pressed = st.button(literal(f"Compare on {which} from Segment"), key="compare-of-segment")
    return [PhotoFile(done.name, done.photo.data) for done in there.values()] if pressed else []


def _choose_models(installed: Sequence[str]) -> None:
    state.models = st.multiselect(
        f"Models (2 to {MAX_MODELS})",
        installed,
        [name for name in state.models if name in installed],
        max_selections=MAX_MODELS,
        key="compare-models",
        placeholder="Choose two models",
    )
    if sentences := _connected(state.models)[1]:
        st.info("\n\n".join(map(literal, sentences)))


def _choose_photo() -> None:
    if state.shown not in state.photos:
        state.shown = next(iter(state.photos))
    choose_photo({key: photo.name for key, photo in state.photos.items()}, state.shown, _show, key="compare-photo")


def _show(digest: str) -> None:
    state.shown = digest


def _masks() -> None:
    """Takes in ground truth for the photos of this session."""
    files = st.file_uploader(
        "Class ids as PNG (with classes.txt if they are your own), COCO's JSON, or a .mat file of Clothing Co-Parsing; "
        "PNG and .mat named like the photo",
        accept_multiple_files=True,
        max_upload_size=MAX_UPLOAD_MB,
        key=f"compare-masks-{state.intake}",
    )
    if (file := state.masks.get(state.shown)) and file.chosen:
        _choose_convention(file, "Its ids are those of")
    if file and st.button("Remove the ground truth", type="tertiary"):
        del state.masks[state.shown]
        st.rerun()
    if not files:
        return
    state.sentences, state.refused = _take_masks({each.name: each.getvalue() for each in files}), ()
    state.intake += 1
    st.rerun()


def _take_masks(files: dict[str, bytes]) -> list[str]:
    """Takes in files of ground truth by name; gives a sentence for each that cannot be used."""
    taxonomies, photos, sentences = _taxonomies(), state.photos, []
    keys = list(photos)
    lists = {name: data for name, data in files.items() if is_class_list(name, data)}
    cocos = [name for name in files if name.lower().endswith(".json") and name not in lists]
    masks = [name for name in files if name not in lists and name not in cocos]
    classes = None
    for name, data in lists.items():
        try:
            classes = read_class_list(name, data)
        except MaskError as error:
            sentences.append(str(error))
    if lists and not masks:
        sentences.append(f"{next(iter(lists))} is a list of classes. Add it together with the PNG that it is for.")
    by_name = {photos[key].name: key for key in keys}
    for name in cocos:
        try:
            found = coco_truths(
                name, files[name], {each: photos[key].data for each, key in by_name.items()}, taxonomies, state.own
            )
            state.masks |= {by_name[photo]: file for photo, file in found.items()}
        except MaskError as error:
            sentences.append(str(error))
    matched, unmatched = match_masks(masks, [photo.name for photo in photos.values()], keys.index(state.shown))
    sentences += unmatched
    for index, place in matched.items():
        name, key = masks[index], keys[place]
        size = (photos[key].width, photos[key].height)
        try:
            state.masks[key] = read_truth_file(
                name, files[name], size, taxonomies, classes, _predictions(key), state.own
            )
        except MaskError as error:
            sentences.append(str(error))
    return sentences


def _predictions(key: str) -> list[Prediction]:
    """What the models that are compared found in a photo."""
    found = [finding for model in _comparable() if (finding := state.findings.get((key, model)))]
    return [Prediction(each.model, each.taxonomy, each.reduced_class_map()) for each in found]


def _choose_convention(file: TruthFile, label: str) -> None:
    """Lets the visitor say what the values of a mask stand for."""
    names = [each.name for each in file.conventions]
    if len(names) < 2:
        return
    chosen = st.selectbox(
        label,
        names,
        names.index(file.chosen) if file.chosen else None,
        format_func=file.words,
        placeholder="Choose",
        key=f"compare-convention-{state.shown}-{file.name}-{state.intake}-{file.chosen}",
    )
    if chosen and chosen != file.chosen:
        state.masks[state.shown] = file.read_as(chosen)
        st.rerun()


def _work(uploads: Sequence[PhotoFile], models: Sequence[str], asked: bool, place: DeltaGenerator) -> None:
    """Takes photos in and runs the models on what they have not run on yet, with a bar.

    The run goes on while the visitor looks at another page. If it was dropped because the connection had ended, or
    other models were asked for meanwhile, another one begins.
    """
    run = state.run
    if run and asked and not set(models) <= set(run.models):
        run.stop()
    if run and (run.stopping or run.phase == "stopped"):
        uploads, models = [*run.uploads, *(each for each in uploads if each not in run.uploads)], models or run.models
        run = None
    if run is None or (uploads and not run.covers(uploads)):
        if run:
            run.stop()
        before = {} if state.example and uploads else state.photos
        run = state.run = begin(CompareRun(uploads, models, before, state.findings))
    keep(state)
    follow(run, place, _cancel)
    st.rerun()


def _cancel() -> None:
    """Ends the run and empties the uploaders; what is done is kept."""
    if run := state.run:
        run.stop()
        state.take_over()
    state.run = None
    state.intake += 1


def _show_sentences() -> None:
    """One sentence for each thing that was wrong with the link or the last files."""
    if sentences := [*state.refused, *state.sentences]:
        st.error("\n\n".join(literal(sentence) for sentence in sentences))


def _results() -> None:
    """The photo on show under the models that have run, and all that is computed from them."""
    models = _comparable()
    comparisons = {key: state.comparison(key) for key in state.photos}
    for model in (model for model in models if model in state.unloaded):
        with st.container(border=True):
            others = " The other models are compared." if len(models) > len(state.unloaded) else ""
            st.markdown(literal(f"{model} not loaded: {state.unloaded[model]}{others}"))
    key = state.shown
    waiting = [m for m in models if (key, m) not in state.findings and m not in state.unloaded]
    if waiting:
        verb = "have" if len(waiting) > 1 else "has"
        st.info(literal(f"{', '.join(waiting)} {verb} not run on this photo yet. Press Compare."))
    comparison = comparisons[key]
    if comparison is None:
        if state.example:
            show_examples(state.example, state.show_example, key="compare-examples")
        return
    if (file := state.masks.get(key)) and comparison.truth is None:
        _ask(file, comparison)
    if not comparison.has_garments:
        who = "Neither model" if len(comparison.findings) == 2 else "No model"
        st.info(literal(f"{who} finds a garment in {comparison.photo}. Try a photo of a whole outfit."))
    staged = _staged(comparison)
    viewer(
        state.stages_of(staged),
        taxonomy=staged.shown,
        key=viewer_key("compare", staged.shown),
        original=staged.findings[0].analysed.photo.original,
        differences=state.example is not None,
    )
    if remark := _remark(staged):
        st.caption(literal(remark))
    if state.example:
        show_examples(state.example, state.show_example, key="compare-examples")
    left, right = st.columns([42, 58], gap="large") if staged.has_map else (None, st.container())
    if left:
        with left:
            _disagreement(staged)
    with right:
        _table(comparison)
        (_scores if comparison.scores else _agreement)(staged)
    if comparison.scores:
        _agreement(staged)
    _downloads(staged, [each for each in comparisons.values() if each])


def _ask(file: TruthFile, comparison: Comparison) -> None:
    """Why there are no scores although there is a ground truth, and what the visitor can do."""
    with st.container(border=True):
        if file.chosen:
            st.markdown(
                literal(
                    f"No mapping connects the classes of {file.name} ({file.chosen}) with those of these models, so "
                    f"there are no scores. Add one with the ids of {comparison.taxonomy.name}."
                )
            )
        else:
            st.markdown(literal(f"{file.question} Choose to see the scores."))
            _choose_convention(file, "Meaning of the ids")


def _staged(comparison: Comparison) -> Comparison:
    """The comparison of the models that stand side by side."""
    names = [finding.model for finding in comparison.findings]
    if len(names) <= MAX_STAGES:
        return comparison
    before = [name for name in state.staged if name in names][:MAX_STAGES]
    chosen = st.multiselect(
        f"Side by side, up to {MAX_STAGES}",
        names,
        before if len(before) > 1 else names[:MAX_STAGES],
        max_selections=MAX_STAGES,
        key=f"compare-staged-{','.join(names)}",
    )
    state.staged = chosen
    shown = chosen if len(chosen) > 1 else names[:MAX_STAGES]
    return state.side_by_side(tuple(finding for finding in comparison.findings if finding.model in shown))


def _remark(comparison: Comparison) -> str:
    """Which classes are compared, and what the ground truth is."""
    parts = [comparison.common.remark().replace("Scored on", "Compared on", 1)]
    file = state.masks.get(state.shown)
    if file and comparison.truth is not None:
        parts.append(f"Ground truth: {file.name}, read as {file.chosen}.")
        if comparison.scored.members != comparison.common.members or comparison.common.is_whole:
            parts.append(comparison.scored.remark())
    return " ".join(part for part in parts if part)


def _disagreement(comparison: Comparison) -> None:
    count = len(comparison.findings)
    if comparison.truth is not None:
        st.subheader("Error map")
        who = "The model" if count == 1 else f"At least one of the {count} models"
        first = f"{who} is wrong on {comparison.contested:.1%} of the labelled pixels. "
        rest = f"Redder: {'the model is' if count == 1 else 'more models are wrong, and'} more certain."
    else:
        st.subheader("Disagreement map")
        first = f"The {count} models predict different classes on {comparison.contested:.1%} of the pixels. "
        rest = f"Redder: {'both models' if count == 2 else 'more pairs of models disagree, and'} are more certain."
    st.caption(literal(f"{comparison.photo}. {first}{rest}"))
    st.image(comparison.strength_png, width="stretch", alt=first + rest)


def _table(comparison: Comparison) -> None:
    st.subheader("What each model found" if comparison.scores is None else "What each model found, with scores")
    st.html(table_html(comparison))
    less_likely = any(finding.analysed.less_likely for finding in comparison.findings)
    st.caption(UNDER_TABLE + (LESS_LIKELY if less_likely else "") + (MEANS if comparison.scores else ""))


def _agreement(comparison: Comparison) -> None:
    pairs = comparison.agreements
    if not pairs:
        return
    st.subheader("Agreement between models")
    between = f"each pair of the {len(comparison.findings)} models side by side" if len(pairs) > 1 else "the two models"
    st.caption(
        f"IoU by class between {between}. Dash: neither model predicts the class. The downloads hold all pairs of the "
        "models chosen."
    )
    words = "; ".join(f"{each.first} and {each.second}: mean IoU {each.mean_iou:.2f}" for each in pairs)
    show_chart(
        agreement_figure(pairs, comparison.taxonomy, page_theme()),
        "compare-agreement",
        words,
        title="Agreement between models: IoU by class",
        notes=[comparison.photo],
    )


def _scores(comparison: Comparison) -> None:
    assert comparison.scores
    st.subheader("Scores by class")
    st.caption("IoU with the ground truth. Dash: the class is in neither the ground truth nor the prediction.")
    words = "; ".join(f"{name}: mean IoU {score_text(each['mean_iou'])}" for name, each in comparison.scores.items())
    show_chart(
        scores_figure(comparison.scores, comparison.scored.taxonomy, page_theme()),
        "compare-scores",
        words,
        title="Scores by class: IoU with the ground truth",
        notes=[comparison.photo],
    )


def _excel(make: Callable[[Sequence[Comparison]], bytes], comparisons: Sequence[Comparison]) -> bytes:
    return for_excel(make(comparisons))


def _downloads(comparison: Comparison, comparisons: Sequence[Comparison]) -> None:
    stem = PurePath(comparison.photo).stem
    several = f" of all {len(comparisons)}" if len(comparisons) > 1 else ""
    name = stem if len(comparisons) == 1 else "comparison"
    with st.container(horizontal=True):
        st.download_button(
            "Comparison (PNG)",
            partial(comparison_picture, comparison),
            f"{stem}-comparison.png",
            "image/png",
            on_click="ignore",
        )
        if comparison.has_map:
            kind = "Disagreement" if comparison.truth is None else "Error"
            file = f"{stem}-{kind.lower()}.png"
            st.download_button(f"{kind} map (PNG)", comparison.strength_png, file, "image/png", on_click="ignore")
        st.download_button(
            f"Table{several} (CSV)", partial(comparison_csv, comparisons), f"{name}.csv", "text/csv", on_click="ignore"
        )
        tables = [("Table", comparison_csv, "")]
        if any(each.agreements for each in comparisons):
            tables.append(("Agreement", agreements_csv, "-agreement"))
            st.download_button(
                f"Agreement{several} (CSV)",
                partial(agreements_csv, comparisons),
                f"{name}-agreement.csv",
                "text/csv",
                on_click="ignore",
            )
        with st.popover("For Excel"):
            for label, make, ending in tables:
                st.download_button(
                    f"{label}{several} (CSV for Excel)",
                    partial(_excel, make, comparisons),
                    f"{name}{ending}-excel.csv",
                    "text/csv",
                    on_click="ignore",
                )
        st.download_button(
            f"JSON{several}",
            partial(comparison_json, comparisons),
            f"{name}.json",
            "application/json",
            on_click="ignore",
        )


page()

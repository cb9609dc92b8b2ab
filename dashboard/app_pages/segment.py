"""Segment: drop outfit photos, see every garment, export the results."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.components.paste import watch_pasted
from dashboard.components.upload_limit import watch_uploads
from dashboard.components.viewer import viewer, viewer_key
from dashboard.segment.palette import photo_palette
from dashboard.segment.run import SegmentRun, is_of
from dashboard.segment.state import Packed, SegmentState
from dashboard.shared import networks
from dashboard.shared.analysed import (
    Analysed,
    annotations_name,
    as_annotations,
    as_csv,
    class_map_png,
    cut_out,
    file_name,
    garment_names,
    json_text,
    write_zip,
)
from dashboard.shared.background import begin
from dashboard.shared.by_link import fetch_photo
from dashboard.shared.choice import choose
from dashboard.shared.examples import examples, show_examples
from dashboard.shared.guide import show_guide
from dashboard.shared.keeping import keep, kept_for, show_privacy
from dashboard.shared.page_state import page_state
from dashboard.shared.palette_menu import show_palettes
from dashboard.shared.photo_file import PhotoFile, file_digest
from dashboard.shared.text import literal
from dashboard.shared.uploads import choose_photo, more_ways, upload_photos
from dashboard.shared.waiting import follow
from segmodels.annotations import ANNOTATION_FORMATS
from segmodels.csv_text import for_excel
from segmodels.inference.segmentation import Garment
from segmodels.photo import PhotoError
from segmodels.sentences import first_line

state = page_state(SegmentState)

GUIDE = (
    "**Add photos**: drop them anywhere on the page, paste one, choose files or a folder, give a link, or use the "
    "camera. You can leave the page meanwhile: it goes on.",
    "**Read**: point at the photo, or tap it, to see the class and its confidence. Ctrl and the mouse wheel, or two "
    "fingers, zoom.",
    "**Show and hide**: click a garment or a person; with Alt it is shown alone. The confidence slider hides pixels "
    "below it, in the photo and in the table.",
    "**Export**: class map, one garment cut out, JSON, annotations for COCO, YOLO, Label Studio, CVAT; of several "
    "photos also a ZIP and a CSV.",
    "**Go on**: *Compare* puts models side by side; *Archive* and *Trends* read thousands of photos.",
)


def page() -> None:
    """The whole page: an example, or the photos of this visit."""
    state.take_over()
    if not state.photos and not state.pending:
        state.show_example(examples()[0])
    keep(state)
    watch_uploads(state.intake, _refuse)
    watch_pasted("photo-intake", "add-photos")
    if state.example or not state.photos:
        uploads, address, place = _welcome()
    else:
        uploads, address, place = _header()
    model = state.model
    revision = networks.revision(model)
    uploads += [file for file in state.pending if file not in uploads]
    if address:
        found = fetch_photo(address, place)
        if isinstance(found, PhotoFile):
            uploads.append(found)
        else:
            state.failures = [found]
            st.rerun()
    older = [
        PhotoFile(done.name, done.photo.data) for done in state.photos.values() if not is_of(done, model, revision)
    ]
    if state.cancelled != (model, revision):
        state.cancelled = None
        uploads += [file for file in older if not (state.example and uploads)]
    if state.photos:
        if older and not uploads:
            _offer_rerun(len(older), model)
        _results()  # before what is new, so that the photos that are done can be looked at meanwhile
    if uploads:
        _add(uploads, model, place)
    networks.warm_up_soon(model)


def _refuse(sentences: Sequence[str], alone: bool) -> None:
    state.refused = sentences
    if alone:
        state.failures = []


def _welcome() -> tuple[list[PhotoFile], str, DeltaGenerator]:
    """What stands over an example; gives photos and address that came in, and the place of the bar."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Drop an outfit photo", width="stretch")
        show_guide(GUIDE)
        _choose_model()
        with st.popover("Link, folder, camera"):
            more, address = more_ways(f"segment-{state.intake}")
    st.markdown(
        "See each garment outlined, named and measured. Your photos are not stored: the server forgets them "
        f"{kept_for()} after your last click or when you close this page, whichever is later."
    )
    place = st.container()
    uploads = upload_photos(f"upload-{state.intake}") + more
    _show_failures()
    return uploads, address, place


def _header() -> tuple[list[PhotoFile], str, DeltaGenerator]:
    """Title and buttons over the visitor's own photos; gives what `_welcome` does."""
    with st.container(horizontal=True, vertical_alignment="center", key="segment-head"):
        st.title("Segment", width="stretch")
        show_guide(GUIDE)
        _choose_model()
        _choose_photo()
        taken_in = f"segment-add-{state.intake}"  # another popover, which is closed, once photos were taken in
        with (
            st.container(key="add-photos", width="content"),
            st.popover("Add photos", type="primary", key=taken_in),
        ):
            uploads = upload_photos(f"upload-{state.intake}")
            more, address = more_ways(f"segment-{state.intake}")
            if st.button("Start over", type="tertiary"):
                state.start_over()
                st.rerun()
    place = st.container()
    _show_failures()
    return uploads + more, address, place


def _choose_model() -> None:
    """Which of several models finds the garments; the Models page says more of each."""
    names = networks.model_names()
    if len(names) > 1 and state.model in names:
        choose(
            "Model",
            names,
            state.model,
            _use,
            key="segment-model",
            format_func=lambda name: f"Model: {name}",
            label_visibility="collapsed",
            width=180,
        )


def _use(model: str) -> None:
    state.model = model


def _choose_photo() -> None:
    """Which of several photos is shown."""
    shown = state.shown if state.shown in state.photos else next(iter(state.photos))
    choose_photo({key: done.name for key, done in state.photos.items()}, shown, _show, key="segment-photo")


def _show(digest: str) -> None:
    state.shown = digest


def _add(uploads: list[PhotoFile], model: str, place: DeltaGenerator) -> None:
    """Analyses what is new, with a bar in its place; the run goes on while the visitor looks at another page."""
    run = state.run
    if run is None or not run.covers(model, uploads):
        if run:
            run.stop()
        state.refused, state.failures = (), []
        if not all(file_digest(file.data) in state.photos for file in uploads):
            state.pending = uploads  # else only results of another model are made anew
            keep(state)
        run = state.run = begin(SegmentRun(model, uploads, state.photos))
    follow(run, place, _cancel)
    if run.phase == "failed":
        state.run, state.pending = None, []
        place.error(literal(run.error))
    else:
        st.rerun()


def _cancel() -> None:
    """Empties the uploader; what is done is kept, and photos that another model analysed stay as they are."""
    if run := state.run:
        run.stop()
        state.take_over()
        state.cancelled = run.model, networks.revision(run.model)
    state.run, state.pending = None, []
    state.intake += 1


def _show_failures() -> None:
    """One sentence per file that could not be read, and what became of the others."""
    sentences = [*state.refused, *state.failures]
    if not sentences:
        return
    st.error("\n\n".join(literal(sentence) for sentence in sentences))
    if done := 0 if state.example else len(state.photos):
        st.caption("1 other photo is done." if done == 1 else f"The other {done} photos are done.")


def _offer_rerun(count: int, model: str) -> None:
    """Says that photos show another model's results, after their new run was cancelled."""
    subject = "1 photo shows" if count == 1 else f"{count} photos show"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(literal(f"{subject} the results of another model."), width="content")
        if st.button(f"Analyse with {literal(model)}"):
            state.cancelled = None
            st.rerun()


def _results() -> None:
    """The chosen photo in the viewer, and its downloads."""
    analysed = state.photos[state.shown] if state.shown in state.photos else next(iter(state.photos.values()))
    if state.stage is None or state.stage[0] is not analysed:
        state.stage = analysed, analysed.stage()
    viewer(
        [state.stage[1]],
        taxonomy=analysed.taxonomy,
        key=viewer_key("segment", analysed.taxonomy),
        original=analysed.photo.original,
    )
    if analysed.photo.note:
        st.caption(literal(analysed.photo.note))
    if state.example:
        show_examples(state.example, state.show_example, key="segment-examples")
    _downloads(analysed)
    if not state.example:
        show_privacy(state)


def _downloads(analysed: Analysed) -> None:
    stem = analysed.photo.stem
    with st.container(horizontal=True):
        st.download_button(
            "Class map (PNG)",
            partial(class_map_png, analysed),
            f"{stem}-classes.png",
            "image/png",
            on_click="ignore",
        )
        if analysed.garments:
            with st.popover("Cut out one garment"):
                st.caption("PNG with a transparent background.")
                for garment in analysed.garments:
                    if analysed.likely(garment):
                        _cut_out_button(analysed, garment)
                if analysed.less_likely:
                    st.caption("Less likely")
                for garment in analysed.less_likely:
                    _cut_out_button(analysed, garment)
        st.download_button("JSON", partial(json_text, analysed), f"{stem}.json", "application/json", on_click="ignore")
        everything, packing = list(state.photos.values()), False
        with st.popover("Annotations"):
            _annotations(analysed, everything)
        if photo_palette(everything):
            show_palettes(
                "Palette",
                "garmentscope-palette",
                "Garmentscope",
                partial(photo_palette, everything),
                "The dominant colours of each garment in these photos, as the pixels have them. Lab is CIELAB (D65).",
            )
        if len(everything) > 1:
            count = len(everything)
            packing = _zip_button(everything)
            st.download_button(
                f"All {count} (CSV)", partial(as_csv, everything), "garmentscope.csv", "text/csv", on_click="ignore"
            )
            st.download_button(
                f"All {count} (CSV for Excel)",
                lambda: for_excel(as_csv(everything)),
                "garmentscope-excel.csv",
                "text/csv",
                on_click="ignore",
            )
    if packing:
        _pack(everything)
    if any(photo.less_likely for photo in everything):
        st.caption(
            "Downloads hold every garment found, with its presence."
            + (" In the ZIP, cut-outs of less likely garments are in less\\_likely/." if len(everything) > 1 else "")
        )


def _zip_button(photos: Sequence[Analysed]) -> bool:
    """The button of the ZIP, or its download once it was made; True if it is to be made now."""
    packed = state.packed
    if packed and list(packed.photos) == list(photos) and packed.annotations == state.annotations:
        size = f"{packed.size / 1e6:,.1f} MB"
        st.download_button(
            f"Save the ZIP ({size})", packed.content, "garmentscope.zip", "application/zip", on_click="ignore"
        )
        return False
    state.packed = None
    return st.button(f"All {len(photos)} (ZIP)")


def _pack(photos: Sequence[Analysed]) -> None:
    """Makes the ZIP in a temporary file, with a bar."""
    bar = st.progress(0.0, text=f"Packing photo 1 of {len(photos)}.")

    def show(done: int) -> None:
        bar.progress(done / len(photos), text=f"Packing photo {min(done + 1, len(photos))} of {len(photos)}.")

    file = tempfile.TemporaryFile()  # noqa: SIM115 (it stays open in the state)
    try:
        write_zip(photos, file, state.annotations, show)
    except BaseException as error:
        file.close()
        if not isinstance(error, OSError | PhotoError):
            raise
        bar.empty()
        st.error(literal(f"The ZIP could not be made: {first_line(error)}. The photos are still here."))
        return
    state.packed = Packed(photos, file, state.annotations)
    st.rerun()


def _annotations(analysed: Analysed, everything: Sequence[Analysed]) -> None:
    """Which format annotations have, and their downloads; the ZIP of all photos has the same format."""
    st.session_state.setdefault("annotations-as", state.annotations)
    kinds = list(ANNOTATION_FORMATS)
    kind = st.selectbox(
        "Annotations as", kinds, format_func=lambda key: ANNOTATION_FORMATS[key].title, key="annotations-as"
    )
    state.annotations = kind
    st.caption(ANNOTATION_FORMATS[kind].hint)
    choices: list[tuple[str, Sequence[Analysed]]] = [("This photo", [analysed])]
    if len(everything) > 1:
        choices.append((f"All {len(everything)} photos", everything))
    for label, photos in choices:
        st.download_button(
            label,
            partial(as_annotations, photos, kind),
            annotations_name(photos, kind),
            on_click="ignore",
            key=f"annotations-{label}",
            width="stretch",
        )
    if len(everything) > 1:
        st.caption("The ZIP of all photos has annotations in this format, too.")
    if any(photo.photo.orientation > 1 for photo in everything):
        st.caption("Annotations are of the photos turned upright, as EXIF says.")


def _cut_out_button(analysed: Analysed, garment: Garment) -> None:
    st.download_button(
        literal(f"{_label(garment)}, person {garment.person + 1}" if garment.person else _label(garment)),
        partial(cut_out, analysed, garment),
        f"{analysed.photo.stem}-{file_name(garment)}.png",
        "image/png",
        on_click="ignore",
        key=f"cut-{garment.person}-{garment.name}",
        width="stretch",
    )


def _label(garment: Garment) -> str:
    return " · ".join(garment_names(garment))


page()

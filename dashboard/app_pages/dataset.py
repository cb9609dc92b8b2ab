"""Dataset: what a data set holds, in numbers, and its photos with their masks.

The numbers of Clothing Co-Parsing ship with the app, its photos are shown where a folder is set; other data sets are
those that `GARMENTSCOPE_DATASETS` names.
"""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard.components.charts import page_theme, show_chart, show_downloads
from dashboard.components.viewer import viewer
from dashboard.dataset import cache
from dashboard.dataset.album import Album, folder_album, source_album
from dashboard.dataset.folder import FolderError, photos_with
from dashboard.dataset.reading import Counted, Reading, Source, pairs_table, source_names, source_statistics
from dashboard.dataset.shipped import (
    Level,
    Measure,
    Statistics,
    StatisticsError,
    flow_table,
    garments_table,
    parts_table,
    read_statistics,
    shares,
    shares_table,
    sizes_table,
)
from dashboard.dataset.state import DatasetState
from dashboard.figures.dataset import (
    flow_figure,
    flow_order,
    garments_figure,
    pairs_figure,
    shares_figure,
    sizes_figure,
)
from dashboard.shared.choice import choose
from dashboard.shared.guide import show_guide
from dashboard.shared.page_state import page_state
from dashboard.shared.text import join_names, literal
from segmodels.datasets import dataset_name
from segmodels.evaluation.results import DATASET_TITLES
from segmodels.sentences import listed
from segmodels.settings import read_settings

state = page_state(DatasetState)

GUIDE = (
    "See how often each class is worn, and how many pixels it has: *Pixels* or *Photos*, classes or original labels.",
    "*From labels to classes* shows how the 59 labels were merged into 15 classes.",
    "*Photos* shows each photo with its mask, all or those that show a class; it needs the folder of the data set.",
    "Data sets of your own are in the list of data sets once GARMENTSCOPE_DATASETS names them.",
)
OF_SOURCE = (
    "See how often each class is shown, and how many pixels it has: *Pixels* or *Photos*.",
    "*Classes in one photo* counts the photos that show two classes together.",
    "*Photos* shows each photo with its mask, all or those that show a class.",
)
PAGE = 12  # photos of the browser at a time
FAULTS = 100  # sentences on what is wrong, at most
PAIRED = 16  # classes in the figure of two classes in one photo, at most
CHOSEN_CHARACTERS = 24  # of a photo's id on its button
POLL_SECONDS = 0.2
MEASURES: dict[Measure, str] = {"pixels": "Pixels", "photos": "Photos"}
LEVELS: dict[Level, str] = {"classes": "15 classes", "labels": "59 labels"}
USES = {"Fold": "training, selection of epochs and recipes", "Test": "final report only", "None": "nothing"}
EMPTY = (
    "The numbers ship with the app; the photos do not. To browse photos, set GARMENTSCOPE_DATA to the folder of "
    "Clothing Co-Parsing (with photos/ and annotations/) and restart the app."
)


def page() -> None:
    """The whole page: numbers first, photos below."""
    sources = source_names(read_settings().datasets)
    if state.source not in sources:
        state.source = ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Dataset", width="stretch")
        show_guide(OF_SOURCE if state.source else GUIDE)
        st.html('<a class="button" href="#photos">Browse photos</a>', width="content")
    if sources:
        choose(
            "Data set",
            ["", *sources],
            state.source,
            _take,
            key="dataset-source",
            format_func=lambda each: each or DATASET_TITLES["ccp"],
            label_visibility="collapsed",
            width=420,
        )
    if state.source:
        _source(state.source, sources[state.source])
        return
    try:
        statistics = read_statistics()
    except StatisticsError as error:
        st.error(literal(str(error)))
    else:
        _numbers(statistics)
    st.subheader("Photos", anchor="photos")
    _ccp_photos()


def _take(source: str) -> None:
    state.source = source


def _source(name: str, source: Source) -> None:
    """A data set that a setting names."""
    reading = cache.reading(source)
    _wait(reading)
    counted = reading.counted
    if counted is None:
        cache.forget(source)
        st.error(literal(f"{name}, which GARMENTSCOPE_DATASETS names, cannot be shown. {reading.error}"))
        return
    statistics = source_statistics(counted)
    key = dataset_name(source[0])
    _four_numbers(statistics)
    if notes := counted.notes():
        st.caption(literal(" ".join(notes)))
    measure, background = _choose_measure()
    _shares(statistics, key, measure, "classes", background)
    with st.expander("Garments per photo"):
        _garments(statistics, key, "classes")
    with st.expander("Classes in one photo"):
        _pairs(counted, key)
    with st.expander("Widths and heights"):
        _sizes(statistics, key)
    if statistics.faults:
        with st.expander(f"What is wrong ({len(statistics.faults):,d})"):
            _faults(statistics)
    st.subheader("Photos", anchor="photos")
    _photos(source_album(f"{name} {reading.key}", counted))


def _wait(reading: Reading) -> None:
    """A bar until a data set has been read; whoever leaves finds it further on."""
    if not reading.live:
        return
    bar = st.progress(0.0, reading.words)
    while reading.live:
        bar.progress(reading.done / max(1, reading.total), reading.words)
        time.sleep(POLL_SECONDS)
    bar.empty()


def _numbers(statistics: Statistics) -> None:
    st.markdown(
        "Clothing Co-Parsing (Yang, Luo & Lin, CVPR 2014), the data set on which the embedded networks were trained "
        "and evaluated."
    )
    _four_numbers(statistics)
    measure, level, background = _choose()
    _shares(statistics, "ccp", measure, level, background)
    with st.expander("Garments per photo"):
        _garments(statistics, "ccp", level)
    with st.expander("From labels to classes"):
        _flow(statistics, measure)
    with st.expander("Widths and heights"):
        _sizes(statistics, "ccp")
    with st.expander("Training and test split"):
        _parts(statistics)


def _four_numbers(statistics: Statistics) -> None:
    labels = statistics.counts.get("labels", ())
    photos, unreadable = statistics.photos + statistics.tagged, len(statistics.faults)
    of_photos = f"{statistics.photos:,d} with a mask, {statistics.tagged:,d} with tags" if statistics.tagged else ""
    if not labels:
        of_photos = of_photos or ("with a mask" if not unreadable else "with a mask; see below what is wrong")
    garments = statistics.garments["classes"]
    mean = sum(number * photos for number, photos in garments.items()) / statistics.photos
    with st.container(horizontal=True, key="dataset-numbers"):
        for label, value, note in (
            ("Photos", f"{photos:,d}", of_photos),
            ("Labelled pixels", _millions(statistics.pixels), f"in the {statistics.photos:,d} masks"),
            (
                "Classes",
                str(len(statistics.taxonomy)),
                f"merged from {len(labels)} original labels" if labels else "with Background",
            ),
            (
                "Garments per photo",
                f"{mean:.1f}",
                "mean; with accessories, without hair and skin" if labels else "mean",
            ),
        ):
            with st.container(gap=None):
                st.metric(label, value)
                st.caption(note)


def _millions(pixels: int) -> str:
    return f"{pixels / 1e6:,.0f} M" if pixels >= 1e7 else f"{pixels / 1e6:,.1f} M" if pixels >= 1e5 else f"{pixels:,d}"


def _choose() -> tuple[Measure, Level, bool]:
    st.subheader("Class shares")
    with st.container(horizontal=True, vertical_alignment="center"):
        measure = _measure()
        level = st.segmented_control(
            "Classes or labels",
            list(LEVELS),
            default="classes",
            required=True,
            format_func=LEVELS.__getitem__,
            key="dataset-level",
            label_visibility="collapsed",
        )
        background = st.toggle("Background", key="dataset-background")
    return measure, level, background


def _choose_measure() -> tuple[Measure, bool]:
    st.subheader("Class shares")
    with st.container(horizontal=True, vertical_alignment="center"):
        return _measure(), st.toggle("Background", key="dataset-background")


def _measure() -> Measure:
    return st.segmented_control(
        "Measure",
        list(MEASURES),
        default="pixels",
        required=True,
        format_func=MEASURES.__getitem__,
        key="dataset-measure",
        label_visibility="collapsed",
    )


def _shares(statistics: Statistics, key: str, measure: Measure, level: Level, background: bool) -> None:
    bars = shares(statistics, level, measure, background=background)
    name = statistics.counts[level][0].name
    if not bars:
        st.info(f"Nothing but {name} is marked in any of the {statistics.photos:,d} photos.")
        return
    if measure == "photos":
        text = f"Number of the {statistics.photos:,d} photos with a mask that show it."
    elif background:
        text = f"Share of all labelled pixels in the {statistics.photos:,d} masks."
    else:
        text = f"Share of the labelled pixels in the {statistics.photos:,d} masks, {name} excluded."
    if level == "labels":
        text += " Labels have the colour of their class."
    if unseen := statistics.unseen(level):
        text += f" No pixel is labelled {join_names(unseen) if len(unseen) <= 5 else listed(unseen)}."
    st.caption(literal(text))
    words = ", ".join(f"{bar.count.name} {bar.share:.1%}" for bar in bars)
    figure = shares_figure(bars, measure, statistics.taxonomy, page_theme())
    title = f"{_title(key)}: {'classes' if level == 'classes' else 'labels'} by {MEASURES[measure].lower()}"
    table = partial(shares_table, statistics, level)
    show_chart(figure, f"{key}-{level}-{measure}", words, title=title, notes=[text], data=table)


def _title(key: str) -> str:
    """Name of the data set that a key of charts stands for, for the title of a picture."""
    return DATASET_TITLES.get(key, "Data set")


def _garments(statistics: Statistics, key: str, level: Level) -> None:
    photos = statistics.garments[level]
    kinds = "classes" if level == "classes" else "labels"
    if "labels" in statistics.counts:
        rest = f"Hair, skin and {'background' if level == 'classes' else 'null'} are not counted."
    else:
        others = [each.name for each in statistics.taxonomy.classes if not each.is_worn]
        rest = f"Not counted: {listed(others)}."
    text = f"Number of different {kinds} of garment and accessory in a photo, {statistics.photos:,d} photos. {rest}"
    st.caption(literal(text))
    words = ", ".join(f"{number}: {count} photos" for number, count in photos.items())
    figure = garments_figure(photos, page_theme())
    title, table = f"{_title(key)}: garments per photo", partial(garments_table, statistics)
    show_chart(figure, f"{key}-garments-{level}", words, title=title, notes=[text], data=table)


def _pairs(counted: Counted, key: str) -> None:
    rows, every = pairs_table(counted, PAIRED), pairs_table(counted)
    names, seen = list(dict.fromkeys(rows["first"])), every["first"].nunique()
    if len(names) < 2:
        st.info("Two classes beside the background are needed; the masks show fewer.")
        return
    text = "Number of photos that show both; of a class and itself, photos that show it."
    if seen > len(names):
        text += f" The {len(names)} classes that most photos show, of {seen}; the table has all."
    st.caption(literal(text))
    words = "; ".join(
        f"{row.first} and {row.second}: {row.photos}"
        for row in rows.itertuples()
        if names.index(str(row.first)) < names.index(str(row.second))
    )
    figure = pairs_figure(rows, names, page_theme())
    title, table = f"{_title(key)}: classes in the same photo", partial(pairs_table, counted)
    show_chart(figure, f"{key}-pairs", words, title=title, notes=[text], data=table)


def _sizes(statistics: Statistics, key: str) -> None:
    for side, sizes in (("Width", statistics.width), ("Height", statistics.height)):
        if sizes.smallest == sizes.largest:
            text = f"{side}: {sizes.smallest:,d} pixels in all photos."
        else:
            text = (
                f"{side}: {sizes.smallest:,d} to {sizes.largest:,d} pixels (range "
                f"{sizes.largest - sizes.smallest:,d}), median {sizes.median:g}."
            )
        text += f" {statistics.photos:,d} photos."
        st.caption(text)
        title, table = f"{_title(key)}: {side.lower()} of the photos", partial(sizes_table, statistics)
        show_chart(
            sizes_figure(side, sizes, page_theme()),
            f"{key}-{side.lower()}",
            text,
            title=title,
            notes=[text],
            data=table,
        )


def _faults(statistics: Statistics) -> None:
    more = len(statistics.faults) - FAULTS
    st.markdown("\n".join(f"- {literal(fault)}" for fault in statistics.faults[:FAULTS]))
    if more > 0:
        st.caption(f"And {more:,d} more; python -m train check-data writes all of them.")


def _parts(statistics: Statistics) -> None:
    counts = statistics.counts["classes"]
    rarest = min((each for each in counts if each.photos), key=lambda each: each.photos).name
    none = (
        " None: photos whose mask is only background." if any(part.name == "None" for part in statistics.parts) else ""
    )
    st.caption(literal(f"The split is fixed and stratified by class; {rarest} is the rarest class.{none}"))
    rows = "".join(
        f'<tr><th scope="row">{html.escape(part.name)}</th><td class="number">{part.photos:,d}</td>'
        f'<td class="number">{part.photos_by_class[rarest]:,d}</td><td>{USES[part.name.split()[0]]}</td></tr>'
        for part in statistics.parts
    )
    names = (("Part", ""), ("Photos", "number"), (rarest, "number"), ("Used for", ""))
    head = "".join(f'<th scope="col" class="{kind}">{html.escape(name)}</th>' for name, kind in names)
    st.html(f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>')
    show_downloads("Download", "ccp-split", partial(parts_table, statistics))


def _flow(statistics: Statistics, measure: Measure) -> None:
    first, *labels = statistics.counts["labels"]
    if measure == "pixels":
        width = f"share of the labelled pixels, {first.name} excluded"
    else:
        width = "share of all occurrences of a label in a photo"
    text = f"Left: the 59 labels of the masks; right: the 15 classes. Width: {width}."
    text += f" The label {first.name} becomes Background and is not shown."
    lost = [each.name for each in labels if each.class_name is None]
    text += f" {join_names(lost, 'and').capitalize()} belong to no class; no pixel has these labels." if lost else ""
    st.caption(literal(text))
    blocks = flow_order(labels, statistics.taxonomy)
    words = "; ".join(f"{name}: {', '.join(each.name for each in theirs)}" for name, theirs in blocks)
    with st.container(key="dataset-flow-picture"):
        figure = flow_figure(labels, measure, statistics.taxonomy, page_theme())
        show_chart(
            figure,
            f"ccp-flow-{measure}",
            words,
            title="Clothing Co-Parsing: from labels to classes",
            notes=[text],
            data=partial(flow_table, statistics),
        )
    with st.container(key="dataset-flow-table"):
        st.html(_flow_table(statistics, measure))
        show_downloads("Download", "ccp-flow", partial(flow_table, statistics))


def _flow_table(statistics: Statistics, measure: Measure) -> str:
    """The same as the picture, for a phone."""
    labels = statistics.counts["labels"][1:]
    blocks = flow_order(labels, statistics.taxonomy)
    whole = sum(getattr(each, measure) for _, theirs in blocks for each in theirs)
    rows = []
    for name, theirs in blocks:
        colour = statistics.taxonomy[name].colour
        entries = "".join(
            f'<tr><td>{html.escape(each.name)}</td><td class="number">{getattr(each, measure):,d}</td>'
            f'<td class="number">{_per_cent(getattr(each, measure) / whole)}</td></tr>'
            for each in theirs
        )
        total = sum(getattr(each, measure) for each in theirs)
        rows.append(
            f'<tr class="group"><th scope="rowgroup"><i style="background:{colour}"></i>{html.escape(name)}</th>'
            f'<th class="number">{total:,d}</th><th class="number">{_per_cent(total / whole)}</th></tr>{entries}'
        )
    head = f'<th scope="col">Class, its labels</th><th scope="col" class="number">{MEASURES[measure]}</th>'
    head += '<th scope="col" class="number">Share</th>'
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _ccp_photos() -> None:
    root = read_settings().data
    if root is None:
        st.info(EMPTY)
        return
    try:
        album = folder_album(root)
    except FolderError as error:
        st.error(literal(str(error)))
        return
    _photos(album)


@st.fragment
def _photos(album: Album) -> None:
    """The browser: a page of small pictures, and one photo in the viewer over the page."""
    ids, indexing = album.ids, album.indexing
    with st.container(horizontal=True, vertical_alignment="center"):
        choice = st.selectbox(
            "Photos that show",
            [None, *album.choices],
            format_func=lambda each: each or "All photos",
            key=f"dataset-choice{album.key}",
            label_visibility="collapsed",
            width=280,
        )
        masked = st.toggle("Masks", value=True, key="dataset-masked")
    if choice:
        if not indexing.done():
            with st.spinner(f"Reading {len(ids):,d} masks."):
                indexing.result()
        ids = photos_with(indexing.result(), album.choices[choice])
    if not ids:
        st.info(literal(f"No photo in this folder shows {choice}. Choose another class or label."))
        return
    pages = -(-len(ids) // PAGE)
    shown = st.pagination(pages, key=f"dataset-page-{album.key}{choice}-{pages}") if pages > 1 else 1
    some = ids[(shown - 1) * PAGE : shown * PAGE]
    count = f"{len(ids):,d} photo{'s' if len(ids) > 1 else ''} with a mask"
    order = f" show {choice}, largest share of the photo first" if choice else f", {album.order}"
    st.caption(literal(f"{count}{order}. Shown: {(shown - 1) * PAGE + 1} to {(shown - 1) * PAGE + len(some)}."))
    if indexing.done() and (unreadable := indexing.result().unreadable):
        st.caption(literal(f"{len(unreadable)} cannot be read. The first: {next(iter(unreadable.values()))}"))
    with st.container(horizontal=True, key="dataset-grid"):
        for photo_id in some:
            _cell(album, photo_id, masked, ids)


def _cell(album: Album, photo_id: str, masked: bool, ids: Sequence[str]) -> None:
    """A small picture with the button that opens it, or why there is none."""
    with st.container(gap="xxsmall"):
        try:
            picture = album.thumbnail(photo_id, masked)
        except FolderError as error:
            st.error(literal(str(error)))
            return
        st.image(picture, width="stretch", alt=f"Photo {photo_id}{' with its mask' if masked else ''}")
        label = photo_id if len(photo_id) <= CHOSEN_CHARACTERS else f"…{photo_id[-CHOSEN_CHARACTERS:]}"
        key = f"dataset-open-{album.key}{photo_id}"
        if st.button(literal(label), help="Open photo and mask", key=key, width="stretch"):
            state.photo = photo_id
            _open(album, ids)


@st.dialog("Photo and mask", width="large")
def _open(album: Album, ids: Sequence[str]) -> None:
    """One photo in the viewer, with the way to the next."""
    place = ids.index(state.photo)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Previous", disabled=place == 0, on_click=_turn, args=(ids, place - 1))
        st.button("Next", disabled=place == len(ids) - 1, on_click=_turn, args=(ids, place + 1))
        st.caption(f"{place + 1:,d} of {len(ids):,d}")
    try:
        stage = album.stage(ids[place])
    except FolderError as error:
        st.error(literal(str(error)))
        return
    viewer([stage], taxonomy=album.taxonomy, key="dataset-viewer")


def _turn(ids: Sequence[str], place: int) -> None:
    state.photo = ids[place]


def _per_cent(share: float) -> str:
    return "&lt;0.01%" if 0 < share < 0.00005 else f"{share:.2%}"


page()

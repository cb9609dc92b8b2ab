"""Archive: which archives there are, and photos into them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import streamlit as st

from dashboard.api.limits import read_limits
from dashboard.archive import cache
from dashboard.archive.alerts import alert_line, new_alerts
from dashboard.archive.care import show_care, show_past
from dashboard.archive.entry import contents_html
from dashboard.archive.intake import sort_files
from dashboard.archive.jobs import Job, begin, running
from dashboard.archive.preview import encoding_choices, first_rows
from dashboard.archive.shelf import Shelved, check_size, choose_target, claim, lists
from dashboard.archive.state import ArchiveState
from dashboard.components.upload_limit import watch_uploads
from dashboard.shared import audit, networks, sign_in
from dashboard.shared.access import may_change, readable_archives, share, sharing_of
from dashboard.shared.choice import choose
from dashboard.shared.guide import show_guide
from dashboard.shared.page_state import page_state
from dashboard.shared.text import literal
from dashboard.shared.upload_memory import forget_uploads
from dashboard.shared.visitor import is_trusted, log_name, principal, visitor, without_folders
from dashboard.trends.state import TrendsState
from segmodels.archive.decoding import encoding_name
from segmodels.archive.feeds import Feed
from segmodels.archive.fetching import Fetcher, feed_name, feed_photos, fetch_feed
from segmodels.archive.metadata import Metadata
from segmodels.archive.sentences import (
    outcome_sentence,
    progress_sentence,
    rejected_sentence,
    unmatched_sentences,
)
from segmodels.archive.sources import Found, is_table
from segmodels.archive.store import Archive, ArchiveError
from segmodels.archive.tagging import Retagged, apply_metadata
from segmodels.checkpoints.catalog import DEFAULT_MODEL
from segmodels.csv_text import csv_bytes, for_excel
from segmodels.settings import read_settings

state = page_state(ArchiveState)

LIMIT_MB = 1000  # of a file, as in .streamlit/config.toml
SECONDS = 1.0  # from one look at a running job to the next
NEW = "My photos"
SHOWN = 5
SHOWN_ALERTS = 2
FEED_SECONDS = 60  # in which a feed has to arrive
MANY_FILES = 200  # files from which a ZIP is recommended
GUIDE = (
    "Add photos, or a ZIP of them: each person becomes an outfit with garments and colours, to be counted in *Trends*.",
    "Add a CSV with dates and tags (market, season, brand) to compare groups and see what rises and falls. Without "
    "photos, it updates those that are in the archive. With addresses of photos (a product feed of Shopify or Google "
    "Merchant Center, or any CSV with a column of addresses), it fetches the photos too.",
    "Leave the page while photos are added: it goes on.",
    "*rejected.csv* lists files that could not be used; *unmatched.csv* lists rows without a photo and photos without "
    "a row, *unmatched-1.csv* and so on those of earlier CSVs.",
)
FETCH, UPDATE = "Fetch the photos", "Only update photos that are in the archive"
NOBODY, NAMED, EVERYBODY = SHARED = ("Nobody else", "Some people", "Everybody who signs in")
ORIGINS = {"own": "yours", "named": "from GARMENTSCOPE_ARCHIVE", "shipped": "comes with the app"}


def page() -> None:
    """The whole page: what there is, and the panel that adds to it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Archive", width="stretch")
        show_guide(GUIDE)
    archives = readable_archives(principal())
    with st.container(key="archive-columns"):
        left, right = st.columns([60, 40], gap="large")
    with right:
        _panel(archives)
    with left:
        _list(archives)


def _panel(archives: Sequence[Shelved]) -> None:
    """The job that runs, or what became of the last one and the form for the next."""
    others = [each for each in running() if each is not state.job]
    if state.job is None and (mine := [each for each in others if principal().controls(each.owner)]):
        state.job = mine[0]
    job = state.job
    if job and job.live:
        _watch(job)
        return
    if job:
        _outcome(job)
    elif state.retagged:
        _retagged(*state.retagged)
    if others:
        st.caption("Photos of another visitor are being added to an archive. Yours wait until that is done.")
    _form(archives)


@st.fragment(run_every=SECONDS)
def _watch(job: Job) -> None:
    """How far a job is, looked at again and again; the rest of the page stays as it is."""
    if not job.live:
        st.rerun()
    st.subheader(literal(f"Adding to {job.target.name}"))
    if job.phase == "running" and job.progress:
        share, text = job.progress.done / max(job.progress.total, 1), progress_sentence(job.progress)
    elif job.phase == "waiting":
        share, text = 0.0, "Waiting: photos are being added to another archive."
    else:
        share, text = 0.0, "Loading the network."
    if job.stopping:
        text = "Stopping after the photos that are being analysed."
    st.progress(share, text=text)
    st.button("Stop", on_click=job.stop, disabled=job.stopping)
    st.caption("You can leave this page; the photos are still added.")


def _outcome(job: Job) -> None:
    """What became of a job that is over."""
    name = job.target.name
    with st.container(key="archive-outcome"):
        if job.report:
            report = job.report
            st.markdown(f"**{literal(outcome_sentence(report, name))}**")
            if report.rejected:
                reasons = [reason for _, reason in report.rejected[:SHOWN]]
                if (more := len(report.rejected) - SHOWN) > 0:
                    reasons.append(f"And {more:,} more.")
                st.error("\n\n".join(literal(each) for each in (rejected_sentence(report), *reasons)))
            if sentences := [*unmatched_sentences(report), *report.notes]:
                st.info("\n\n".join(map(literal, sentences)))
            unmatched = [(each, "no photo") for each in report.rows_without_photo]
            unmatched += [(each, "no row") for each in report.photos_without_row]
            with st.container(horizontal=True):
                _download("rejected.csv", ("file", "reason"), report.rejected)
                _download("unmatched.csv", ("file", "missing"), unmatched)
            return
        if job.phase == "failed":
            st.error(literal(job.error))
        else:
            st.markdown(f"**Stopped. {_so_far(job)}**")
        with st.container(horizontal=True):
            if job.is_repeatable:
                st.button("Try again" if job.phase == "failed" else "Continue", on_click=_begin, args=(job.again(),))
            st.button("Discard the rest" if job.is_repeatable else "Dismiss", type="tertiary", on_click=_forget)
        if not job.is_repeatable:
            st.caption("To add the rest, choose the photos again. Those in the archive are passed over.")


def _retagged(name: str, done: Retagged) -> None:
    """What became of a CSV without photos."""
    with st.container(key="archive-outcome"):
        st.markdown(f"**{literal(f'{name}: {done}')}**")
        if done.notes:
            st.info("\n\n".join(map(literal, done.notes)))
        _download("unmatched.csv", ("file", "missing"), [(each, "no photo") for each in done.rows_without_photo])


def _so_far(job: Job) -> str:
    if job.progress is None:
        return "No photo was analysed."
    text = f"{job.progress.done:,} of {job.progress.total:,} photos are done and kept."
    return literal(text)


def _form(archives: Sequence[Shelved]) -> None:
    """What to add, and where."""
    st.subheader("Add photos")
    st.markdown(
        "Each photo becomes a row: the people in it, what each wears, and in which colours. Photos are not stored; "
        "thumbnails are, if the box below is ticked. The rows are stored on the machine that serves this page; "
        + (
            "only you can see them, until you share the archive."
            if sign_in.is_needed()
            else "everyone who opens the page can see them."
        )
    )
    names = [each.name for each in archives if may_change(principal(), each)]
    names = names or [NEW]
    target = st.selectbox(
        "Archive (choose one, or type a new name)",
        names,
        names.index(state.target) if state.target in names else 0,
        accept_new_options=True,
        key="archive-target",
    )
    files = st.file_uploader(
        f"Photos or ZIP files of photos, up to {LIMIT_MB:,} MB each, and optionally a CSV; or a product feed",
        accept_multiple_files=True,
        max_upload_size=LIMIT_MB,
        key=f"archive-upload-{state.intake}",
    )
    address = st.text_input(
        "Or the address of a product feed",
        placeholder="https://shop.example/products.json",
        max_chars=2000,
        disabled=bool(files),
        key=f"archive-address-{state.intake}",
    )
    arrived = [file.file_id for file in files]
    unreadable = _read_address("" if files else address.strip())
    if arrived != state.arrived:
        state.arrived, state.failure = arrived, ""
        state.arrivals += bool(arrived)
        state.found, state.encoding, state.day_first = None, None, None
    watch_uploads(state.arrivals, _refuse, limit=LIMIT_MB * 1024**2)
    if files:
        count = len(files)
        text = f"{count:,} file{'' if count == 1 else 's'} uploaded."
        st.caption(text if count < MANY_FILES else f"{text} So many are quicker to send as one ZIP.")
    st.caption(
        "The CSV needs a column `file_name`. A column `taken_at` holds dates; every other column becomes a tag, such "
        "as market or season. It may also be in the ZIP. Without photos, it updates those that are in the archive, or "
        "adds the photos whose web addresses it lists, as a product feed (XML or JSON) does."
    )
    metadata = None
    if files or state.fetched:
        try:
            fetched = [state.fetched] if state.fetched else []
            metadata = _understood(fetched or [(file.name, file.getvalue()) for file in files])
        except ArchiveError as error:
            unreadable = f"{error} Nothing was added."
        if metadata:
            _preview(metadata)
    feed, as_outfits = _feed() if not unreadable else (None, False)
    photos = state.found and (state.found.found.sources or state.found.found.rejected)
    csv_alone = metadata if state.found and not photos and not feed else None
    if csv_alone:
        st.caption("Dates and tags of the photos named in the CSV are replaced.")
    model = "" if csv_alone else _model(next((each for each in archives if each.name == target), None))
    thumbnails = not csv_alone and st.checkbox("Keep thumbnails in the archive", is_trusted(), key="archive-thumbnails")
    if not csv_alone:
        st.caption(
            "Each photo at 256 and 1,024 pixels, without its metadata, so that Trends can show the photos behind a "
            "number. Whoever sees the archive can see them. They are deleted with their photo."
        )
    blur = thumbnails and st.checkbox("Blur heads in thumbnails", key="archive-blur")
    if blur:
        st.caption("Only heads that the model finds are blurred; people in the background often stay recognisable.")
    if st.button("Update dates and tags" if csv_alone else "Add photos", type="primary"):
        if state.unread:  # try again
            state.address = ""
            st.rerun()
        state.refused = ()
        state.failure = unreadable or (
            _retag(target or "", csv_alone)
            if csv_alone
            else _add(target or "", metadata, model, feed, as_outfits=as_outfits, thumbnails=thumbnails, blur=blur)
        )
        if not state.failure:
            st.rerun()
    if sentences := dict.fromkeys([*state.refused, unreadable, state.failure]):
        shown = [literal(each) for each in sentences if each]
        if shown:
            st.error("\n\n".join(shown))
    st.caption(
        "To add a folder of this machine or a bucket, run `garmentscope archive ingest FOLDER --archive DIR`. "
        "To list that archive here, set `GARMENTSCOPE_ARCHIVE=DIR`."
    )


def _read_address(address: str) -> str:
    """Reads the feed at an address that is new, without its photos; gives a sentence if it could not."""
    if address != state.address:
        state.address, state.fetched, state.unread, state.failure = address, None, "", ""
        state.found, state.encoding, state.day_first = None, None, None
        anywhere, most = read_settings().private_feeds, LIMIT_MB * 1024**2
        try:
            if address:
                with st.spinner("Reading the feed."):
                    data = fetch_feed(address, anywhere=anywhere, max_bytes=most, seconds=FEED_SECONDS)
                state.fetched = (feed_name(address), data)
        except ArchiveError as error:
            state.unread = f"{error} Nothing was added."
    return state.unread


def _understood(files: Sequence[tuple[str, bytes]]) -> Metadata | None:
    """The rows of the tables among the files, and of those in ZIPs; None if there are none.

    Raises:
        ArchiveError: As `sort_files` and `Intake.read` raise it.
    """
    if state.found is None:
        state.found = sort_files(files)
    return state.found.read(encoding=state.encoding, day_first=state.day_first)


def _feed() -> tuple[Feed | None, bool]:
    """The feed whose photos are to be fetched, if any, and whether the pictures of a product are one outfit."""
    if not state.found or not state.found.feed:
        return None, False
    name = state.found.table[0] if state.found.table else ""
    if is_table(name) and st.radio("What to do with it", (FETCH, UPDATE), key=f"archive-feed-{state.intake}") == UPDATE:
        return None, False
    as_outfits = st.checkbox("The pictures of a product are one outfit", key="archive-as-outfits")
    st.caption(
        "That is one row for each product, with the highest presence of each garment in any of its pictures. At most "
        "two photos at a time are fetched from a host, and none whose address is in the archive. Those that cannot be "
        "fetched are listed in rejected.csv."
    )
    return state.found.feed, as_outfits


def _preview(metadata: Metadata) -> None:
    """The first rows as they will be stored, and what has to be chosen."""
    if metadata.entries:
        count = len(metadata.entries)
        rows = "The row" if count == 1 else f"The first of {count:,} rows"
        feed = state.found.feed if state.found else None
        if feed:
            st.caption(literal(f"{feed} Its first rows as read; nothing is fetched or stored yet."))
        else:
            st.caption(f"{rows} of the CSV as read; nothing is stored yet.")
        narrow = {metadata.name_column: st.column_config.Column(width="medium")}  # addresses are long
        st.dataframe(first_rows(metadata), hide_index=True, column_config=narrow)
    if choices := encoding_choices(metadata):
        chosen = st.selectbox(
            "Encoding of the CSV",
            choices,
            choices.index(metadata.encoding) if metadata.encoding in choices else 0,
            format_func=encoding_name,
            key=f"archive-encoding-{state.intake}-{state.arrivals}",
        )
        if chosen != metadata.encoding:
            state.encoding = chosen
            st.rerun()
    if metadata.ambiguous_dates or state.day_first is not None:
        orders = {"Day first": True, "Month first": False}
        example = metadata.ambiguous_dates[:1] or ["03/04/2024"]
        order = st.segmented_control(
            f"Order of day and month in dates such as {literal(example[0])}",
            list(orders),
            key=f"archive-dates-{state.intake}-{state.arrivals}",
        )
        if order and orders[order] != state.day_first:
            state.day_first = orders[order]
            st.rerun()
    if metadata.notes:
        st.caption("  \n".join(map(literal, metadata.notes)))


def _model(target: Shelved | None) -> str:
    """The model that is to analyse the photos; nothing to choose where there is one only.

    For an archive with photos, the one that analysed most of them is proposed: only its counts add up.
    """
    models = networks.model_names()
    if len(models) < 2:
        return models[0] if models else DEFAULT_MODEL
    name = target.name if target else ""
    if name != state.proposed_for:
        state.proposed_for = name
        usual = _analysed_by(target) if target else ""
        state.model = usual if usual in models else state.model
    state.model = state.model if state.model in models else models[0]
    choose("Model", models, state.model, _use, key="archive-model")
    st.caption("Results of different models are kept separate.")
    return state.model


def _use(model: str) -> None:
    state.model = model


def _analysed_by(target: Shelved) -> str:
    """The model that analysed most photos of an archive; empty where there are none, or it cannot be read."""
    try:
        contents = cache.archive_contents(target.location)
    except ArchiveError:
        return ""
    return max(contents, key=lambda each: each.photos).version.model if contents else ""


def _refuse(sentences: Sequence[str], alone: bool) -> None:
    state.refused = sentences
    if alone:
        state.failure = ""


def _add(
    name: str,
    metadata: Metadata | None,
    model: str,
    feed: Feed | None,
    *,
    as_outfits: bool,
    thumbnails: bool,
    blur: bool,
) -> str:
    """Begins to add the files, or the photos of a feed; gives a sentence if it cannot."""
    found = state.found.found if state.found else Found([], [])
    if feed:
        found = feed_photos(feed, Fetcher(anywhere=read_settings().private_feeds), as_outfits=as_outfits)
    try:
        if not found.sources and not found.rejected and not found.notes:
            raise ArchiveError("Choose photos or a ZIP file of photos first.")
        target = choose_target(name)
        claim(target, visitor())
        _check_owner(target)
        if not is_trusted():
            check_size(target, len(found.sources), read_limits().archive)
        load = partial(networks.segmenter, model)
        about = (target, found, metadata, load, networks.flow, visitor(), model)
        begun = Job(*about, thumbnails=thumbnails, blur=blur)
        begin(begun)
    except ArchiveError as error:
        return f"{error} Nothing was added."
    networks.warm_up(model)
    state.job, state.target, state.model, state.retagged = begun, target.name, model, None
    state.found, state.fetched, state.address = None, None, ""
    state.intake += 1
    forget_uploads(state.arrived)  # they are on disk now
    return ""


def _retag(name: str, metadata: Metadata) -> str:
    """Gives photos of an archive the dates and tags of the CSV; gives a sentence if it cannot."""
    try:
        target = choose_target(name)
        if not Archive(target.location).versions():
            raise ArchiveError(f"{target.name} holds no photos yet. Choose another archive, or add the photos too.")
        _check_owner(target)
        with st.spinner("Updating dates and tags."):
            done = apply_metadata(Archive(target.location), metadata, log_name())
    except ArchiveError as error:
        return without_folders(f"{error} Nothing was changed.".replace("Nothing was changed. Nothing", "Nothing"))
    state.retagged, state.job, state.target = (target.name, done), None, target.name
    state.found, state.fetched, state.address = None, None, ""
    state.intake += 1
    return ""


def _check_owner(target: Shelved) -> None:
    if not may_change(principal(), target):
        raise ArchiveError(f"{target.name} was made by somebody else. Choose another name.")


def _begin(job: Job) -> None:
    try:
        begin(job)
    except ArchiveError as error:
        state.failure = str(error)
        return
    state.job, state.failure = job, ""


def _forget() -> None:
    state.job = None


def _list(archives: Sequence[Shelved]) -> None:
    """Every archive with what it holds."""
    count = len(archives)
    st.subheader(f"{count:,} archive{'' if count == 1 else 's'}" if count else "No archive yet")
    if not any(each.origin != "shipped" for each in archives):
        st.caption(literal(_empty(archives)))
    show_past(state.outcomes, archives)
    for each in archives:
        with st.container(key=f"archive-entry-{each.key}", gap="small"):
            _entry(each, archives)


def _empty(archives: Sequence[Shelved]) -> str:
    for each in archives:
        if each.name == "ccp":
            try:
                photos = sum(part.photos for part in cache.archive_contents(each.location))
            except ArchiveError:
                break
            return f"The {photos:,} photos of Clothing Co-Parsing are here to explore. Your own archives appear above."
    return "Add photos, and the results appear here."


def _entry(each: Shelved, archives: Sequence[Shelved]) -> None:
    place = (
        each.location.replace(str(Path.home()), "~", 1) if each.location.startswith(str(Path.home())) else each.location
    )
    allowed = may_change(principal(), each)
    where = ORIGINS[each.origin] if allowed or each.origin != "own" else "of another visitor"
    where += f", {place}" if allowed and is_trusted() else ""
    head = f'<h3>{html.escape(each.title)}</h3><p class="where">{html.escape(where)}</p>'
    try:
        archive = Archive(each.location)
        contents = cache.archive_contents(each.location)
    except ArchiveError as error:
        st.html(f'<article class="archive">{head}</article>')
        st.error(literal(str(error)))
        return
    contents = [replace(each, left_out=tuple(map(without_folders, each.left_out))) for each in contents]
    body = "".join(map(contents_html, contents)) or "<p>No photos yet.</p>"
    if len(contents) > 1:
        body = "<p>Results of several models, kept separate.</p>" + body
    st.html(f'<article class="archive">{head}{body}</article>')
    for alert in new_alerts(each.location)[:SHOWN_ALERTS]:
        st.info(alert_line(alert))
    with st.container(horizontal=True):
        if contents and st.button("See its trends", key=f"archive-{each.key}-trends"):
            page_state(TrendsState).open_archive(each.name)
            st.switch_page("app_pages/trends.py")
        if not allowed:
            return
        if sign_in.is_needed() and each.origin == "own":
            _sharing(each)
        for name, data in lists(archive).items():
            st.download_button(
                name, for_excel(data), name, "text/csv", on_click="ignore", key=f"archive-{each.key}-{name}"
            )
    show_care(each, contents, archives, state.outcomes)


def _sharing(each: Shelved) -> None:
    """Who may see an archive, for its maker to choose."""
    now = sharing_of(each.location)
    present = EVERYBODY if now.everybody else NAMED if now.people else NOBODY
    with st.popover(f"Shared with: {present.lower()}"), st.form(f"archive-share-{each.key}", border=False):
        chosen = st.radio("Who can see this archive", SHARED, SHARED.index(present), key=f"archive-shared-{each.key}")
        people = st.text_area("E-mail addresses, one a line", "\n".join(now.people))
        if st.form_submit_button("Save"):
            if failure := _share(each, chosen, people):
                st.error(literal(failure))
            else:
                st.rerun()


def _share(each: Shelved, chosen: str, people: str) -> str:
    """Shares an archive; gives a sentence if it cannot."""
    named = people.replace(",", "\n").split() if chosen == NAMED else []
    if chosen == NAMED and not named:
        return "Name somebody to share it with."
    if wrong := [name for name in named if "@" not in name]:
        return f"{wrong[0]} is not an e-mail address."
    try:
        share(each.location, named, everybody=chosen == EVERYBODY)
    except ArchiveError as error:
        return str(error)
    audit.note("archive shared", principal(), archive=each.name, everybody=chosen == EVERYBODY, people=", ".join(named))
    return ""


def _download(name: str, columns: tuple[str, str], rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        data = csv_bytes([columns, *rows])
        st.download_button(name, for_excel(data), name, "text/csv", on_click="ignore", key=f"archive-{name}")


page()

"""The section Care of an archive on the Archive page: what its owner may do to it, and its log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd
import streamlit as st

from dashboard.archive.alerts import choose_webhook, list_raised, show_rules
from dashboard.archive.shelf import Contents, Shelved, choose_target, claim, owner_of
from dashboard.shared import audit
from dashboard.shared.access import may_change
from dashboard.shared.text import literal
from dashboard.shared.visitor import log_name, principal, visitor
from dashboard.trends.cache import forget_archives
from segmodels.archive import care
from segmodels.archive.changes import last_undoable, read_log
from segmodels.archive.check import check, mend
from segmodels.archive.merging import merge
from segmodels.archive.selection import Selection, parse_tag
from segmodels.archive.shows import parse_shows, read_shows, set_shows
from segmodels.archive.store import Archive, ArchiveError
from segmodels.archive.tagging import retag
from segmodels.files import writable_name

__all__ = ["CareOutcome", "show_care", "show_past"]

DELETE = "DELETE"
LISTED = 200  # photos of a choice that are listed
LOGGED = 100  # entries of the log that are listed
MOST_ARCHIVES = 50  # that a split makes
_LONGEST_NAME = 60


@dataclass(frozen=True)
class CareOutcome:
    """What became of the last action.

    Args:
        sentence: What was done, or why it was not.
        failed: Whether it was not done.
        file: Name and content of a file to download.
    """

    sentence: str
    failed: bool = False
    file: tuple[str, bytes] | None = None


@dataclass(frozen=True)
class _Asked:
    """An archive, and the place of its widgets and its outcome."""

    shelved: Shelved
    archive: Archive
    contents: Sequence[Contents]
    others: Sequence[Shelved]
    key: str
    outcomes: dict[str, CareOutcome]

    def act(self, work: Callable[[], CareOutcome]) -> None:
        """Does something, and keeps what became of it for the next run of the page."""
        try:
            with st.spinner("Working. You can leave; the change is completed or not made at all."):
                outcome = work()
        except (ArchiveError, OSError) as error:
            outcome = CareOutcome(str(error), failed=True)
        self.outcomes[self.shelved.location] = outcome
        st.rerun()

    def note(self, action: str, **facts: str | int | bool) -> None:
        """Writes into the audit log what was done to the archive, and forgets what was read of it before."""
        forget_archives()
        audit.note(action, principal(), archive=self.shelved.name, **facts)


def show_care(
    shelved: Shelved,
    contents: Sequence[Contents],
    others: Sequence[Shelved],
    outcomes: dict[str, CareOutcome],
) -> None:
    """The folded section of an archive that the visitor may change.

    Args:
        shelved: The archive.
        contents: What it holds.
        others: All archives of the list.
        outcomes: What became of the last action, by the location of its archive.
    """
    key = f"archive-care-{shelved.key}"
    section = st.expander("Care: delete photos, change tags, merge, check", key=key, on_change="rerun")
    if not section.open:
        return
    others = [each for each in others if each.location != shelved.location]
    asked = _Asked(shelved, Archive(shelved.location), contents, others, key, outcomes)
    with section:
        if outcome := outcomes.get(shelved.location):
            _outcome(outcome, key)
        _undo(asked)
        actions = dict(_ACTIONS)
        if shelved.origin != "own":  # a setting names its folder
            actions = {name: show for name, show in actions.items() if show not in (_rename, _delete_archive)}
        action = st.selectbox(
            "Action",
            list(actions),
            index=None,
            placeholder="Choose what to do",
            key=f"{key}-action",
            on_change=_forget,
            args=(outcomes, shelved.location),
        )
        if action:
            actions[action](asked)


def show_past(outcomes: dict[str, CareOutcome], archives: Sequence[Shelved]) -> None:
    """What became of archives that are not in the list any more, each until it is dismissed.

    Args:
        outcomes: What became of the last action, by the location of its archive.
        archives: The archives of the list.
    """
    for location in sorted(set(outcomes) - {each.location for each in archives}):
        key = f"archive-past-{hashlib.sha256(location.encode()).hexdigest()[:12]}"
        _outcome(outcomes[location], key)
        st.button("Dismiss", key=f"{key}-dismiss", type="tertiary", on_click=_forget, args=(outcomes, location))


def _forget(outcomes: dict[str, CareOutcome], location: str) -> None:
    outcomes.pop(location, None)


def _outcome(outcome: CareOutcome, key: str) -> None:
    (st.error if outcome.failed else st.success)(literal(outcome.sentence))
    if outcome.file:
        name, data = outcome.file
        st.download_button(name, data, name, "application/json", on_click="ignore", key=f"{key}-file")


def _undo(asked: _Asked) -> None:
    try:
        entry = last_undoable(asked.archive.place)
    except ArchiveError as error:
        st.error(literal(str(error)))
        return
    if entry:
        st.caption(f"Last change, {literal(str(entry))}. It can be undone until the next change.")
        if st.button("Undo", key=f"{asked.key}-undo"):

            def work() -> CareOutcome:
                undone = care.undo(asked.archive, log_name()).what
                asked.note("change undone", change=undone)
                return CareOutcome(f"Undone: {undone}.")

            asked.act(work)


def _delete_photos(asked: _Asked) -> None:
    names = st.text_area("File names, one per line; * and ? stand for any letters", key=f"{asked.key}-names", height=80)
    known = [f"{tag.name}={value}" for each in asked.contents for tag in each.tags for value, _ in tag.counts]
    tags = st.multiselect(
        "Tags (choose, or type such as market=North)",
        list(dict.fromkeys(known)),
        accept_new_options=True,
        key=f"{asked.key}-tags",
    )
    with st.container(horizontal=True):
        since = st.date_input("From", None, date(1700, 1, 1), date(2199, 12, 31), key=f"{asked.key}-since")
        until = st.date_input("To", None, date(1700, 1, 1), date(2199, 12, 31), key=f"{asked.key}-until")
    try:
        selection = Selection(
            files=[line.strip() for line in names.splitlines() if line.strip()],
            tags=list(map(parse_tag, tags)),
            since=since,
            until=until,
        )
        found = care.find_photos(asked.archive, selection, LISTED)
    except ArchiveError as error:
        st.error(literal(str(error)))
        return
    if found.photos:
        shown_ids = hashlib.sha256(" ".join(found.ids).encode()).hexdigest()[:12]  # other photos, another selection
        table = pd.DataFrame({"file_name": found.names})
        rows = st.dataframe(
            table,
            hide_index=True,
            height=240,
            on_select="rerun",
            selection_mode="multi-row",
            key=f"{asked.key}-rows-{shown_ids}",
        )["selection"]["rows"]
        if rows:
            selection = Selection(ids=[found.ids[row] for row in rows])
        shown = f"The first {LISTED:,} are listed. " if found.photos > LISTED else ""
        st.caption(f"{found.photos:,} photos meet all of this. {shown}Select rows to delete only these.")
    else:
        st.caption("Choose photos by name, tag or date." if selection.is_empty else "No photo meets all of this.")
    count = len(selection.ids) or found.photos
    for_good = st.checkbox("Privacy request: delete for good", key=f"{asked.key}-for-good")
    st.caption(
        "At once, everywhere in this archive: rows, class maps, fingerprints, the copy for undo, lines of the lists. "
        "There is no undo, also for earlier changes. You get a receipt with counts and hashes. Other archives, backups "
        "and files that you downloaded keep what they have."
        if for_good
        else "You can undo this until the next change."
    )
    if selection.is_empty or not (count or for_good):
        return
    photos = "1 photo" if count == 1 else f"{count:,} photos" if count else "for good"
    chosen = hashlib.sha256(repr((selection, found.ids)).encode()).hexdigest()[:12]
    if _typed(asked, DELETE, f"Delete {photos}", chosen):
        asked.act(lambda: _deleted(asked, selection, for_good=for_good))


def _deleted(asked: _Asked, selection: Selection, *, for_good: bool) -> CareOutcome:
    bar = st.progress(0.0)

    def progress(share: float) -> None:
        bar.progress(share, f"{share:.0%} of the parts that hold such photos are written without them.")

    deleted = care.delete_photos(asked.archive, selection, for_good=for_good, by=log_name(), progress=progress)
    asked.note("photos deleted", photos=deleted.photos, for_good=for_good)
    if not deleted.receipt:
        return CareOutcome(str(deleted))
    return CareOutcome(str(deleted), file=("receipt.json", deleted.receipt_bytes()))


def _retag(asked: _Asked) -> None:
    st.caption("A row finds its photo by file name, as when photos are added, and replaces all tags of the photo.")
    file = st.file_uploader("CSV with file_name, dates and tags", type=["csv", "tsv", "txt"], key=f"{asked.key}-csv")
    if st.button("Apply tags", key=f"{asked.key}-retag"):
        if file is None:
            asked.act(lambda: CareOutcome("Choose a CSV first.", failed=True))
            return

        def work() -> CareOutcome:
            report = retag(asked.archive, file.getvalue(), file.name, by=log_name())
            return CareOutcome(" ".join([str(report), *report.notes]))

        asked.act(work)


def _rename(asked: _Asked) -> None:
    name = st.text_input("New name", key=f"{asked.key}-name", max_chars=_LONGEST_NAME)
    if st.button("Rename", key=f"{asked.key}-rename"):

        def work() -> CareOutcome:
            target = _own(name)
            care.rename(asked.archive, Archive(target.location), log_name())
            asked.note("archive renamed", to=target.name)
            return CareOutcome(f"{asked.shelved.name} is now called {target.name}.")

        asked.act(work)


def _merge(asked: _Asked) -> None:
    if not asked.others:
        st.caption("There is no other archive.")
        return
    other = st.selectbox("Archive whose photos are added", asked.others, format_func=_title, key=f"{asked.key}-other")
    st.caption(
        f"Photos that are here already keep their tags. Saved views and alerts come along, but not the address that "
        f"alerts are sent to. {literal(other.title)} stays as it is."
    )
    if st.button("Merge", key=f"{asked.key}-merge"):

        def work() -> CareOutcome:
            merged = merge(asked.archive, Archive(other.location), log_name())
            asked.note("archive merged", source=other.name, rows=merged.rows, alerts=len(merged.alerts))
            return CareOutcome(f"From {other.title}: {merged}")

        asked.act(work)


def _split(asked: _Asked) -> None:
    tags = list(dict.fromkeys(tag.name for each in asked.contents for tag in each.tags))
    if not tags:
        st.caption("No photo has a tag.")
        return
    tag = st.selectbox("Tag", tags, key=f"{asked.key}-tag")
    values = {each: tag_ for contents in asked.contents for tag_ in contents.tags if (each := tag_.name) == tag}
    count = values[tag].values
    archives = "1 archive is" if count == 1 else f"{count:,} archives are"
    st.caption(f"{archives} made, one for each value. This archive stays as it is.")
    if st.button("Split", key=f"{asked.key}-split"):

        def target_of(value: str) -> Archive:
            target = _own(f"{asked.shelved.name} {writable_name(value)}"[:_LONGEST_NAME].strip())
            claim(target, visitor())
            if not may_change(principal(), target):  # somebody else was quicker
                raise ArchiveError(_taken(target.name))
            return Archive(target.location)

        def work() -> CareOutcome:
            if count > MOST_ARCHIVES:
                raise ArchiveError(
                    f"{tag} has {count:,} values; {MOST_ARCHIVES} archives are made at most. Use another tag."
                )
            made = care.split(asked.archive, tag, target_of, log_name())
            asked.note("archive split", tag=tag, archives=len(made))
            return CareOutcome(
                f"{len(made):,} archives were made: {', '.join(f'{v} ({n:,})' for v, n in made.items())}."
            )

        asked.act(work)


def _compact(asked: _Asked) -> None:
    st.caption("Makes few large parts of many small ones, which are read faster.")
    if st.button("Join parts", key=f"{asked.key}-compact"):

        def work() -> CareOutcome:
            before, after = care.compact(asked.archive, log_name())
            return CareOutcome(f"{before:,} parts became {after:,}." if before != after else "Nothing to join.")

        asked.act(work)


def _check(asked: _Asked) -> None:
    st.caption("Reads every byte. Nothing is changed.")
    if st.button("Check", key=f"{asked.key}-check"):

        def work() -> CareOutcome:
            health = check(asked.archive)
            said = [str(health), *map(str, health.damaged), *health.notes]
            return CareOutcome(" ".join(said), failed=not health.is_good)

        asked.act(work)
    st.caption("Mending puts what can be read in the place of damaged parts. It can be undone.")
    if st.button("Mend", key=f"{asked.key}-mend"):

        def mending() -> CareOutcome:
            health = mend(asked.archive, log_name())
            return CareOutcome(" ".join([str(health), *map(str, health.damaged)]))

        asked.act(mending)


def _delete_archive(asked: _Asked) -> None:
    st.caption("The whole archive, with its lists and its log. There is no undo.")
    if _typed(asked, asked.shelved.name, f"Delete {literal(asked.shelved.name)}"):

        def work() -> CareOutcome:
            rows = care.delete_archive(asked.archive)
            asked.note("archive deleted", rows=rows)
            return CareOutcome(f"{asked.shelved.name} was deleted, with {rows:,} rows.")

        asked.act(work)


def _shows(asked: _Asked) -> None:
    st.caption("Photos get the tag show by the days of a table: filter by it, compare shows, see them side by side.")
    shows = read_shows(asked.archive.place)
    if shows:
        table = pd.DataFrame({"name": [each.name for each in shows], "from": [each.first for each in shows]})
        st.dataframe(table.assign(to=[each.last for each in shows]), hide_index=True)
    file = st.file_uploader("CSV with name, from and to", type=["csv", "tsv", "txt"], key=f"{asked.key}-shows-csv")
    with st.container(horizontal=True):
        applied = st.button("Apply table", key=f"{asked.key}-shows")
        removed = shows and st.button("Remove table", key=f"{asked.key}-shows-remove", type="tertiary")
    if applied and file is None:
        asked.act(lambda: CareOutcome("Choose a CSV first.", failed=True))
    if applied or removed:

        def work() -> CareOutcome:
            found = parse_shows(file.getvalue()) if applied and file else []
            set_shows(asked.archive.place, found, log_name())
            asked.note("shows set", shows=len(found))
            return CareOutcome(f"{len(found):,} shows." if found else "The table of shows was removed.")

        asked.act(work)


def _alerts(asked: _Asked) -> None:
    location, name = asked.shelved.location, asked.shelved.name
    show_rules(location, [], may_change=True, key=f"{asked.key}-alerts", archive=name)
    list_raised(location)
    st.caption("Set alerts on the Trends page, or with `garmentscope archive alerts`.")
    choose_webhook(location, f"{asked.key}-alerts", name)


def _log(asked: _Asked) -> None:
    entries = read_log(asked.archive.place)
    if not entries:
        st.caption("Nothing is in the log yet.")
        return
    count = len(entries)
    st.caption(f"{count:,} {'entry' if count == 1 else 'entries'}, the newest first. Failed files are in rejected.csv.")
    for entry in entries[:LOGGED]:
        st.caption(literal(str(entry)))
    lines = "".join(json.dumps(entry.to_json(), ensure_ascii=False) + "\n" for entry in entries)
    st.download_button(
        "log.jsonl", lines, "log.jsonl", "application/x-ndjson", on_click="ignore", key=f"{asked.key}-log"
    )


def _own(name: str) -> Shelved:
    """The archive of a name among the visitor's own, for the rows of another one.

    Raises:
        ArchiveError: If it is somebody else's, or not in the app's folder.
    """
    target = choose_target(name)
    if target.origin != "own" or (owner_of(target.location) and not may_change(principal(), target)):
        raise ArchiveError(_taken(target.name))
    return target


def _taken(name: str) -> str:
    return f"There is an archive {name} already. Choose another name. Nothing was changed."


def _typed(asked: _Asked, word: str, label: str, chosen: str = "") -> bool:
    """A field for a word, and a button; whether the button was pressed after the word was typed.

    Args:
        asked: The archive.
        word: The word.
        label: Label of the button.
        chosen: Name of what the button is about: with another one it is another button.
    """
    with st.form(f"{asked.key}-typed-{chosen}", border=False, enter_to_submit=False):
        typed = st.text_input(f"Type {literal(word)} to confirm")
        pressed = st.form_submit_button(label)
    if pressed and typed != word:
        asked.outcomes.pop(asked.shelved.location, None)
        st.error(f"Nothing was deleted. Type {literal(word)} in the field first.")
    return pressed and typed == word


def _title(shelved: Shelved) -> str:
    return shelved.title


_ACTIONS: dict[str, Callable[[_Asked], None]] = {
    "Delete photos": _delete_photos,
    "Set tags from a CSV": _retag,
    "Rename": _rename,
    "Merge with another archive": _merge,
    "Split by a tag": _split,
    "Join small parts": _compact,
    "Check for damage": _check,
    "Delete the archive": _delete_archive,
    "Weeks of shows": _shows,
    "Alerts": _alerts,
    "Log": _log,
}

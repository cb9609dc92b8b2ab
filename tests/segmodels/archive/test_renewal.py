from collections.abc import Callable, Container, Generator, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_rows import VERSION, made, parts_of

from segmodels.archive.__main__ import main
from segmodels.archive.alert_rules import Rule
from segmodels.archive.alerts import add_rule, list_alerts
from segmodels.archive.care import delete_photos
from segmodels.archive.ingest import Outcome
from segmodels.archive.renewal import Renewal, renew
from segmodels.archive.rows import as_table
from segmodels.archive.selection import Selection
from segmodels.archive.sources import Found, Source
from segmodels.archive.store import Archive, ArchiveError, Version
from segmodels.taxonomy import OUTFIT_15

NEWER = Version(VERSION.taxonomy, VERSION.model, "def456")
NEWEST = Version(VERSION.taxonomy, VERSION.model, "fed654")
SKIRT = [{"name": "skirt", "probabilities": [("dress", 0.1), ("skirt", 0.9)]}]
KINDS = {"kinds": "k1"}
OLDER, LACKED = "had another revision of the weights", "lacked kinds"
PHOTOS = {name: f"the bytes of {name}".encode() for name in ("a", "b", "c")}
ID = {name: sha256(data).hexdigest() for name, data in PHOTOS.items()}


def found(*names: str) -> Found:
    """Photos that lie elsewhere than when they were ingested."""
    return Found([Source(f"moved/{name}.png", lambda name=name: PHOTOS[name]) for name in names], [])


def engine(analysed: list[str], version: Version = NEWER) -> Callable[..., Generator[Outcome, None, None]]:
    """An engine whose rows hold a skirt, and which notes the photos that it analyses."""

    def analyse(sources: Sequence[Source], known: Container[str]) -> Generator[Outcome, None, None]:
        for source in sources:
            key = sha256(source.read()).hexdigest()
            if key in known:
                yield Outcome(source.name, key)
                continue
            analysed.append(source.name)
            row = made(key, version=version, at=datetime(2025, 1, 1)).to_pylist()[0]
            yield Outcome(source.name, key, {**row, "file_name": source.name, "kinds": SKIRT, "kinds_revision": "k1"})

    return analyse


def rows(archive: Archive, version: Version) -> dict[str, tuple[str, object, dict[str, str], object]]:
    with archive.reader(version) as reader:
        table = reader.query(
            "SELECT photo_id, file_name, taken_at::DATE::VARCHAR AS day, map_entries(tags) AS tags, "
            "coalesce(kinds[1].name, '') AS kind FROM photos"
        )
    names = {key: name for name, key in ID.items()}
    return {
        names[row["photo_id"]]: (
            row["file_name"],
            row["day"],
            {entry["key"]: entry["value"] for entry in row["tags"]},
            row["kind"],
        )
        for row in table.to_dict("records")
    }


def filled(archive: Archive, version: Version = VERSION) -> None:
    """Three rows without kinds, each with a tag and a date."""
    tags, taken = {"market": "North"}, datetime(2023, 4, 5)
    archive.writer(version).append(made(*ID.values(), version=version, tags=tags, taken=taken))


def test_rows_of_an_older_revision_move_with_their_tags_and_dates_and_others_stay(archive: Archive) -> None:
    filled(archive)
    result = renew(found("a", "c"), archive, NEWER, engine([]), OUTFIT_15, gives=KINDS)
    assert result == Renewal(renewed=2, current=0, without_photo=1, reasons={OLDER: 3})
    tags = {"market": "North"}
    assert rows(archive, NEWER) == {
        "a": (f"{ID['a']}.jpg", "2023-04-05", tags, "skirt"),
        "c": (f"{ID['c']}.jpg", "2023-04-05", tags, "skirt"),
    }
    assert list(rows(archive, VERSION)) == ["b"]
    assert str(result) == (
        "2 rows brought up to date, 0 already were; 1 row stays as before, because its photo is not in the folder or "
        "cannot be read."
    )


def test_alerts_are_checked_and_what_older_rows_met_is_not_raised_again(archive: Archive) -> None:
    filled(archive)
    for rule in (
        Rule("Coat", "below", 0.5, least=1, by_value=True),
        Rule("Coat", "above", 0.5, least=1, by_value=True),
    ):
        add_rule(archive, rule)
    assert renew(found("a", "b", "c"), archive, NEWER, engine([]), OUTFIT_15).notes == [], "still below"

    def coats(sources: Sequence[Source], known: Container[str]) -> Generator[Outcome, None, None]:
        for outcome in engine([], NEWEST)(sources, known):
            yield replace(outcome, row={**(outcome.row or {}), "outfits": [1 << OUTFIT_15["Coat"].id]})

    (note,) = renew(found("a", "b", "c"), archive, NEWEST, coats, OUTFIT_15).explanations()[1:]
    assert note.startswith("Alert: Coat above 50%") and [alert.sentence for alert in list_alerts(archive.place)]


def test_a_date_names_what_it_named(archive: Archive) -> None:
    filled(archive)
    table = made(ID["a"], version=VERSION, taken=datetime(1995, 1, 1))
    place = table.schema.get_field_index("date_precision")
    year = table.set_column(place, table.schema.field(place), pa.array(["year"]))
    archive.writer(VERSION).renew(year)
    renew(found("a", "b"), archive, NEWER, engine([]), OUTFIT_15, gives=KINDS)
    with archive.reader(NEWER) as reader:
        rows_now = reader.query("SELECT photo_id, date_precision FROM photos").set_index("photo_id")["date_precision"]
    assert rows_now.dropna().to_dict() == {ID["a"]: "year"} and ID["b"] in rows_now


def test_rows_of_the_same_revision_without_kinds_are_replaced_in_place(archive: Archive) -> None:
    filled(archive)
    analysed: list[str] = []
    assert renew(found("a", "b", "c"), archive, VERSION, engine(analysed, VERSION), OUTFIT_15, gives=KINDS) == Renewal(
        renewed=3, reasons={LACKED: 3}
    )
    assert {name: row[3] for name, row in rows(archive, VERSION).items()} == dict.fromkeys("abc", "skirt")
    again = renew(found("a", "b", "c"), archive, VERSION, engine(analysed, VERSION), OUTFIT_15, gives=KINDS)
    assert again == Renewal(current=3)
    assert len(analysed) == 3  # the second time none


def test_rows_of_other_kinds_or_another_calibration_are_made_again_and_it_says_why(archive: Archive) -> None:
    filled(archive)
    renew(found("a", "b", "c"), archive, VERSION, engine([], VERSION), OUTFIT_15, gives=KINDS)
    analysed: list[str] = []
    everything = found("a", "b", "c"), archive, VERSION, engine(analysed, VERSION), OUTFIT_15
    other = renew(*everything, gives={"kinds": "k2"})
    assert other == Renewal(renewed=3, reasons={"had kinds of another fit": 3}) and len(analysed) == 3
    assert other.explanations() == ["3 had kinds of another fit."]
    assert renew(*everything, gives=KINDS) == Renewal(current=3)  # the engine of this test always makes k1
    calibrated = renew(*everything, gives=KINDS | {"presence": "p1"})
    assert calibrated.reasons == {"lacked presence": 3}
    asked = renew(*everything, gives=KINDS, everything=True)
    assert asked.renewed == 3 and asked.explanations() == ["3 had nothing older; --all asks for them."]
    assert renew(*everything).reasons == {"had kinds of another fit": 3}  # a model that has lost its kinds


def test_rows_get_embeddings_and_it_says_why(archive: Archive) -> None:
    def embedded(sources: Sequence[Source], known: Container[str]) -> Generator[Outcome, None, None]:
        for outcome in engine([], VERSION)(sources, known):
            row = outcome.row and outcome.row | {"embeddings": [b"\x7f"], "embedding_revision": "e1"}
            yield replace(outcome, row=row)

    filled(archive)
    everything = found("a", "b", "c"), archive, VERSION, embedded, OUTFIT_15
    first = renew(*everything, gives={"embeddings": "e1"})
    assert first.explanations() == ["3 lacked embeddings."]
    assert renew(*everything, gives=KINDS | {"embeddings": "e1"}) == Renewal(current=3)
    assert renew(*everything, gives=KINDS | {"embeddings": "e2"}).reasons == {"had embeddings of another fit": 3}


def test_rows_that_do_not_say_what_made_them_are_counted(archive: Archive) -> None:
    """As those of archives from before the column."""
    table = as_table([{**made(key).to_pylist()[0], "kinds": SKIRT} for key in ID.values()])
    archive.writer(VERSION).append(table)
    (part,) = parts_of(archive)
    pq.write_table(pq.read_table(part).drop_columns(["kinds_revision", "calibration_revision"]), part)
    analysed: list[str] = []
    everything = found("a", "b", "c"), archive, VERSION, engine(analysed, VERSION), OUTFIT_15
    result = renew(*everything, gives=KINDS)
    assert result == Renewal(current=3, unknown=3) and analysed == []
    (said,) = result.explanations()
    assert said.startswith("3 taken to be up to date were written before") and "--all" in said
    assert renew(*everything, gives=KINDS, everything=True).renewed == 3
    assert renew(*everything, gives=KINDS) == Renewal(current=3)


def test_a_row_that_lacks_nothing_the_model_gives_stays(archive: Archive) -> None:
    filled(archive)
    analysed: list[str] = []
    assert renew(found("a"), archive, VERSION, engine(analysed, VERSION), OUTFIT_15) == Renewal(current=3)
    assert analysed == []


def test_a_renewal_that_was_killed_before_the_old_rows_went_loses_and_doubles_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(archive)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("segmodels.archive.place.Place.remove", killed)
        with pytest.raises(KeyboardInterrupt):
            renew(found("a", "b"), archive, VERSION, engine([], VERSION), OUTFIT_15, gives=KINDS)
    assert len(parts_of(archive)) == 3, "the old part is there, and does not count"
    kinds = {name: row[3] for name, row in rows(archive, VERSION).items()}
    assert kinds == {"a": "skirt", "b": "skirt", "c": ""}
    result = renew(found("a", "b", "c"), archive, VERSION, engine([], VERSION), OUTFIT_15, gives=KINDS)
    assert result == Renewal(renewed=1, current=2, reasons={LACKED: 1})
    assert len(rows(archive, VERSION)) == 3


@pytest.mark.parametrize("version", [NEWER, VERSION])
def test_a_photo_that_is_deleted_meanwhile_stays_deleted(archive: Archive, version: Version) -> None:
    filled(archive)

    def deleting(sources: Sequence[Source], known: Container[str]) -> Generator[Outcome, None, None]:
        yield from engine([], version)(sources, known)
        with pytest.raises(ArchiveError, match="Photos are being added"):
            delete_photos(archive, Selection(ids=[ID["a"]]), for_good=True)
        delete_photos(archive, Selection(ids=[ID["a"]]))

    assert renew(found("a", "b"), archive, version, deleting, OUTFIT_15, gives=KINDS).renewed == 1
    kinds = {name: row[3] for each in archive.versions() for name, row in rows(archive, each).items()}
    assert kinds == {"b": "skirt", "c": ""}


def test_a_file_that_cannot_be_read_is_named_and_its_row_stays(archive: Archive) -> None:
    filled(archive)

    def refusing(sources: Sequence[Source], known: Container[str]) -> Generator[Outcome, None, None]:
        yield Outcome(sources[0].name, reason="moved/a.png is cut off.")

    result = renew(found("a"), archive, NEWER, refusing, OUTFIT_15, gives=KINDS)
    assert (result.renewed, result.without_photo) == (0, 3)
    assert result.rejected == [("moved/a.png", "moved/a.png is cut off.")]
    assert len(rows(archive, VERSION)) == 3


def test_another_models_archive_is_refused_in_a_sentence(archive: Archive) -> None:
    filled(archive)
    other = Version(VERSION.taxonomy, "unet", "1")
    with pytest.raises(
        ArchiveError, match=r"no rows of unet \(OUTFIT_15\) to bring up to date, but of fake \(OUTFIT_15\)\. .*--model"
    ):
        renew(found("a"), archive, other, engine([], other), OUTFIT_15)


def test_kinds_are_read_as_null_from_parts_without_the_column(archive: Archive) -> None:
    filled(archive)
    (part,) = parts_of(archive)
    pq.write_table(pq.read_table(part).drop_columns(["kinds"]), part)
    assert {row[3] for row in rows(archive, VERSION).values()} == {""}
    new = as_table([{**made("x").to_pylist()[0], "kinds": SKIRT}])
    archive.writer(VERSION).append(new)
    with archive.reader() as reader:
        named = reader.query("SELECT kinds[1].name AS kind, kinds[1].probabilities['skirt'] AS p FROM photos")
    assert sorted(named["kind"].dropna()) == ["skirt"]
    assert named["p"].max() == pytest.approx(0.9)


def test_the_command_says_what_it_did(
    folder: Path, take: Callable[..., object], archive: Archive, more_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take(folder)
    again = ["re-analyse", str(archive.place.location), "--photos", str(folder), "--model", str(more_models / "tiny")]
    assert main(again) == 0
    assert capsys.readouterr().out == "0 rows brought up to date, 6 already were.\n"
    (part,) = parts_of(archive)
    table = pq.read_table(part)
    older = table.set_column(table.column_names.index("revision"), "revision", pa.array(["older"] * 6))
    place = part.parent.with_name("tiny@older")
    part.parent.rename(place)
    pq.write_table(older, place / part.name)
    (folder / "look0.jpg").unlink()
    (folder / "look1.jpg").rename(folder / "renamed.jpg")
    assert main(again) == 0
    said = capsys.readouterr().out
    assert said.startswith("5 rows brought up to date, 0 already were; 1 row stays as before, because its photo is not")
    assert len(archive.versions()) == 2

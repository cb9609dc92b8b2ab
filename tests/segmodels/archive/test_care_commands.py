import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from archive_rows import VERSION, made, rows_of

from segmodels.archive.__main__ import main
from segmodels.archive.store import Archive

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(archive: Archive, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on an archive of three photos: exit status, standard output and standard error."""
    archive.writer(VERSION).append(made("a", "b", tags={"market": "North"}))
    archive.writer(VERSION).append(made("c", tags={"market": "South/East"}))

    def call(command: str, *arguments: str, place: str = "") -> tuple[int, str, str]:
        status = main([command, place or archive.place.location, *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def ids(archive: Archive) -> list[str]:
    return rows_of(archive, "photo_id, file_name")["photo_id"].tolist()


def test_photos_are_deleted_only_after_the_word_and_come_back(run: Run, archive: Archive) -> None:
    status, out, err = run("delete-photos", "--tag", "market=North")
    assert status == 2 and out == "2 photos: a.jpg, b.jpg\n"
    assert "Nothing was deleted" in err and "--confirm 'DELETE'" in err
    assert run("delete-photos", "--tag", "market=North", "--confirm", "delete")[0] == 2
    assert ids(archive) == ["a", "b", "c"]
    status, out, _ = run("delete-photos", "--tag", "market=North", "--confirm", "DELETE")
    assert status == 0 and out.endswith("2 photos deleted.\n") and ids(archive) == ["c"]
    assert run("undo")[1].startswith("Undone: ") and ids(archive) == ["a", "b", "c"]
    assert run("undo")[0] == 1
    log = run("log")[1].splitlines()
    assert len(log) == 2 and ": undo by " in log[0] and ": delete by " in log[1] and "photos 2" in log[1]


def test_a_person_at_the_terminal_is_asked_for_the_word(
    run: Run, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO("yes\n")
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    status, out, _ = run("delete")
    assert status == 2 and "Type archive to delete" in out and len(ids(archive)) == 3


def test_a_privacy_request_gives_a_receipt_without_names(run: Run, archive: Archive, tmp_path: Path) -> None:
    receipt = tmp_path / "receipt.json"
    word = ("--confirm", "DELETE", "--for-good", "--receipt", str(receipt))
    status, out, _ = run("delete-photos", "--file", "B.jpg", *word)
    assert status == 0 and "1 photo deleted, for good." in out and str(receipt) in out
    said = json.loads(receipt.read_text("utf-8"))
    assert (said["photos"], said["rows"], said["sha256"], said["archive"]) == (1, 1, ["b"], "archive")
    assert "b.jpg" not in receipt.read_text("utf-8")
    assert run("undo")[0] == 1 and ids(archive) == ["a", "c"]
    assert json.loads(run("log", "--json")[1])["sha256"] == ["b"]


def test_a_receipt_that_cannot_be_written_is_in_the_log(run: Run, archive: Archive, tmp_path: Path) -> None:
    for name, receipt in (("a.jpg", tmp_path / "nowhere" / "receipt.json"), ("b.jpg", tmp_path)):
        word = ("--confirm", "DELETE", "--for-good", "--receipt", str(receipt))
        status, out, error = run("delete-photos", "--file", name, *word)
        assert status == 1 and "1 photo deleted, for good." in out
        assert error.startswith(f"The receipt cannot be written to {receipt}: ")
        assert "The photos are deleted; log --json shows the receipt." in error
        assert f'"sha256": ["{name[0]}"]' in run("log", "--json")[1]
    assert ids(archive) == ["c"]


def test_an_archive_is_split_merged_renamed_and_deleted(run: Run, archive: Archive, tmp_path: Path) -> None:
    status, out, _ = run("split", "--tag", "market")
    assert status == 0
    assert out.splitlines() == [
        f"{tmp_path / 'archive North'}: 2 rows",
        f"{tmp_path / 'archive South_East'}: 1 rows",
    ]
    assert run("split", "--tag", "market")[0] == 0, "again, it finds that all is done"
    north = Archive(tmp_path / "archive North")
    assert ids(north) == ["a", "b"]
    assert run("merge", north.place.location, place=str(tmp_path / "archive South_East"))[0] == 0
    assert sorted(ids(Archive(tmp_path / "archive South_East"))) == ["a", "b", "c"]
    assert run("rename", "street")[0] == 0 and not archive.versions()
    street = Archive(tmp_path / "street")
    assert ids(street) == ["a", "b", "c"]
    assert run("delete", "--confirm", "archive", place=street.place.location)[0] == 2
    status, out, _ = run("delete", "--confirm", "street", place=street.place.location)
    assert status == 0 and "with 3 rows" in out and not (tmp_path / "street").exists()


def test_files_that_stay_are_named(run: Run, archive: Archive) -> None:
    archive.place.write("notes.txt", b"mine")
    status, out, _ = run("delete", "--confirm", "archive")
    assert status == 0 and out.endswith("Files there that are not the archive's own stay: notes.txt.\n")
    assert archive.place.files() == ["notes.txt"]


def test_tags_come_from_a_csv_and_a_wrong_one_is_a_sentence(run: Run, archive: Archive, tmp_path: Path) -> None:
    table = tmp_path / "looks.csv"
    table.write_text("file_name,market\na.jpg,West\nz.jpg,West\n")
    status, out, _ = run("retag", str(table))
    assert status == 0
    assert out.startswith("1 photo has new tags or dates, 0 had them already. 1 row matches no photo: z.jpg")
    status, _, err = run("retag", str(tmp_path / "none.csv"))
    assert status == 1 and "none.csv cannot be read: No such file" in err


def test_parts_are_joined_and_damage_is_named_and_mended(run: Run, archive: Archive) -> None:
    assert run("compact")[1] == "2 parts became 1.\n"
    assert run("compact")[1] == "Nothing to join.\n"
    assert run("check")[:2] == (0, "1 part with 3 rows: all can be read.\n")
    archive.writer(VERSION).append(made("d"))
    part = sorted(Path(archive.place.location).glob("*/*/*.parquet"))[-1]
    part.write_bytes(part.read_bytes()[:-9])
    status, out, err = run("check")
    assert status == 1 and "1 of 2 parts is damaged; 3 rows" in out
    assert f"{part.name}: it is damaged" in err and "no row of it can be saved" in err and "--mend" in err
    assert run("check", "--mend")[0] == 0
    assert run("check")[0] == 0 and ids(archive) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tag", "market"], "'market' is not a tag with a value. Write it as market=North."),
        (["--since", "May"], "'May' is not a day. Write it as 2024-03-31."),
        ([], "Choose which photos to delete"),
        (["--file", "zzz.jpg", "--confirm", "DELETE"], "No photo of archive meets these conditions."),
    ],
)
def test_what_cannot_be_deleted_is_a_sentence(run: Run, arguments: list[str], sentence: str) -> None:
    status, _, err = run("delete-photos", *arguments)
    assert status == 1 and sentence in err

import csv
import io
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from archive_rows import parts_of, rows_of
from own_classes import KIMONO, save_own
from PIL import Image
from skimage.data import astronaut
from small_memory import SmallMemory

from segmodels.archive import ingest as module
from segmodels.archive.__main__ import main
from segmodels.archive.facts import Facts, View
from segmodels.archive.ingest import Progress, Report, analyse_here, version_of
from segmodels.archive.rows import MAX_PHOTO_BYTES, as_table, bits, row_of
from segmodels.archive.sources import Found, find_sources, from_uploads, from_zip
from segmodels.archive.store import Archive, ArchiveError, Version
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.checkpoints.errors import CheckpointError
from segmodels.fingerprint import fingerprint
from segmodels.inference.kinds import Kind
from segmodels.inference.segmentation import Segmentation, measure
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15, make_taxonomy

Take = Callable[..., Report]
Photo = Callable[..., bytes]

SAME = ["photo_id", "file_name", "width", "height", "model", "revision", "taxonomy", "class_map"]


def encoded(shape: tuple[int, int]) -> bytes:
    """A black JPEG of a height and a width."""
    out = io.BytesIO()
    Image.fromarray(np.zeros((*shape, 3), np.uint8)).save(out, "JPEG")
    return out.getvalue()


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def rejected_in(archive: Archive) -> dict[str, str]:
    assert archive.place.local
    usual = csv.field_size_limit(1_000_000)
    try:
        with (archive.place.local / "rejected.csv").open(encoding="utf-8", newline="") as file:
            return {row["file"]: row["reason"] for row in csv.DictReader(file)}
    finally:
        csv.field_size_limit(usual)


def test_a_row_holds_what_the_segmenter_finds(folder: Path, take: Take, archive: Archive, segmenter: Segmenter) -> None:
    report = take(folder)
    assert (report.total, report.added, report.known, report.rejected) == (6, 6, 0, [])
    rows = rows_of(archive)
    assert rows["file_name"].tolist() == [*(f"look{n}.jpg" for n in range(4)), "more/look4.jpg", "more/look5.jpg"]
    for row in rows.to_dict("records"):
        data = (folder / row["file_name"]).read_bytes()
        expected = segmenter.segment(np.array(Image.open(io.BytesIO(data)))).to_json(row["file_name"])
        assert expected["garments"] and row["photo_id"] == sha256(data).hexdigest()
        assert [garment["class"] for garment in row["garments"]] == [
            garment["class"] for garment in expected["garments"]
        ]
        for garment, wanted in zip(row["garments"], expected["garments"], strict=True):
            assert garment["outfit_share"] == pytest.approx(wanted["outfit_share"])
            assert [dict(colour)["hex"] for colour in garment["colours"]] == [c["hex"] for c in wanted["colours"]]
            assert list(garment["box"]) == wanted["box"]
        assert list(row["outfits"]) == bits(expected["garments"], len(expected["people"]), OUTFIT_15)
        assert len(row["people"]) == len(expected["people"]) == len(row["outfits"])
        with Image.open(io.BytesIO(row["class_map"])) as image:
            assert (image.mode, max(image.size)) == ("P", 60)
    version = version_of(segmenter)
    assert rows["model"].unique().tolist() == [version.model]


def test_tone_and_fingerprint_are_those_of_the_photo(
    tmp_path: Path, take: Take, archive: Archive, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo in colour, the same in black and white, and both in a batch as on a GPU."""
    for name, mode in {"colour.png": "RGB", "grey.png": "L"}.items():
        Image.fromarray(astronaut()).resize((80, 80)).convert(mode).save(tmp_path / name)
    take(tmp_path)
    rows = rows_of(archive).set_index("file_name")
    assert rows["monochrome"].to_dict() == {"colour.png": False, "grey.png": True}
    for name, found in rows["fingerprint"].items():
        assert found == fingerprint(np.array(Image.open(tmp_path / str(name)).convert("RGB")))
    monkeypatch.setattr(Segmenter, "batch_photos", 2)
    outcomes = analyse_here(segmenter, find_sources(tmp_path).sources, ())
    found = [(row["monochrome"], row["fingerprint"]) for outcome in outcomes if (row := outcome.row)]
    assert found == list(rows[["monochrome", "fingerprint"]].itertuples(index=False, name=None))


def test_new_photos_that_look_like_others_are_said(folder: Path, take: Take, archive: Archive) -> None:
    assert not any("near-duplicate" in note for note in take(folder).notes)
    with Image.open(folder / "look1.jpg") as image:
        image.save(folder / "again.png")
    report = take(folder)
    assert report.added == 1 and report.notes[-1] == (
        "1 new photo is a near-duplicate of others in the archive: again.png. Trends counts one photo of each group."
    )
    assert not any("near-duplicate" in note for note in take(folder).notes), "nothing is new"


def test_bits_are_class_ids_by_person() -> None:
    garments = [{"class": "Coat", "person": 0}, {"class": "Bag", "person": 1}, {"class": "Coat", "person": 1}]
    assert bits(garments, 3, OUTFIT_15) == [1 << 2, 1 << 2 | 1 << 1, 0]


def test_the_same_folder_again_adds_nothing(folder: Path, take: Take, archive: Archive) -> None:
    take(folder)
    before = {part: part.read_bytes() for part in parts_of(archive)}
    again = take(folder)
    assert (again.added, again.known, again.retagged) == (0, 6, 0)
    assert {part: part.read_bytes() for part in parts_of(archive)} == before


def test_dates_come_from_the_csv_else_exif_else_are_none(
    tmp_path: Path, photo: Photo, take: Take, archive: Archive
) -> None:
    places = {"csv.jpg": "2020:01:01 10:00:00", "exif.jpg": "2021:06:07 08:09:10", "none.jpg": ""}
    places |= {"zero.jpg": "0000:00:00 00:00:00", "ahead.jpg": "2999:01:01 00:00:00"}
    for seed, (name, taken) in enumerate(places.items()):
        (tmp_path / name).write_bytes(photo(seed, taken))
    report = take(tmp_path, "photo,taken_at,market\ncsv.jpg,2024-03-31T09:00+02:00,North\nexif.jpg,,South\n")
    rows = rows_of(archive, "file_name, taken_at, tags").set_index("file_name")
    assert rows["taken_at"]["csv.jpg"] == datetime(2024, 3, 31, 9)
    assert rows["taken_at"]["exif.jpg"] == datetime(2021, 6, 7, 8, 9, 10)
    assert rows["taken_at"].isna().sum() == 3
    assert dict(rows["tags"]["exif.jpg"]) == {"market": "South"} and dict(rows["tags"]["none.jpg"]) == {}
    assert "3 of 5 new photos have no date. They are counted everywhere except on the time axis." in report.notes
    assert "The camera's date is in the future and was not used: ahead.jpg." in report.notes
    assert report.photos_without_row == ["ahead.jpg", "none.jpg", "zero.jpg"]


def test_new_tags_of_a_known_photo_replace_the_old(folder: Path, take: Take, archive: Archive) -> None:
    take(folder, "photo,market,brand\nlook0.jpg,North,A\nlook1.jpg,North,A\n")
    report = take(folder, "photo,market,date\nlook0.jpg,South,2024-03-31\nabsent.jpg,West,\n")
    assert (report.added, report.known, report.retagged) == (0, 6, 1)
    assert report.rows_without_photo == ["absent.jpg"] and len(report.photos_without_row) == 5
    rows = rows_of(archive)
    assert [dict(tags) for tags in rows["tags"][:3]] == [{"market": "South"}, {"market": "North", "brand": "A"}, {}]
    assert rows["taken_at"][0] == datetime(2024, 3, 31)
    assert take(folder).retagged == 0, "no CSV says nothing about tags"


def test_bad_files_are_listed_and_the_others_are_in(folder: Path, take: Take, archive: Archive) -> None:
    (folder / "letter.jpg").write_text("a letter to the tailor, much longer than any header")
    whole = (folder / "look0.jpg").read_bytes()
    (folder / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("no photo by its name")
    report = take(folder)
    assert (report.total, report.added) == (9, 6)
    listed = rejected_in(archive)
    assert sorted(listed) == ["empty.png", "letter.jpg", "torn.jpg"]
    assert "text, not a photo" in listed["letter.jpg"] and "cut off" in listed["torn.jpg"]
    (folder / "letter.jpg").write_bytes(whole + b"\0")
    assert take(folder).added == 1
    assert sorted(rejected_in(archive)) == ["empty.png", "torn.jpg"], "each once, and no longer what was mended"


def test_names_may_repeat_in_folders_and_one_photo_may_have_two_names(
    tmp_path: Path, photo: Photo, take: Take, archive: Archive
) -> None:
    for name, seed in {"a/look.jpg": 1, "b/look.jpg": 2, "b/copy.jpg": 1}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(photo(seed))
    report = take(tmp_path, "photo,market\nlook.jpg,North\nb/copy.jpg,South\n")
    assert (report.added, report.doubled) == (2, 1)
    rows = rows_of(archive)
    assert rows["file_name"].tolist() == ["a/look.jpg", "b/look.jpg"]
    assert [dict(tags) for tags in rows["tags"]] == [{"market": "South"}, {}], "the row of its other name"
    assert any("Several photos are called look.jpg" in note for note in report.notes)
    again = take(tmp_path, "photo,market\na/look.jpg,East\nb/copy.jpg,South\n")
    assert (again.added, again.known, again.doubled, again.retagged) == (0, 2, 1, 1)
    assert any("with other tags in the CSV: b/copy.jpg" in note for note in again.notes)


def test_an_empty_folder_and_none_are_sentences(tmp_path: Path, take: Take, photo: Photo) -> None:
    with pytest.raises(ArchiveError, match="There is no photo to add"):
        take(tmp_path)
    with pytest.raises(ArchiveError, match="nowhere does not exist"):
        find_sources(tmp_path / "nowhere")
    (tmp_path / "look.jpg").write_bytes(photo())
    with pytest.raises(ArchiveError, match=r"look\.jpg is a file\. Name the folder"):
        find_sources(tmp_path / "look.jpg")


def test_a_zip_a_folder_and_uploads_give_the_same_rows(
    folder: Path, tmp_path: Path, take: Take, archive: Archive
) -> None:
    take(folder)
    expected = rows_of(archive)[SAME]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}
    (tmp_path / "looks.zip").write_bytes(packed(files))
    for other in (find_sources(tmp_path / "looks.zip"), from_uploads([("looks.zip", packed(files))])):
        assert take(other).known == 6
        for part in parts_of(archive):
            part.unlink()
        assert take(other).added == 6
        assert rows_of(archive)[SAME].equals(expected)


def test_uploads_of_one_name_stay_apart(photo: Photo) -> None:
    found = from_uploads([("look.jpg", photo(1)), ("look.jpg", photo(2)), ("a.zip", packed({"look.jpg": photo(3)}))])
    assert [source.name for source in found.sources] == ["look.jpg", "look (2).jpg", "look (3).jpg"]
    assert [source.read() for source in found.sources] == [photo(1), photo(2), photo(3)]


def test_a_zip_cannot_climb_hide_or_repeat(photo: Photo, take: Take, archive: Archive, tmp_path: Path) -> None:
    names = ["../climb.jpg", "/root.jpg", "C:\\disk.jpg", "good/look.jpg", "__MACOSX/._look.jpg", ".hidden/x.jpg"]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive_file:
        for name in [*names, "read me.txt"]:
            archive_file.writestr(zipfile.ZipInfo(name), photo())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive_file.writestr(zipfile.ZipInfo("good/look.jpg"), photo())
    before = sorted(tmp_path.rglob("*.jpg"))
    report = take(from_zip(out.getvalue(), "looks.zip"))
    assert (report.added, len(report.rejected)) == (1, 4)
    listed = rejected_in(archive)
    for name in ("../climb.jpg", "/root.jpg", "C:/disk.jpg"):
        assert "points outside of looks.zip" in listed[name]
    assert "twice" in listed["good/look.jpg"]
    assert sorted(tmp_path.rglob("*.jpg")) == before and not Path("/root.jpg").exists()


def test_zip_bombs_are_refused(take: Take, photo: Photo, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    big = packed({"bomb.jpg": bytes(MAX_PHOTO_BYTES + 1000), "look.jpg": photo()})
    assert len(big) < MAX_PHOTO_BYTES / 500
    report = take(from_zip(big, "big.zip"))
    assert report.added == 1 and "more than the 100 MB allowed" in rejected_in(archive)["bomb.jpg"]
    monkeypatch.setattr("segmodels.archive.sources._BOMB_BYTES", 1000)
    with pytest.raises(ArchiveError, match=r"big\.zip would unpack to 2 files of 0\.1 GB"):
        from_zip(big, "big.zip")
    with pytest.raises(ArchiveError, match="is a ZIP whose end"):
        from_zip(big[:5000], "big.zip")


def test_a_member_that_is_damaged_or_locked_is_listed(photo: Photo, take: Take, archive: Archive) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("torn.jpg", photo(1))
        file.writestr("look.jpg", photo(2))
    data = bytearray(out.getvalue())
    data[200:220] = bytes(20)  # inside the first member
    report = take(from_zip(bytes(data), "looks.zip"))
    assert report.added == 1 and "torn.jpg is damaged in the ZIP" in rejected_in(archive)["torn.jpg"]
    for at in (data.find(b"PK\x01\x02") + 8, 6):
        data[at] |= 1  # encrypted, says the header
    found = from_zip(bytes(data), "looks.zip")
    assert found.rejected[0].reason == "torn.jpg is encrypted. Pack it without a password."


def test_a_list_with_a_field_longer_than_python_reads_is_kept(photo: Photo, take: Take, archive: Archive) -> None:
    long = "x" * 200_000
    archive.place.write("rejected.csv", f"file,reason,at\n{long}.jpg,{long},2024\n".encode())
    report = take(from_uploads([("look.jpg", photo(1)), ("torn.jpg", b"x")]))
    assert report.added == 1
    assert set(rejected_in(archive)) == {f"{long}.jpg", "torn.jpg"}


def test_progress_counts_up_to_all_and_stopping_keeps_what_is_done(folder: Path, take: Take, archive: Archive) -> None:
    seen: list[Progress] = []

    def stop(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(folder, progress=stop)
    assert len(rows_of(archive)) == 3
    assert seen[-1].added == 3 and seen[-1].photos_a_second > 0
    left = seen[-1].seconds_left
    assert left is not None and left == pytest.approx(3 / seen[-1].photos_a_second)
    seen.clear()
    report = take(folder, progress=seen.append)
    assert (report.added, report.known) == (3, 3)
    assert [progress.done for progress in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[-1].seconds_left == 0


def test_one_photo_that_cannot_be_analysed_does_not_stop_the_others(
    folder: Path, take: Take, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyse = module.analyse

    def fail(segmenter: Segmenter, name: str, data: bytes, notes: list[str]) -> dict[str, object]:
        if name == "look2.jpg":
            raise RuntimeError("out of memory\nat line 7")
        return analyse(segmenter, name, data, notes)

    monkeypatch.setattr(module, "analyse", fail)
    assert take(folder).added == 5
    assert rejected_in(archive) == {"look2.jpg": "look2.jpg could not be analysed: out of memory."}


@pytest.fixture
def batched(more_models: Path, monkeypatch: pytest.MonkeyPatch) -> Segmenter:
    """A segmenter that asks for batches of four, as one on a GPU asks for some."""
    monkeypatch.setattr(Segmenter, "batch_photos", 4)
    return load_segmenter(str(more_models / "tiny"))


def analysed(segmenter: Segmenter, place: Path, known: set[str] | None = None) -> list[tuple[str, str, object]]:
    """Name, reason and garments of each photo, in the order in which they come."""
    outcomes = analyse_here(segmenter, find_sources(place).sources, known or set())
    return [(outcome.name, outcome.reason, (outcome.row or {}).get("garments")) for outcome in outcomes]


def test_batches_give_what_photos_give_one_by_one(
    folder: Path, segmenter: Segmenter, batched: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "look6.jpg").write_bytes(b"no photo")
    (folder / "look7.jpg").write_bytes((folder / "look2.jpg").read_bytes())
    key = sha256((folder / "look1.jpg").read_bytes()).hexdigest()
    together = analysed(batched, folder, {key})
    monkeypatch.setattr(Segmenter, "batch_photos", 1)
    assert together == analysed(segmenter, folder, {key})
    assert [name for name, reason, _ in together if reason] == ["look6.jpg"]
    assert [name for name, reason, garments in together if not reason and garments is None] == ["look1.jpg"]
    assert sum(bool(garments) for _, _, garments in together) == 6


def test_batches_are_as_large_as_asked_and_as_memory_holds(
    folder: Path, batched: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    segment_batch = Segmenter.segment_batch

    def note(self: Segmenter, photos: list[np.ndarray]) -> list[Segmentation]:
        sizes.append(len(photos))
        return segment_batch(self, photos)

    monkeypatch.setattr(Segmenter, "segment_batch", note)
    whole = analysed(batched, folder)
    assert sorted(sizes) == [2, 4]
    sizes.clear()
    monkeypatch.setattr(module, "_BATCH_PIXELS", 2 * 40 * 60 - 1)  # two photos have more
    assert analysed(batched, folder) == whole
    assert sorted(size for size in sizes if size) == [2, 2, 2]


def test_a_batch_that_does_not_fit_is_analysed_in_parts(folder: Path, batched: Segmenter) -> None:
    expected = analysed(batched, folder)
    networks = batched.networks
    batched.networks = [network := SmallMemory(networks[0], 2)]
    try:
        assert analysed(batched, folder) == expected
    finally:
        batched.networks = networks
    assert sorted(network.batches) == [2, 2, 2, 4]
    assert all(garments for _, _, garments in expected)


def test_one_photo_that_breaks_its_batch_harms_no_other(
    folder: Path, batched: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = analysed(batched, folder)
    (folder / "look2.jpg").write_bytes(encoded((30, 70)))
    segment_batch = Segmenter.segment_batch

    def fail(self: Segmenter, photos: list[np.ndarray]) -> list[Segmentation]:
        if any(photo.shape[:2] == (30, 70) for photo in photos):
            raise IndexError("list index out of range\nat line 7")
        return segment_batch(self, photos)

    monkeypatch.setattr(Segmenter, "segment_batch", fail)
    found = analysed(batched, folder)
    reason = "look2.jpg could not be analysed: list index out of range."
    assert found == [
        ("look2.jpg", reason, None) if name == "look2.jpg" else one for one in expected for name in one[:1]
    ]


def test_without_a_detector_a_batch_stops_the_ingest(
    folder: Path, batched: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Segmenter, photos: list[np.ndarray]) -> list[Segmentation]:
        raise CheckpointError("The person detector cannot be had.")

    monkeypatch.setattr(Segmenter, "segment_batch", fail)
    with pytest.raises(CheckpointError, match="cannot be had"):
        analysed(batched, folder)


def test_two_ingests_at_once_say_so_and_count_each_photo_once(folder: Path, take: Take, archive: Archive) -> None:
    reports: list[Report] = []
    meet = threading.Barrier(2)

    def run() -> None:
        def wait(progress: Progress) -> None:
            if progress.done == 1:
                meet.wait(60)

        reports.append(take(folder, "photo,market\nlook1.jpg,North\n", progress=wait))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.added for report in reports) == 6
    assert [report.added + report.known for report in reports] == [6, 6]
    assert sum("Another ingest was writing" in " ".join(report.notes) for report in reports) == 1
    rows = rows_of(archive)
    assert len(rows) == rows["photo_id"].nunique() == 6 and dict(rows["tags"][1]) == {"market": "North"}


def test_parts_are_written_as_it_goes(
    folder: Path, take: Take, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_PHOTOS", 2)
    counts: list[int] = []
    take(folder, progress=lambda progress: counts.append(len(parts_of(archive))))
    assert counts == [0, 1, 1, 2, 2, 3]


def test_a_full_disk_is_a_sentence_and_what_is_in_stays(
    folder: Path, take: Take, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/dev/full` takes the place of a part once the first is written."""
    monkeypatch.setattr(module, "PART_PHOTOS", 2)
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    opened = Path.open

    def fill(path: Path, *arguments: object, **options: object) -> object:
        is_second = ".parquet." in path.name and parts_of(archive)
        return opened(full if is_second else path, *arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fill)
        with pytest.raises(ArchiveError, match="No space is left in .*do the same again"):
            take(folder)
    assert len(rows_of(archive)) == 2
    assert not list(parts_of(archive)[0].parent.glob("*.unfinished"))
    assert (take(folder).added, len(rows_of(archive))) == (4, 6)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make a small disk")
def test_a_disk_that_is_really_full(
    folder: Path, tmp_path: Path, segmenter: Segmenter, capsys: pytest.CaptureFixture[str], more_models: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("this machine mounts nothing")
    command = ["ingest", str(folder), "--archive", str(disk / "archive"), "--model", str(more_models / "tiny")]
    try:
        (disk / "filler").write_bytes(bytes(60 * 1024))
        assert main(command) == 1
        assert "No space is left in" in capsys.readouterr().err
        (disk / "filler").unlink()
        assert main(command) == 0
        assert len(rows_of(Archive(disk / "archive"))) == 6
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_command_line_says_what_happened(
    folder: Path, tmp_path: Path, more_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "letter.jpg").write_text("a letter to the tailor, much longer than any header")
    (tmp_path / "looks.csv").write_text("photo,market\nlook0.jpg,North\nabsent.jpg,South\n")
    where = ["--archive", str(tmp_path / "archive")]
    command = ["ingest", str(folder), *where, "--model", str(more_models / "tiny")]
    assert main([*command, "--metadata", str(tmp_path / "looks.csv")]) == 1
    said = capsys.readouterr()
    assert "6 photos added, 0 there already" in said.out
    assert "Rows of the CSV without a photo: absent.jpg" in said.out
    assert "Photos without a row in the CSV: letter.jpg, look1.jpg" in said.out
    unmatched = (tmp_path / "archive" / "unmatched.csv").read_text().splitlines()
    assert unmatched[:3] == ["file,missing", "absent.jpg,no photo", "letter.jpg,no row"] and len(unmatched) == 8
    assert "7 of 7 photos" in said.err and "letter.jpg is text, not a photo" in said.err
    assert main(["show", where[-1]]) == main(["show", *where]) == 0
    assert "6 photos" in capsys.readouterr().out
    assert main([*command, "--metadata", str(tmp_path / "absent.csv")]) == 1
    assert main(["ingest", str(tmp_path / "nowhere"), *where]) == 1
    said = capsys.readouterr()
    assert "absent.csv cannot be read: No such file" in said.err and "nowhere does not exist" in said.err
    with pytest.raises(SystemExit, match="2"):
        main(["ingest"])


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "segmodels.archive", "make-up", "50", "--archive", str(tmp_path / "a")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert (done.returncode, done.stdout) == (0, "50 made-up photos added.\n"), done.stderr


def test_found_nothing_but_refused_files_is_no_error(take: Take, archive: Archive) -> None:
    report = take(from_zip(packed({"../x.jpg": b"x"}), "looks.zip"))
    assert (report.total, report.added, len(report.rejected)) == (1, 0, 1)
    assert isinstance(from_uploads([]), Found) and list(rejected_in(archive)) == ["../x.jpg"]


def test_a_zip_that_is_not_there_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"^looks\.zip cannot be read: No such file or directory\.$"):
        from_zip(tmp_path / "looks.zip", "looks.zip")


def test_dates_keep_what_they_name_and_a_later_csv_replaces_it(folder: Path, take: Take, archive: Archive) -> None:
    take(folder, "photo;date;Market\nlook0.jpg;SS24;Milan\nlook1.jpg;1995;Milan\nlook2.jpg;2024-03-05;Milan\n")

    def dated() -> list[tuple[str, str | None]]:
        rows = rows_of(archive).sort_values("file_name").head(3)
        named = [each if isinstance(each, str) else None for each in rows.date_precision]
        return [(f"{at:%Y-%m-%d}", each) for at, each in zip(rows.taken_at, named, strict=True)]

    assert dated() == [("2024-03-01", "fashion season"), ("1995-01-01", "year"), ("2024-03-05", None)]
    report = take(folder, "photo;date;market\nlook0.jpg;2024-03-01;MILAN\nlook1.jpg;1995;Milan\n")
    assert dated()[0] == ("2024-03-01", None)
    assert report.retagged == 1
    assert rows_of(archive).sort_values("file_name")["tags"].iloc[0] == {"Market": "Milan"}
    assert "Tags were spelt as in the archive: market to Market, MILAN to Milan." in report.notes


def test_how_a_photo_was_read_is_in_the_report(folder: Path, take: Take) -> None:
    data = (folder / "look0.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[:-2])
    report = take(folder)
    assert report.rejected == []
    assert "cut.jpg lacks its end marker; all of its rows could be read." in report.notes


def test_a_csv_in_the_zip_and_the_choices_of_the_command(
    folder: Path, tmp_path: Path, archive: Archive, more_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "photo;date;city\nlook0.jpg;03/04/2024;上海\n".encode("gbk")
    files = {"look0.jpg": (folder / "look0.jpg").read_bytes(), "looks.csv": table}
    (tmp_path / "looks.zip").write_bytes(packed(files))
    place = [
        "ingest",
        str(tmp_path / "looks.zip"),
        "--archive",
        str(archive.place.location),
        "--model",
        str(more_models / "tiny"),
    ]
    assert main(place) == 0
    said = capsys.readouterr().out
    assert "run the same command with --dates day-first or --dates month-first" in said
    assert "GBK (simplified Chinese): 上海" in said and "--encoding" in said
    assert rows_of(archive)["taken_at"].isna().all()
    assert main([*place, "--dates", "day-first", "--encoding", "gbk"]) == 0
    (row,) = rows_of(archive).to_dict("records")
    assert (f"{row['taken_at']:%Y-%m-%d}", row["tags"]) == ("2024-04-03", {"city": "上海"})


# --- Classes of one's own ---------------------------------------------------------------------------------------------


def test_an_archive_keeps_the_taxonomy_of_its_rows(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path / "models"))
    save_own(tmp_path / "models" / "own")
    place = tmp_path / "archive"
    arguments = ["ingest", str(folder), "--archive", str(place), "--model", "own"]
    assert main(arguments) == 0, capsys.readouterr().err
    archive = Archive(place)
    (version,) = archive.versions()
    assert version.taxonomy == "kimono shop"
    (file,) = place.rglob("taxonomy.json")
    assert file.parent == place / version.folder
    written = file.stat().st_mtime_ns
    assert archive.taxonomy(version) == KIMONO
    with archive.reader() as reader:
        facts = Facts(reader, archive.taxonomy(version))
        areas = facts.areas(View(duplicates=True))
        held = {name: facts.size(View(duplicates=True, garments=(name,))).outfits for name in KIMONO.names[1:]}
    rows = [[garment["class"] for garment in row] for row in rows_of(archive)["garments"]]
    worn = {name for row in rows for name in row}
    assert worn and worn <= {"Kimono", "Obi <sash>", "Tote bag"}
    assert {KIMONO.names[number] for number in areas["class"]} == worn
    assert held == {name: sum(name in row for row in rows) for name in KIMONO.names[1:]}, "one person a photo"
    assert main(arguments) == 0 and file.stat().st_mtime_ns == written, "it is there already"


def test_rows_of_classes_that_changed_are_not_mixed(archive: Archive) -> None:
    version = Version("kimono shop", "own", "1")
    archive.keep_taxonomy(version, KIMONO)
    blue = make_taxonomy("kimono shop", KIMONO.names, None, {"Kimono": "#0000FF"})
    archive.keep_taxonomy(version, blue)
    assert archive.taxonomy(version) == blue, "another colour is no other class"
    with pytest.raises(ArchiveError, match="with other classes, groups or order. Choose another folder"):
        archive.keep_taxonomy(version, make_taxonomy("kimono shop", [*KIMONO.names, "Fan"]))
    assert archive.taxonomy(version) == blue


def test_a_taxonomy_that_nobody_knows(archive: Archive) -> None:
    version = Version("kimono shop", "own", "1")
    assert archive.taxonomy(Version("OUTFIT_15", "fpn", "1")) is OUTFIT_15
    with pytest.raises(ArchiveError, match="has classes that this app does not know. Update the app."):
        archive.taxonomy(version)
    archive.place.write(f"{version.folder}/taxonomy.json", b"{")
    with pytest.raises(ArchiveError, match="taxonomy.json is damaged: .*Ingest a photo with own again"):
        archive.taxonomy(version)
    archive.keep_taxonomy(version, KIMONO)
    assert archive.taxonomy(version) == KIMONO, "which writes it anew"
    archive.keep_taxonomy(Version("OUTFIT_15", "fpn", "1"), OUTFIT_15)
    assert [name for name in archive.place.files() if "OUTFIT_15" in name] == [], "everybody knows it"


def test_more_classes_than_rows_can_hold(folder: Path, archive: Archive, segmenter: Segmenter) -> None:
    names = [f"thing {number}" for number in range(64)]
    for count in (63, 64):
        taxonomy = make_taxonomy("many", names[:count])
        version = Version("many", "own", str(count))
        if count == 63:
            archive.keep_taxonomy(version, taxonomy)
            continue
        with pytest.raises(ArchiveError) as caught:
            module.ingest(find_sources(folder), archive, version, lambda *_: iter(()), taxonomy=taxonomy)  # type: ignore[arg-type, return-value]
        assert str(caught.value) == (
            "many has 64 classes, and the rows of an archive hold 63 at most. Use a model with fewer classes."
        )
    assert archive.versions() == []


def test_a_row_holds_the_kinds_of_its_garments() -> None:
    class_map = np.zeros((20, 10), np.uint8)
    class_map[2:10], class_map[10:18] = OUTFIT_15["Dress"].id, OUTFIT_15["Hat"].id
    photo = np.full((20, 10, 3), 90, np.uint8)
    people, garments = measure(photo, OUTFIT_15, class_map, np.full_like(class_map, 200))
    found = Segmentation(OUTFIT_15, class_map, np.full_like(class_map, 200), people, garments, "m", "r", 0.1)
    assert row_of(found, photo, "look.jpg", b"")["kinds"] is None
    shares = {"dress": 0.4, "skirt": 0.6}
    likely = tuple(replace(each, kind_probabilities=shares) if each.name == "Dress" else each for each in garments)
    sure = tuple(replace(each, kind=Kind("skirt", 0.6)) if each.name == "Dress" else each for each in likely)
    for some, name in ((likely, None), (sure, "skirt")):
        row = row_of(replace(found, garments=some, has_kinds=True), photo, "look.jpg", b"")
        table = as_table([row])
        of = {garment["class"]: kind for garment, kind in zip(row["garments"], row["kinds"], strict=True)}
        assert of == {"Hat": None, "Dress": {"name": name, "probabilities": [("dress", 0.4), ("skirt", 0.6)]}}
        (kinds,) = table["kinds"].to_pylist()
        assert [each and each["name"] for each in kinds].count(name) == (2 if name is None else 1)

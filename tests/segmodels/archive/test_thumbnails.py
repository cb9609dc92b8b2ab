import io
from collections.abc import Callable, Container, Generator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from archive_rows import VERSION, made
from PIL import Image

from segmodels.archive.__main__ import main
from segmodels.archive.care import delete_archive, delete_photos, undo
from segmodels.archive.check import check, mend
from segmodels.archive.ingest import Outcome
from segmodels.archive.merging import merge
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.selection import Selection
from segmodels.archive.sources import Source, from_uploads
from segmodels.archive.store import Archive
from segmodels.archive.thumbnails import (
    LARGE,
    SMALL,
    has_thumbnails,
    keeping_thumbnails,
    read_thumbnail,
    remove_thumbnails,
    thumbnail_name,
    thumbnails_of,
    write_thumbnails,
)
from segmodels.photo import PhotoError


def photo(width: int = 1500, height: int = 1200, number: int = 0) -> bytes:
    """A JPEG that lies on its side and says where it was taken: its left half is red, the other blue."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 200
    pixels[:, width // 2 :, 2] = 200 - 10 * number
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 29.0)}
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", exif=exif, comment=b"secret", quality=90)
    return out.getvalue()


def test_thumbnails_are_small_upright_and_without_metadata(tmp_path: Path) -> None:
    data, place = photo(), Place(tmp_path / "archive")
    key = sha256(data).hexdigest()
    assert read_thumbnail(place, key, SMALL) is None
    write_thumbnails(place, key, data)
    for side, size in ((SMALL, (205, 256)), (LARGE, (819, 1024))):
        file = read_thumbnail(place, key, side)
        assert file and b"EXIF" not in file and b"ICCP" not in file and b"secret" not in file
        assert (tmp_path / "archive" / thumbnail_name(key, side)).read_bytes() == file
        with Image.open(io.BytesIO(file)) as image:
            assert (image.format, image.size) == ("WEBP", size) and not image.getexif()
            pixels = np.asarray(image)
        assert pixels[10, 100, 0] > 150 and pixels[-10, 100, 2] > 150, "what was left is on top"
    small = photo(90, 60)
    write_thumbnails(place, sha256(small).hexdigest(), small)
    with Image.open(io.BytesIO(read_thumbnail(place, sha256(small).hexdigest(), LARGE) or b"")) as image:
        assert image.size == (60, 90), "a small photo is not enlarged"
    assert thumbnails_of(place) == {key, sha256(small).hexdigest()}


def test_thumbnails_go_with_their_photo(tmp_path: Path) -> None:
    place, files = Place(tmp_path), [photo(40, 40, number) for number in range(3)]
    keys = [sha256(data).hexdigest() for data in files]
    for key, data in zip(keys, files, strict=True):
        write_thumbnails(place, key, data)
    assert remove_thumbnails(place, keys[:2]) == 4 and remove_thumbnails(place, keys[:2]) == 0
    assert thumbnails_of(place) == {keys[2]} and not list(tmp_path.rglob(f"*{keys[0]}*"))
    for wrong in ("../../etc/passwd", keys[0].upper(), "", keys[0] + "\n"):
        with pytest.raises(ValueError, match="no thumbnail"):
            remove_thumbnails(place, [wrong])


def engine(sources: Sequence[Source], known: Container[str]) -> Generator[Outcome, None, None]:
    for source in sources:
        try:
            key = sha256(source.read()).hexdigest()
        except OSError:
            yield Outcome(source.name, reason="gone")
            continue
        yield Outcome(source.name, key, None if key in known else {"photo_id": key})


def test_care_of_an_archive_takes_its_thumbnails_along(tmp_path: Path) -> None:
    shots = [photo(300, 200, number) for number in range(3)]
    keys = [sha256(shot).hexdigest() for shot in shots]
    one, two = Archive(tmp_path / "one"), Archive(tmp_path / "two")
    for archive, numbers in ((one, (0, 1)), (two, (1, 2))):
        for number in numbers:
            write_thumbnails(archive.place, keys[number], shots[number])
            archive.writer(VERSION).append(made(keys[number]))
    kept = read_thumbnail(one.place, keys[1], SMALL)
    assert merge(one, two).rows == 1 and thumbnails_of(one.place) == set(keys)
    assert read_thumbnail(one.place, keys[1], SMALL) == kept
    assert one.versions() == [VERSION]
    deleted = delete_photos(one, Selection(ids=keys[:1]))
    assert deleted.photos == 1 and thumbnails_of(one.place) == set(keys[1:]), "at once, though rows can come back"
    undo(one)
    assert thumbnails_of(one.place) == set(keys[1:])
    receipt = delete_photos(one, Selection(ids=keys[1:2]), for_good=True).receipt
    assert receipt and receipt["thumbnails"] == 2 and thumbnails_of(one.place) == {keys[2]}
    delete_archive(one)
    assert not (tmp_path / "one").exists() and thumbnails_of(two.place) == set(keys[1:])


def test_thumbnails_without_a_row_are_found_and_go(tmp_path: Path) -> None:
    shots = [photo(60, 40, number) for number in range(3)]
    keys = [sha256(shot).hexdigest() for shot in shots]
    one, two = Archive(tmp_path / "one"), Archive(tmp_path / "two")
    for archive, number in ((one, 0), (two, 1)):
        write_thumbnails(archive.place, keys[number], shots[number])
        archive.writer(VERSION).append(made(keys[number]))
    merge(one, two)
    undo(one)
    assert thumbnails_of(one.place) == {keys[0]}, "those of the merge went with it"

    def left_by_a_kill() -> None:
        write_thumbnails(one.place, keys[2], shots[2])
        one.place.write(f"{thumbnail_name(keys[0], SMALL)}.0123abcd.unfinished", b"half")

    left_by_a_kill()
    assert check(one).notes[0].startswith("3 thumbnails belong to no photo of the archive.")
    with one.place.lock(".ingest", shared=True):
        mend(one)
        assert thumbnails_of(one.place) == {keys[0], keys[2]}, "their rows may come yet"
    mend(one)
    assert thumbnails_of(one.place) == {keys[0]} and len(one.place.files("thumbnails")) == 2
    left_by_a_kill()
    receipt = delete_photos(one, Selection(ids=[keys[2]]), for_good=True).receipt
    assert receipt and (receipt["photos"], receipt["thumbnails"]) == (0, 3)
    assert thumbnails_of(one.place) == {keys[0]} and len(one.place.files("thumbnails")) == 2


def test_the_end_of_an_ingest_removes_what_a_killed_one_left(
    folder: Path, take: Callable[..., object], archive: Archive
) -> None:
    write_thumbnails(archive.place, "ab" * 32, photo(60, 40))
    take(folder)
    assert not thumbnails_of(archive.place)


def test_a_photo_that_changes_while_it_is_read_leaves_no_thumbnail(tmp_path: Path) -> None:
    contents = iter([photo(40, 40), photo(40, 40, 1)])
    (outcome,) = keeping_thumbnails(engine, Place(tmp_path))([Source("a.jpg", lambda: next(contents))], ())
    assert outcome.reason == "a.jpg changed while it was read. Ingest it again." and not thumbnails_of(Place(tmp_path))


def test_an_ingest_keeps_thumbnails_before_it_gives_the_row(tmp_path: Path) -> None:
    place, files = Place(tmp_path), {f"{number}.jpg": photo(40, 40, number) for number in range(20)}
    files["broken.jpg"] = files["0.jpg"][:300]
    sources = from_uploads(list(files.items())).sources
    names = []
    for outcome in keeping_thumbnails(engine, place)(sources, {sha256(files["3.jpg"]).hexdigest()}):
        names.append(outcome.name)
        if outcome.name == "broken.jpg":
            assert outcome.row is None and "broken.jpg" in outcome.reason
        else:
            assert read_thumbnail(place, outcome.photo_id, SMALL) and (outcome.row is None) == (outcome.name == "3.jpg")
    assert names == list(files)


def test_a_full_disk_stops_the_ingest_with_its_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Place, name: str, content: bytes) -> None:
        raise ArchiveError("No space is left.")

    monkeypatch.setattr(Place, "write", full)
    sources = from_uploads([("a.jpg", photo(40, 40))]).sources
    with pytest.raises(ArchiveError, match="No space"):
        list(keeping_thumbnails(engine, Place(tmp_path))(sources, ()))
    with pytest.raises(PhotoError):
        write_thumbnails(Place(tmp_path), "0" * 64, b"no photo")


def test_the_command_keeps_them_only_when_asked(folder: Path, more_models: Path, tmp_path: Path) -> None:
    place = tmp_path / "archive"
    command = ["ingest", str(folder), "--archive", str(place), "--model", str(more_models / "tiny"), "--device", "cpu"]
    assert main(command) == 0 and not has_thumbnails(Place(place))
    assert main([*command, "--thumbnails"]) == 0, "photos that are known get theirs"
    assert thumbnails_of(Place(place)) == {sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.jpg")}

"""Data sets that a setting names: what is counted, and what they are called."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dashboard.dataset.album import source_album
from dashboard.dataset.folder import FolderError, photos_with
from dashboard.dataset.reading import Reading, count_masks, pairs_table, source_names, source_statistics
from dashboard.dataset.shipped import garments_table, parts_table, shares, shares_table
from segmodels.datasets import DatasetError, open_dataset


def test_masks_are_counted_and_what_cannot_be_read_is_named(shop: Path) -> None:
    told: list[tuple[int, int]] = []
    counted = count_masks(open_dataset(f"coco:{shop}"), lambda done, total: told.append((done, total)))
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert counted.index.ids == ("a", "b", "c") and counted.sizes.tolist() == [[40, 30], [20, 30], [40, 30]]
    assert counted.index.pixels[:, :4].tolist() == [[1100, 84, 16, 0], [580, 20, 0, 0], [1200, 0, 0, 0]]
    (fault,) = counted.faults()
    assert fault.startswith("d: ") and "d.jpg" in fault
    assert counted.notes() == [
        "Marked as two classes, and given to the smaller region: 16 pixels in 1 photo.",
        "Nothing but background is marked in 1 of them: c.",
    ]


def test_statistics_by_hand(shop: Path) -> None:
    found = source_statistics(count_masks(open_dataset(f"coco:{shop}")))
    assert (found.photos, found.tagged, found.pixels, found.parts) == (3, 0, 3000, ())
    assert [(each.name, each.photos, each.pixels) for each in found.counts["classes"]] == [
        ("Background", 3, 2880),
        ("skirt", 2, 104),
        ("belt", 1, 16),
        ("boots", 0, 0),
    ]
    assert found.garments == {"classes": {0: 1, 1: 1, 2: 1}} and found.unseen("classes") == ("boots",)
    assert (found.width.smallest, found.width.median, found.width.largest) == (20, 40.0, 40)
    assert sum(found.width.photos) == sum(found.height.photos) == 3 and found.height.edges == (30, 31)
    bars = shares(found, "classes", "pixels", background=False)
    assert [(bar.count.name, bar.share) for bar in bars] == [("skirt", 104 / 120), ("belt", 16 / 120)]
    assert shares_table(found, "classes")["photos"].tolist() == [3, 2, 1, 0]
    assert garments_table(found).values.tolist() == [["classes", 0, 1], ["classes", 1, 1], ["classes", 2, 1]]
    assert parts_table(found).empty


def test_two_classes_in_one_photo(shop: Path) -> None:
    counted = count_masks(open_dataset(f"coco:{shop}"))
    assert pairs_table(counted).values.tolist() == [
        ["skirt", "skirt", 2],
        ["skirt", "belt", 1],
        ["belt", "skirt", 1],
        ["belt", "belt", 1],
    ]
    assert pairs_table(counted, 1).values.tolist() == [["skirt", "skirt", 2]]


def test_an_unlabelled_pixel_counts_nowhere(tmp_path: Path) -> None:
    for folder in ("masks", "photos"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.full((4, 5, 3), 9, np.uint8)).save(tmp_path / "photos" / "one.jpg")
    mask = np.zeros((4, 5), np.uint8)
    mask[0], mask[1, :2] = 255, 1
    Image.fromarray(mask).save(tmp_path / "masks" / "one.png")
    (tmp_path / "classes.txt").write_text("background\nhat\n")
    found = source_statistics(count_masks(open_dataset(f"masks:{tmp_path}")))
    assert found.pixels == 15 and [each.pixels for each in found.counts["classes"]] == [13, 2]


def test_photos_are_browsed_by_class(shop: Path) -> None:
    counted = count_masks(open_dataset(f"coco:{shop}"))
    album = source_album("shop", counted)
    assert album.ids == ("a", "b", "c") and set(album.choices) == {"skirt", "belt", "boots"}
    index = album.indexing.result()
    assert photos_with(index, album.choices["skirt"]) == ("a", "b")  # 7% and 3.3% of their photos
    assert photos_with(index, album.choices["boots"]) == ()
    stage = album.stage("a")
    assert stage["name"] == "a.jpg" and stage["title"] == "2 garments" and stage["confidence"] is None
    assert (
        "Photo a, 40 x 30 pixels. Classes in its mask, by share of the photo: skirt 7.0%, belt 1.3%."
        in stage["caption"]
    )
    classes = np.asarray(Image.open(io.BytesIO(base64.b64decode(stage["class_map"]))))
    assert classes[3, 3] == 1 and classes[5, 5] == 2 and classes[20, 20] == 0
    plain, masked = (np.asarray(Image.open(io.BytesIO(album.thumbnail("a", each))), float) for each in (False, True))
    colour = counted.dataset.taxonomy.palette[1]
    np.testing.assert_allclose(masked[8:11, 4:9].mean(axis=(0, 1)), 0.45 * 180 + 0.55 * colour, atol=12)
    assert plain.shape == (30, 40, 3) and abs(plain.mean() - 180) < 2


def test_a_photo_that_has_gone_since_is_a_sentence(shop: Path) -> None:
    album = source_album("shop that loses a photo", count_masks(open_dataset(f"coco:{shop}")))
    (shop.parent / "b.jpg").unlink()
    for look in (lambda: album.thumbnail("b", True), lambda: album.stage("b")):
        with pytest.raises(FolderError, match=r"b\.jpg"):
            look()


def test_no_readable_photo_is_a_sentence(shop: Path) -> None:
    for name in "abc":
        (shop.parent / f"{name}.jpg").unlink()
    with pytest.raises(DatasetError, match=r"None of the 4 photos can be read\. The first: .*a\.jpg"):
        count_masks(open_dataset(f"coco:{shop}"))


def test_a_reading_says_how_far_it_is_and_why_it_failed(shop: Path, tmp_path: Path) -> None:
    reading = Reading((f"coco:{shop}", None), "shop")
    assert reading.words == "Opening the data set."
    reading.work()
    assert reading.words == "Reading masks: 3 of 4." and reading.counted and len(reading.counted.index.ids) == 3
    with pytest.raises(DatasetError, match=r"^Write the folder of cfpd behind it: cfpd=FOLDER\.$"):
        Reading(("cfpd", None), "cfpd").work()
    assert reading.explain(DatasetError("It is empty.")) == "It is empty."
    assert reading.explain(MemoryError("no room")) == "MemoryError: there is not enough memory."


def test_data_sets_have_the_shortest_names_that_tell_them_apart() -> None:
    shops = [("coco:/srv/one/a.json", None), ("coco:/srv/two/a.json", None), ("coco:/srv/b.json", Path("/photos"))]
    others = [("cfpd", Path("/srv/cfpd")), ("hub:owner/name", None), ("coco:/srv/two/a.json", Path("/photos"))]
    names = source_names([*shops, *others])
    assert list(names) == ["coco:one/a.json", "coco:two/a.json", "coco:b.json", "cfpd", "hub:owner/name",
                           "coco:two/a.json (6)"]  # fmt: skip
    assert list(names.values()) == [*shops, *others]

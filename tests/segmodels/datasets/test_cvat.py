import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn_annotations import NAMES, PHOTOS, truth
from PIL import Image

from segmodels.datasets import Dataset, DatasetError, open_dataset, read_cvat
from segmodels.taxonomy import UNLABELLED

FILES = Path(__file__).parent / "files"
WIDTH, HEIGHT = 40, 30
LABELS = "<meta><job><labels><label><name>skirt</name></label><label><name>belt</name></label></labels></job></meta>"
SKIRT = '<polygon label="skirt" points="0,0;20,0;20,30;0,30" z_order="0"/>'

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path / "caches"))
    return tmp_path / "caches"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes annotations.xml and the photos a.png and b.png."""

    def write(first: str, second: str = SKIRT, *, labels: str = LABELS, size: str = "", orientation: int = 1) -> Path:
        exif = Image.Exif()
        exif[0x0112] = orientation
        for name in ("a.png", "b.png"):
            Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 150)).save(tmp_path / name, exif=exif)
        size = size or f'width="{WIDTH}" height="{HEIGHT}"'
        path = tmp_path / "annotations.xml"
        path.write_text(
            f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{labels}\n'
            f'<image id="0" name="a.png" subset="train" {size}>\n{first}</image>\n'
            f'<image id="1" name="b.png" width="{WIDTH}" height="{HEIGHT}">\n{second}</image></annotations>',
            "utf-8",
        )
        return path

    return write


def named(dataset: Dataset, photo_id: str) -> np.ndarray:
    """Names of the classes by pixel, in lower case."""
    return np.array([name.lower() for name in dataset.taxonomy.names])[dataset.pair(photo_id)[1]]


@pytest.mark.parametrize("source", ["cvat/default.xml", "cvat", "cvat_masks"])
def test_exports_that_datumaro_wrote(source: str) -> None:
    dataset = open_dataset(f"cvat:{FILES / source}", FILES / "photos")
    assert dataset.ids == PHOTOS and dataset.faults == ()
    assert dataset.taxonomy.names == ("Background", "skirt", "belt", "boots")
    for name in PHOTOS:
        assert (named(dataset, name) == np.array(NAMES)[truth(name)]).all()


@pytest.mark.parametrize("top", ["", "task 3/"])
@pytest.mark.parametrize("source", ["cvat", "cvat_masks"])
def test_a_zip_with_photos(source: str, top: str, tmp_path: Path, caches: Path) -> None:
    path = tmp_path / "Task 3.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (FILES / source).rglob("*"):
            archive.write(file, top + file.relative_to(FILES / source).as_posix())
        for name in PHOTOS:
            photos = "images" if source == "cvat" else "JPEGImages"
            archive.write(FILES / "photos" / f"{name}.png", f"{top}{photos}/{name}.png")
    for _ in range(2):
        dataset = read_cvat(path)
        assert dataset.name == "cvat-Task-3" and dataset.root == tmp_path and dataset.ids == PHOTOS
        assert (named(dataset, "front") == np.array(NAMES)[truth("front")]).all()
    assert len(list((caches / "unpacked").iterdir())) == 1, "it is unpacked once"


def test_a_mask_lies_in_its_box_and_counts_along_the_rows(write: Write) -> None:
    # of 4 x 3 pixels: the first row from its second pixel on, the second row whole, of the third the first pixel
    dataset = read_cvat(write('<mask label="belt" rle="1, 8, 3" left="10" top="5" width="4" height="3" z_order="0"/>'))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[5, 11:14] = expected[6, 10:14] = expected[7, 10] = True
    assert ((dataset.read_truth("a") == 2) == expected).all()
    assert dataset.columns == {"subset": {"a": "train"}}


def test_the_higher_z_order_is_on_top_and_then_the_smaller(write: Write) -> None:
    small = '<polygon label="belt" points="0,0;10,0;10,10;0,10" z_order="{}"/>'
    large = '<polygon label="skirt" points="0,0;20,0;20,20;0,20" z_order="{}"/>'
    for first, second, belt in ((0, 0, 100), (1, 1, 100), (0, 1, 0), (-2, -3, 100)):
        dataset = read_cvat(write(small.format(first) + large.format(second)))
        truth = dataset.read_truth("a")
        assert (truth == 2).sum() == belt and (truth > 0).sum() == 400
        assert dataset.draw_truth and dataset.draw_truth("a").contested == 100


def test_a_photo_is_marked_as_cvat_shows_it(write: Write) -> None:
    truth = read_cvat(write(SKIRT, orientation=3)).read_truth("a")
    assert truth[:, :20].all() and not truth[:, 20:].any()
    dataset = read_cvat(write('<polygon label="skirt" points="0,0;15,0;15,40;0,40"/>', size='width="30" height="40"'))
    with pytest.raises(DatasetError, match=r"a\.png is 30 x 40 pixels, its photo 40 x 30"):
        dataset.read_truth("a")
    turned = read_cvat(write(SKIRT, orientation=6)).draw_truth
    assert turned and turned("a").turned and turned("a").truth.shape == (WIDTH, HEIGHT)


def test_labels_from_the_shapes_and_joints_of_skeletons(write: Write) -> None:
    assert read_cvat(write(SKIRT, labels="")).taxonomy.names == ("Background", "skirt")
    labels = LABELS.replace(
        "</labels>",
        "<label><name>pose</name><type>skeleton</type></label><label><name>knee</name><type>points</type>"
        "<parent>pose</parent></label></labels>",
    )
    assert read_cvat(write(SKIRT, labels=labels)).taxonomy.names == ("Background", "skirt", "belt", "pose")


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ('<box label="skirt" xtl="0" ytl="0" xbr="9" ybr="9"/>', "line 4: it is a box, not a polygon or mask"),
        ('<polyline label="skirt" points="0,0;9,9"/>', "it is a line, not a polygon or mask"),
        ('<polygon label="coat" points="0,0;9,0;9,9"/>', "its label 'coat' is not in the list of labels"),
        ('<polygon label="skirt" points="0,0;9,0"/>', "a polygon has 4 numbers"),
        ('<polygon label="skirt" points="0,0;nan,0;9,9"/>', "a number that is no place in a photo"),
        ('<polygon label="skirt" points="0,0;-900,0;9,9"/>', "reaches far outside"),
        ('<polygon label="skirt" points="0,0;9;9,9"/>', "a polygon has 5 numbers"),
        ('<polygon label="skirt" points="0,0;9,x;9,9"/>', "its points are not x,y;x,y and so on"),
        ('<polygon label="skirt" points="0,0;9,0;9,9" z_order="x"/>', "its z_order is 'x', not a whole number"),
        ('<mask label="skirt" rle="4" left="39" top="0" width="2" height="2"/>', "does not lie in the 40 x 30"),
        ('<mask label="skirt" rle="4" left="-1" top="0" width="2" height="2"/>', "does not lie in the 40 x 30"),
        ('<mask label="skirt" rle="9999999999999" left="0" top="0" width="2" height="2"/>', "not of the 2 x 2 pixels"),
        ('<mask label="skirt" rle="5,-1" left="0" top="0" width="2" height="2"/>', "not of the 2 x 2 pixels"),
        ('<mask label="skirt" rle="a" left="0" top="0" width="2" height="2"/>', "its run lengths are damaged"),
        ('<mask label="skirt" rle="4" left="0" top="0" height="2"/>', "its width is '', not a whole number"),
    ],
)
def test_a_shape_that_cannot_be_read_leaves_its_photo_out(write: Write, shape: str, sentence: str) -> None:
    path = write(shape)
    dataset = read_cvat(path)
    assert (dataset.read_truth("b") == 1).sum() == 600
    with pytest.raises(DatasetError, match=sentence) as raised:
        dataset.read_truth("a")
    assert str(raised.value).startswith(f"{path}, a.png, ") and "\n" not in str(raised.value)


def test_sizes_that_cannot_be_and_photos_that_are_not_there(write: Write) -> None:
    with pytest.raises(DatasetError, match=r"line 3, a\.png: the image is given 99999 x 99999 pixels"):
        read_cvat(write(SKIRT, size='width="99999" height="99999"')).read_truth("a")
    path = write(SKIRT)
    (path.parent / "a.png").unlink()
    with pytest.raises(DatasetError, match=r"there is no file a\.png among the photos"):
        read_cvat(path).read_truth("a")
    path.write_text(path.read_text("utf-8").replace('name="b.png"', 'name="a.jpg"'), "utf-8")
    with pytest.raises(DatasetError, match=r"names no photo that can be used\. .* has 2 images of the name a "):
        read_cvat(path)


BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><annotations>&c;</annotations>"""
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotations>&a;</annotations>'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not XML"),
        (b"{}", "is not XML"),
        (b"<annotations><image>", "is not XML"),
        (b"\xff\xfe\xfa<annotations/>", "is not XML"),
        (b'<?xml version="1.0" encoding="martian"?><annotations/>', "is not XML"),
        (b"<html></html>", "begins with <html>, not with <annotations>"),
        (b"<annotations><track/></annotations>", "is CVAT for video. Export it as CVAT for images."),
        (b"<annotations></annotations>", "names no label"),
        (BOMB.encode(), "declares a document type, which CVAT does not write. It is not read."),
        (OUTSIDE.encode(), "declares a document type, which CVAT does not write. It is not read."),
    ],
)
def test_files_of_other_kinds(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "annotations.xml"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=sentence):
        read_cvat(path)


@pytest.mark.parametrize("name", ["../outside.png", "/outside.png", "a/../../outside.png", "..\\outside.png"])
def test_a_zip_may_not_leave_its_folder(tmp_path: Path, name: str, caches: Path) -> None:
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("annotations.xml", "<annotations/>")
        archive.writestr(name, b"")
    with pytest.raises(DatasetError, match="which would lie outside of its folder"):
        read_cvat(path)
    assert not list(tmp_path.rglob("outside.png"))


def test_zips_and_folders_of_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DatasetError, match="is no ZIP that can be read"):
        read_cvat(tmp_path / "a.zip")
    with pytest.raises(DatasetError, match=r"none\.zip cannot be unpacked: No such file or directory"):
        read_cvat(tmp_path / "none.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"holds neither annotations\.xml nor labelmap\.txt"):
        read_cvat(tmp_path / "empty")
    with pytest.raises(DatasetError, match=r"none\.xml cannot be read: No such file or directory"):
        read_cvat(tmp_path / "none.xml")


def test_segmentation_masks_in_colours(tmp_path: Path) -> None:
    """CVAT writes RGB and names the colours."""
    for folder in ("SegmentationClass", "SegmentationObject", "JPEGImages"):
        (tmp_path / folder).mkdir()
    values = np.zeros((36, 48, 3), np.uint8)
    values[5:10], values[10:12], values[12] = (250, 50, 83), (1, 2, 3), (224, 224, 192)
    Image.fromarray(values).save(tmp_path / "SegmentationClass" / "a.png")
    Image.fromarray(values).save(tmp_path / "SegmentationObject" / "a.png")
    Image.new("RGB", (48, 36)).save(tmp_path / "JPEGImages" / "a.jpg")
    label_map = tmp_path / "labelmap.txt"
    label_map.write_text("# label:color_rgb:parts:actions\nskirt: long:250,50,83::\nbelt:1,2,3::\n", "utf-8")
    dataset = read_cvat(tmp_path)
    assert dataset.taxonomy.names == ("Background", "skirt: long", "belt") and dataset.faults == ()
    truth = dataset.pair("a")[1]
    assert (truth[5:10] == 1).all() and (truth[10:12] == 2).all() and (truth[12] == UNLABELLED).all()
    assert not truth[:5].any() and not truth[13:].any()
    for text, sentence in (
        ("skirt:250,50,83::\n", r"a\.png: no class of labelmap\.txt has the colour 1,2,3\."),
        ("skirt:250,50,83::\nbelt:250,50,83::\n", "skirt and belt have one colour"),
        ("skirt:250,50::\n", "line 1: 'skirt:250,50::' is not name:red,green,blue:: as CVAT writes it"),
        ("skirt\n", "line 1: 'skirt' is not name:red,green,blue::"),
    ):
        label_map.write_text(text, "utf-8")
        with pytest.raises(DatasetError, match=sentence):
            read_cvat(tmp_path).pair("a")
    shutil.rmtree(tmp_path / "JPEGImages")
    label_map.write_text("skirt:250,50,83::\n", "utf-8")
    with pytest.raises(DatasetError, match="No photo in .* has a mask of the same name"):
        read_cvat(tmp_path)

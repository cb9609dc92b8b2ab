import re
import struct
import zlib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.examples import example
from segmodels.architectures import build
from segmodels.checkpoint import CheckpointConfig, save_checkpoint
from segmodels.taxonomy import CFPD_23

PAGE = Path(__file__).parents[2] / "dashboard" / "app_pages" / "segment.py"


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=120).run()


def bomb() -> bytes:
    """A PNG that declares 30,000 x 30,000 pixels and holds none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_the_empty_page_says_what_to_do(page: AppTest) -> None:
    assert page.title[0].value == "Drop an outfit photo"
    assert "never stored" in page.markdown[0].value
    assert not page.exception


def test_the_example_is_analysed(page: AppTest) -> None:
    page.button[0].click().run()
    assert not page.exception
    assert page.title[0].value == "Segment"
    (photo,) = page.session_state.photos.values()
    assert photo.name == "astronaut.png"
    assert photo.listing["garments"]


def test_what_is_done_stays_when_others_fail(page: AppTest) -> None:
    good = example(0)
    page.file_uploader[0].upload("first.png", good.data, "image/png")
    page.run()
    uploads = [("notes.jpg", b"dear tailor, " * 9), ("empty.png", b""), ("bomb.png", bomb()), ("gone.jpg", b"\xff\xd8")]
    for name, data in uploads:
        page.file_uploader[0].upload(name, data, "image/png")
    page.run()
    assert not page.exception
    sentences = page.error[0].value.replace("\\", "")
    for name, _ in uploads:
        assert name in sentences
    assert "30,000 x 30,000" in sentences
    assert [photo.name for photo in page.session_state.photos.values()] == ["first.png"]
    assert page.caption[0].value == "1 other photo is done."


def test_a_file_over_the_limit_is_a_sentence(page: AppTest) -> None:
    page.file_uploader[0].upload("huge.jpg", b"\xff\xd8" + bytes(20 * 1024 * 1024), "image/jpeg")
    page.run()
    assert not page.exception
    assert re.match(r"huge\.jpg .*20 MB", page.error[0].value.replace("\\", ""))


def test_a_file_name_cannot_write_markdown(page: AppTest) -> None:
    page.file_uploader[0].upload("![x](http://example.org/x.png).jpg", b"no photo at all, only words", "image/jpeg")
    page.run()
    assert "\\!\\[x\\]\\(http" in page.error[0].value


def test_the_same_photo_twice_is_one(page: AppTest) -> None:
    for _ in range(2):
        page.file_uploader[0].upload("look.png", example(0).data, "image/png")
        page.run()
    assert len(page.session_state.photos) == 1


def test_photos_stay_in_their_session(page: AppTest) -> None:
    page.button[0].click().run()
    other = AppTest.from_file(str(PAGE), default_timeout=120).run()
    assert page.session_state.photos and not other.session_state.photos


def test_an_unknown_model_is_a_sentence(page: AppTest) -> None:
    page.session_state.model = "nonesuch"
    page.button[0].click().run()
    assert not page.exception
    assert "no model 'nonesuch'" in page.error[0].value


@pytest.fixture
def tiny_page(more_models: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page with the model that another page has chosen."""
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(more_models))
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    page.session_state.model = "tiny"
    return page.run()


def test_the_model_chosen_on_another_page_is_used(tiny_page: AppTest) -> None:
    assert tiny_page.selectbox[0].value == "tiny"
    tiny_page.button[0].click().run()
    (photo,) = tiny_page.session_state.photos.values()
    assert photo.listing["model"] == "tiny"


def test_photos_of_an_older_revision_are_analysed_anew(tiny_page: AppTest) -> None:
    tiny_page.button[0].click().run()
    (photo,) = tiny_page.session_state.photos.values()
    revision, photo.listing["revision"] = photo.listing["revision"], "older"
    tiny_page.run()
    (anew,) = tiny_page.session_state.photos.values()
    assert anew is not photo and anew.listing["revision"] == revision and not tiny_page.exception
    tiny_page.run()
    assert list(tiny_page.session_state.photos.values()) == [anew], "once"


def test_a_model_of_other_classes_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = CheckpointConfig(
        architecture="unet_classic",
        arguments={"width": 0.05},
        taxonomy="CFPD_23",
        classes=list(CFPD_23.names),
        height=64,
        width=64,
        mean=0.5,
        std=0.5,
        crop="none",
    )
    save_checkpoint(tmp_path / "other", config, build(config.architecture, len(CFPD_23), config.arguments))
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    page.session_state.model = "other"
    page.run().button[0].click().run()
    assert not page.exception and not page.session_state.photos
    assert page.error[0].value == ("other finds the classes of CFPD_23, not the 15 of this page. Choose another model.")

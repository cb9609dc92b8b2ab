import io
import json
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from own_classes import KIMONO, save_own
from PIL import Image
from portrait import portrait
from streamlit.runtime.scriptrunner_utils.exceptions import StopException
from streamlit.testing.v1 import AppTest
from streamlit_page import state_of, uploader

import dashboard.components.viewer as viewer_module
from dashboard.segment.state import SegmentState
from dashboard.shared import analysed as photos
from dashboard.shared import by_link, keeping, networks, runs, waiting
from dashboard.shared.examples import examples
from dashboard.shared.inference_queue import InferenceQueue
from dashboard.shared.keeping import LINK, privacy_text
from segmodels.annotations import ANNOTATION_FORMATS
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.fetch import Fetched, FetchError
from segmodels.taxonomy import OUTFIT_15, Taxonomy

COCO = ("annotations/coco.json", "annotations/2/coco.json")
PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "segment.py"


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=120).run()


def state(page: AppTest) -> SegmentState:
    return state_of(page, SegmentState)


def with_portrait(page: AppTest) -> AppTest:
    """The page after a photo of one's own."""
    uploader(page).upload("astronaut.png", portrait(), "image/png")
    return page.run()


def bomb() -> bytes:
    """A PNG that declares 30,000 x 30,000 pixels and holds none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_the_page_opens_with_an_example_that_is_segmented_already(page: AppTest) -> None:
    assert page.title[0].value == "Drop an outfit photo"
    assert any("are not stored" in each.value for each in page.markdown)
    assert not page.exception
    (photo,) = state(page).photos.values()
    assert photo.name == "two-people.jpg" and photo.model == "fpn" and len(photo.people) == 2
    assert "JSON" in [each.proto.label for each in page.get("download_button")]
    assert "Source: npm material-kit" in texts(page)


def test_a_photo_of_ones_own_replaces_the_example(page: AppTest) -> None:
    with_portrait(page)
    assert not page.exception
    assert page.title[0].value == "Segment"
    (photo,) = state(page).photos.values()
    assert photo.name == "astronaut.png"
    assert photo.listing["garments"]
    button(page, "Start over").click().run()
    assert [each.name for each in state(page).photos.values()] == ["two-people.jpg"]


def test_an_example_stays_when_the_photo_cannot_be_read(page: AppTest) -> None:
    uploader(page).upload("notes.jpg", b"dear tailor, " * 9, "image/jpeg")
    page.run()
    assert "notes.jpg is text, not a photo" in texts(page) and "is done" not in texts(page)
    assert page.title[0].value == "Drop an outfit photo" and state(page).example == examples()[0]


def test_every_choice_of_a_model_and_a_photo_is_kept(more_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A select box with an index that follows the state lost every second one."""
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(more_models))
    page = AppTest.from_file(str(PAGE), default_timeout=120).run()
    for model in ("tiny", "blank", "empty", "tiny"):
        page.selectbox(key="segment-model").set_value(model).run()
        assert state(page).model == page.selectbox(key="segment-model").value == model
        assert [photo.model for photo in state(page).photos.values()] == [model]
    upload(page, "a.png", "b.png", "c.png")
    first, second, third = state(page).photos
    for key in (first, second, third, first):
        page.selectbox(key="segment-photo").set_value(key).run()
        assert state(page).shown == page.selectbox(key="segment-photo").value == key


def test_a_link_is_opened_by_the_server(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(address: str) -> Fetched:
        asked.append(address)
        if "gone" in address:
            raise FetchError("There is no host gone.example. Check the address.")
        return Fetched("look.png", portrait(), address)

    monkeypatch.setattr(by_link, "fetch", fetch)
    page.text_input[0].set_value("https://gone.example/a.jpg")
    button(page, "Open the link").click().run()
    assert page.error[0].value.replace("\\", "") == "There is no host gone.example. Check the address."
    page.text_input[0].set_value("https://photos.example/look.png")
    button(page, "Open the link").click().run()
    assert not page.exception and not page.error
    assert [photo.name for photo in state(page).photos.values()] == ["look.png"]
    assert asked == ["https://gone.example/a.jpg", "https://photos.example/look.png"]


def test_photos_are_there_again_after_a_reload_until_they_are_forgotten(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "visitor", lambda: "the same browser")
    assert LINK not in page.query_params, "an example is nobody's"
    with_portrait(page)
    visit = page.query_params[LINK]
    again = AppTest.from_file(str(PAGE), default_timeout=120)
    again.query_params[LINK] = visit
    again.run()
    assert [photo.name for photo in state(again).photos.values()] == ["astronaut.png"]
    assert "They are forgotten 2 hours after your last click" in texts(again)
    button(again, "Forget now").click().run()
    assert [photo.name for photo in state(again).photos.values()] == ["two-people.jpg"]
    assert LINK not in again.query_params
    late = AppTest.from_file(str(PAGE), default_timeout=120)
    late.query_params[LINK] = visit
    assert [photo.name for photo in state(late.run()).photos.values()] == ["two-people.jpg"]


def test_a_run_goes_on_while_its_visitor_looks_at_another_page(
    page: AppTest, queue: InferenceQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, began, gate = photos.analyse, [], threading.Event()

    def analyse(segmenter: object, name: str, data: bytes) -> photos.Analysed:
        began.append(name)
        assert gate.wait(WAIT)
        return real(segmenter, name, data)  # type: ignore[arg-type]

    monkeypatch.setattr(photos, "analyse", analyse)
    stop_when(monkeypatch, lambda: bool(began))
    upload(page, "a.png", "b.png", "c.png")
    run = state(page).run
    assert run and run.live and not run.found
    gate.set()
    run.wait(WAIT)
    stop_when(monkeypatch, lambda: False)
    back = AppTest.from_file(str(PAGE), default_timeout=120)  # its uploader is empty
    back.session_state[SegmentState.__name__] = state(page)
    back.run()
    assert [photo.name for photo in state(back).photos.values()] == began == ["a.png", "b.png", "c.png"]
    assert not state(back).pending and not back.exception


def test_what_was_dropped_when_the_connection_ended_is_done_on_return(
    page: AppTest, queue: InferenceQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, began, gate, here = photos.analyse, [], threading.Event(), threading.Event()

    def analyse(segmenter: object, name: str, data: bytes) -> photos.Analysed:
        began.append(name)
        assert gate.wait(WAIT)
        return real(segmenter, name, data)  # type: ignore[arg-type]

    monkeypatch.setattr(photos, "analyse", analyse)
    monkeypatch.setattr(runs, "_presence", lambda: here.is_set)
    here.set()
    stop_when(monkeypatch, lambda: bool(began))
    upload(page, "a.png", "b.png", "c.png")
    run = state(page).run
    assert run
    here.clear()
    run.wait(WAIT)
    assert run.phase == "stopped" and not queue._state.turns, "what waits is dropped"
    here.set()
    gate.set()
    stop_when(monkeypatch, lambda: False)
    page.run()
    assert [photo.name for photo in state(page).photos.values()] == ["a.png", "b.png", "c.png"]
    assert not state(page).pending and not page.exception


def test_annotations_are_offered_in_the_format_that_is_chosen(page: AppTest) -> None:
    with_portrait(page)
    (chosen,) = [box for box in page.selectbox if box.label == "Annotations as"]
    assert chosen.options == [form.title for form in ANNOTATION_FORMATS.values()] and chosen.value == "coco"
    chosen.set_value("cvat").run()
    assert not page.exception
    assert state(page).annotations == "cvat"
    assert ANNOTATION_FORMATS["cvat"].hint in [caption.value for caption in page.caption]


def test_less_likely_garments_are_said_to_be_in_the_downloads(page: AppTest) -> None:
    with_portrait(page)
    ((key, photo),) = state(page).photos.items()
    (person,) = photo.people
    raw = replace(photo, people=(replace(person, presence=None),))
    first, *rest = {garment.name for garment in photo.garments}
    presence = {first: 0.9, **dict.fromkeys(rest, 0.9)}

    def captions(shown: photos.Analysed) -> list[str]:
        state(page).photos[key] = shown
        page.run()
        assert not page.exception
        return [
            caption.value
            for caption in page.caption
            if caption.value not in (ANNOTATION_FORMATS["coco"].hint, privacy_text())
            and not caption.value.startswith("PNG with")
            and "Lab is" not in caption.value
        ]

    assert captions(raw) == []
    assert captions(replace(raw, people=(replace(person, presence=presence),))) == []
    doubted = replace(raw, people=(replace(person, presence=presence | {first: 0.3}),))
    assert captions(doubted) == ["Less likely", "Downloads hold every garment found, with its presence."]
    state(page).photos["another"] = raw
    assert captions(doubted)[-1] == (
        "Downloads hold every garment found, with its presence. In the ZIP, cut-outs of less likely garments are in "
        "less\\_likely/."
    )


def test_what_is_done_stays_when_others_fail(page: AppTest) -> None:
    uploader(page).upload("first.png", portrait(), "image/png")
    page.run()
    uploads = [("notes.jpg", b"dear tailor, " * 9), ("empty.png", b""), ("bomb.png", bomb()), ("gone.jpg", b"\xff\xd8")]
    for name, data in uploads:
        uploader(page).upload(name, data, "image/png")
    page.run()
    assert not page.exception
    sentences = page.error[0].value.replace("\\", "")
    for name, _ in uploads:
        assert name in sentences
    assert "30,000 x 30,000" in sentences
    assert [photo.name for photo in state(page).photos.values()] == ["first.png"]
    assert "1 other photo is done." in [each.value for each in page.caption]


def test_a_file_over_the_limit_is_a_sentence(page: AppTest) -> None:
    uploader(page).upload("huge.jpg", b"\xff\xd8" + bytes(20 * 1024 * 1024), "image/jpeg")
    page.run()
    assert not page.exception
    assert re.match(r"huge\.jpg .*20 MB", page.error[0].value.replace("\\", ""))


def test_a_file_name_cannot_write_markdown(page: AppTest) -> None:
    uploader(page).upload("![x](http://example.org/x.png).jpg", b"no photo at all, only words", "image/jpeg")
    page.run()
    assert "\\!\\[x\\]\\(http" in page.error[0].value


def test_the_same_photo_twice_is_one(page: AppTest) -> None:
    for _ in range(2):
        uploader(page).upload("look.png", portrait(), "image/png")
        page.run()
    assert len(state(page).photos) == 1


def test_photos_stay_in_their_session(page: AppTest) -> None:
    with_portrait(page)
    other = AppTest.from_file(str(PAGE), default_timeout=120).run()
    names = [[photo.name for photo in state(each).photos.values()] for each in (page, other)]
    assert names == [["astronaut.png"], ["two-people.jpg"]]


def test_an_unknown_model_is_a_sentence(page: AppTest) -> None:
    state(page).model = "nonesuch"
    with_portrait(page)
    assert not page.exception
    assert "no model 'nonesuch'" in page.error[0].value


@pytest.fixture
def tiny_page(more_models: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page with the model that another page has chosen."""
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(more_models))
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    state(page).model = "tiny"
    return page.run()


def test_the_model_chosen_on_another_page_is_used(tiny_page: AppTest) -> None:
    assert tiny_page.selectbox[0].value == "tiny"
    with_portrait(tiny_page)
    (photo,) = state(tiny_page).photos.values()
    assert photo.model == "tiny"


def test_photos_of_an_older_revision_are_analysed_anew(tiny_page: AppTest) -> None:
    with_portrait(tiny_page)
    ((key, photo),) = state(tiny_page).photos.items()
    older = state(tiny_page).photos[key] = replace(photo, revision="older")
    tiny_page.run()
    (anew,) = state(tiny_page).photos.values()
    assert anew is not older and anew.revision == photo.revision and not tiny_page.exception
    tiny_page.run()
    assert list(state(tiny_page).photos.values()) == [anew], "once"


def test_a_model_of_other_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_own(tmp_path / "own")
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    shown: list[tuple[Taxonomy, str]] = []
    monkeypatch.setattr(viewer_module, "_component", lambda key, data: shown.append((data["classes"], key)))
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    state(page).model = "own"
    page.run()
    with_portrait(page)
    assert not page.exception and not page.error
    (photo,) = state(page).photos.values()
    assert photo.taxonomy == KIMONO and photo.garments
    assert {garment.name for garment in photo.garments} <= {"Kimono", "Obi <sash>", "Tote bag"}
    classes, key = shown[-1]
    assert key == "segment-viewer-kimono shop"
    assert classes[0] == {"id": 1, "name": "Kimono", "group": "garment", "colour": KIMONO["Kimono"].colour}


def test_downloads_of_photos_in_different_classes(tmp_path: Path) -> None:
    found = []
    for taxonomy in (OUTFIT_15, KIMONO):
        folder = save_own(tmp_path / taxonomy.name, taxonomy) if taxonomy == KIMONO else None
        segmenter = load_segmenter(str(folder) if folder else "fpn")
        found.append(photos.analyse(segmenter, "look.png", portrait()))
    out = io.BytesIO()
    photos.write_zip(found, out)
    with zipfile.ZipFile(out) as archive:
        names = [{each["name"] for each in json.loads(archive.read(name))["categories"]} for name in COCO]
        assert names == [set(OUTFIT_15.names[1:]), {"Kimono", "Obi <sash>", "Left hand", "Tote bag"}]
        for name in archive.namelist():
            assert not set(name) & set('<>:"\\|?*'), "which Windows refuses in a file's name"


def test_the_zip_is_made_with_a_bar_and_saved_by_a_second_click(page: AppTest) -> None:
    upload(page, "a.png", "b.png")
    assert len(state(page).photos) == 2
    labels = [each.proto.label for each in page.get("download_button")]
    assert {"All 2 (CSV)", "All 2 (CSV for Excel)"} <= set(labels)
    assert not any("ZIP" in label for label in labels)
    button(page, "All 2 (ZIP)").click().run()
    assert not page.exception and not page.error
    made = state(page).packed
    assert made
    with zipfile.ZipFile(io.BytesIO(made.content())) as archive:
        assert archive.testzip() is None and {"001-a/class_map.png", "002-b/class_map.png"} <= set(archive.namelist())
    labels = [each.proto.label for each in page.get("download_button")]
    assert f"Save the ZIP ({made.size / 1e6:.1f} MB)" in labels
    upload(page, "a.png", "b.png", "c.png")
    assert state(page).packed is None
    assert button(page, "All 3 (ZIP)")


@pytest.mark.parametrize("name", ["![i](http://127.0.0.1:9/a.png).jpg", "<img src=x>.jpg", "[a](b)\n\n# c.jpg"])
def test_a_file_name_is_never_markdown(page: AppTest, name: str) -> None:
    uploader(page).upload(name, b"Dear tailor, no photo. " * 9, "image/jpeg")
    page.run()
    shown = page.error[0].value
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[<>!\[\]()#]", shown), "each is escaped"


WAIT = 60.0


def button(page: AppTest, label: str):  # type: ignore[no-untyped-def]
    return next(each for each in page.button if each.label == label)


def texts(page: AppTest) -> str:
    return "\n".join(each.value for each in [*page.error, *page.caption]).replace("\\", "")


def upload(page: AppTest, *names: str) -> AppTest:
    """Different photos, all small."""
    for number, name in enumerate(names):
        pixels = np.full((32, 24, 3), 10 * number, np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        uploader(page).upload(name, out.getvalue(), "image/png")
    return page.run()


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[InferenceQueue]:
    """A queue of this test, in which one photo is in work at a time."""
    networks.segmenter("fpn")
    queue = InferenceQueue(1)
    monkeypatch.setattr(networks, "_queue", lambda: queue)
    yield queue
    queue.close(WAIT)


def stop_when(monkeypatch: pytest.MonkeyPatch, condition: Callable[[], bool]) -> None:
    """Stops the script at the first moment at which Streamlit may do so and the condition holds."""

    def stop() -> None:
        if condition():
            raise StopException

    monkeypatch.setattr(waiting, "_stop_if_asked", stop)


def test_the_place_in_the_queue_is_said(page: AppTest, queue: InferenceQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, began, said = threading.Event(), threading.Event(), []
    with queue.flow() as one, queue.flow() as two:
        one.submit(lambda: began.set() or gate.wait(WAIT))
        assert began.wait(WAIT)
        one.submit(int)
        two.submit(int)

        def text(before: int, seconds: float | None) -> str:
            said.append(waiting_text(before, None))
            gate.set()
            return said[-1]

        waiting_text = waiting.place_text
        monkeypatch.setattr(waiting, "place_text", text)
        with_portrait(page)
    assert not page.exception and len(state(page).photos) == 1
    assert said[0] == " 3 photos before yours."


@pytest.mark.parametrize(
    ("before", "seconds", "text"),
    [
        (3, 4.2, " 3 photos before yours. About 4 s left."),
        (1, None, " 1 photo before yours."),
        (0, 0.4, ""),
        (0, 75.0, " About 75 s left."),
    ],
)
def test_place_and_time_left_in_words(before: int, seconds: float | None, text: str) -> None:
    assert waiting.place_text(before, seconds) == text


def test_an_unforeseen_failure_is_a_sentence_and_the_others_are_done(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = photos.analyse

    def analyse(segmenter: object, name: str, data: bytes) -> photos.Analysed:
        if name == "b.png":
            raise RuntimeError("the network tripped\nover its feet")
        return real(segmenter, name, data)  # type: ignore[arg-type]

    monkeypatch.setattr(photos, "analyse", analyse)
    upload(page, "a.png", "b.png", "c.png")
    assert not page.exception
    assert [photo.name for photo in state(page).photos.values()] == ["a.png", "c.png"]
    assert texts(page).startswith("b.png could not be analysed: the network tripped.\nThe other 2 photos are done.\n")


def test_photos_that_are_done_in_another_order_stay_in_that_of_arrival(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, real, late = InferenceQueue(2, most=1), photos.analyse, threading.Event()
    monkeypatch.setattr(networks, "_queue", lambda: queue)

    def analyse(segmenter: object, name: str, data: bytes) -> photos.Analysed:
        if name == "a.png":
            assert late.wait(WAIT)
        done = real(segmenter, name, data)  # type: ignore[arg-type]
        if name == "c.png":
            late.set()
        return done

    monkeypatch.setattr(photos, "analyse", analyse)
    upload(page, "a.png", "b.png", "c.png")
    assert [photo.name for photo in state(page).photos.values()] == ["a.png", "b.png", "c.png"]
    assert state(page).photos[state(page).shown].name == "a.png"


def test_the_first_of_new_photos_is_shown_and_another_model_leaves_it(tiny_page: AppTest) -> None:
    page = tiny_page

    def shown() -> str:
        return state(page).photos[state(page).shown or ""].name

    upload(page, "a.png", "b.png")
    assert shown() == "a.png"
    with_portrait(page)
    assert shown() == "astronaut.png", "what was added last"
    page.selectbox(key="segment-photo").set_value(list(state(page).photos)[1]).run()
    assert shown() == "b.png"
    page.selectbox(key="segment-model").set_value("blank").run()
    assert [photo.model for photo in state(page).photos.values()] == ["blank"] * 3 and shown() == "b.png"


def test_cancel_drops_what_waits_and_keeps_what_is_done(
    page: AppTest, queue: InferenceQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, gate, began = photos.analyse, threading.Event(), []

    def analyse(segmenter: object, name: str, data: bytes) -> photos.Analysed:
        began.append(name)
        assert name == "a.png" or gate.wait(WAIT)
        return real(segmenter, name, data)  # type: ignore[arg-type]

    monkeypatch.setattr(photos, "analyse", analyse)
    stop_when(monkeypatch, lambda: len(began) == 2)
    upload(page, "a.png", "b.png", "c.png", "d.png")
    run = state(page).run
    assert run
    stop_when(monkeypatch, lambda: False)
    button(page, "Cancel").click().run()
    run.wait(WAIT)
    assert not queue._state.turns, "what waits is dropped"
    gate.set()
    assert not page.exception and began == ["a.png", "b.png"]
    assert [photo.name for photo in state(page).photos.values()] == ["a.png"]
    assert page.title[0].value == "Segment" and not any(each.label == "Cancel" for each in page.button)
    upload(page, "e.png", "f.png")
    assert [photo.name for photo in state(page).photos.values()] == ["a.png", "f.png"], "a.png and e.png are one"


def test_a_run_of_another_model_can_be_cancelled_and_done_later(
    tiny_page: AppTest, queue: InferenceQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(tiny_page, "a.png", "b.png")
    networks.segmenter("blank")
    real, gate, began = photos.analyse, threading.Event(), threading.Event()

    def analyse(segmenter: object, name: str, data: bytes) -> photos.Analysed:
        began.set()
        assert gate.wait(WAIT)
        return real(segmenter, name, data)  # type: ignore[arg-type]

    def models() -> list[str]:
        return [photo.model for photo in state(tiny_page).photos.values()]

    monkeypatch.setattr(photos, "analyse", analyse)
    stop_when(monkeypatch, began.is_set)
    tiny_page.selectbox[0].set_value("blank").run()
    stop_when(monkeypatch, lambda: False)
    button(tiny_page, "Cancel").click().run()
    gate.set()
    assert models() == ["tiny", "tiny"] and not tiny_page.exception
    assert "2 photos show the results of another model." in texts(tiny_page)
    button(tiny_page, "Analyse with blank").click().run()
    assert models() == ["blank", "blank"] and "another model" not in texts(tiny_page)


def test_photos_that_fail_under_another_model_are_not_tried_for_ever(
    tiny_page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(tiny_page, "a.png")
    calls: list[str] = []

    def analyse(segmenter: object, name: str, data: bytes) -> photos.Analysed:
        calls.append(name)
        raise MemoryError

    monkeypatch.setattr(photos, "analyse", analyse)
    tiny_page.selectbox[0].set_value("blank").run()
    assert calls == ["a.png"] and not tiny_page.exception
    assert "a.png could not be analysed: there is not enough memory." in texts(tiny_page)
    assert "1 photo shows the results of another model." in texts(tiny_page)

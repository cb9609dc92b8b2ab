import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_classes import save_own
from PIL import Image
from portrait import portrait
from streamlit.runtime.scriptrunner_utils.exceptions import StopException
from streamlit.testing.v1 import AppTest
from streamlit_page import state_of, uploader

from dashboard.compare import agreement as comparison
from dashboard.compare.state import CompareState
from dashboard.segment.state import SegmentState
from dashboard.shared import networks, runs, waiting
from dashboard.shared.analysed import as_annotations
from dashboard.shared.examples import examples
from dashboard.shared.inference_queue import InferenceQueue
from segmodels.inference.segmenter import Segmenter
from segmodels.mappings import shipped_mappings
from segmodels.taxonomy import OUTFIT_15

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "compare.py"
HalfDone = tuple[InferenceQueue, list[str], threading.Event]


@pytest.fixture
def page(more_models: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(more_models))
    return AppTest.from_file(str(PAGE), default_timeout=120)


def state(page: AppTest) -> CompareState:
    return state_of(page, CompareState)


def opened(page: AppTest, models: str) -> AppTest:
    page.query_params["models"] = models
    page.run()
    assert not page.exception
    return page


def with_example(page: AppTest, models: str = "fpn,tiny") -> AppTest:
    opened(page, models)
    uploader(page).upload("astronaut.png", portrait(), "image/png")
    page.run()
    assert not page.exception
    return page


def button(page: AppTest, label: str):  # type: ignore[no-untyped-def]
    return next(each for each in page.button if each.label == label)


def said(page: AppTest) -> str:
    texts = [each.value for each in [*page.error, *page.info, *page.markdown, *page.caption]]
    return "\n".join(texts).replace("\\", "")


def table(page: AppTest) -> str:
    return next(each.body for each in page.get("html") if "<table" in each.body)


def mask(size: tuple[int, int], value: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0]), value, np.uint8)).save(out, "PNG")
    return out.getvalue()


def judge(page: AppTest, name: str, data: bytes) -> None:
    uploader = next(each for each in page.file_uploader if "Class ids" in each.label)
    uploader.upload(name, data, "image/png")
    page.run()
    assert not page.exception


def test_the_page_opens_with_two_networks_on_an_example(page: AppTest) -> None:
    page.run()
    assert page.title[0].value == "Compare"
    assert page.multiselect[0].value == ["fpn", "unet"]
    assert not page.exception
    assert "The 2 models predict different classes" in said(page)
    for text in ('<th scope="row">fpn</th>', '<th scope="row">unet</th>'):
        assert text in table(page)


def test_other_models_run_on_the_example_when_asked(page: AppTest) -> None:
    opened(page, "fpn,tiny")
    assert "tiny has not run on this photo yet. Press Compare." in said(page)
    button(page, "Compare").click().run()
    assert not page.exception and '<th scope="row">tiny</th>' in table(page)
    assert state(page).example == examples()[0]


def test_every_choice_of_a_photo_is_kept(page: AppTest) -> None:
    opened(page, "blank,tiny")
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        out = io.BytesIO()
        Image.fromarray(np.full((32, 24, 3), 40 * number, np.uint8)).save(out, "PNG")
        uploader(page).upload(name, out.getvalue(), "image/png")
    page.run()
    first, second, third = state(page).photos
    for key in (first, second, third, first):
        page.selectbox(key="compare-photo").set_value(key).run()
        assert state(page).shown == page.selectbox(key="compare-photo").value == key


def test_a_link_opens_the_same_models_and_says_what_it_left_out(page: AppTest) -> None:
    opened(page, "tiny,fpn,gone,fpn")
    assert page.multiselect[0].value == ["tiny", "fpn"]
    assert "names fpn twice" in said(page) and 'Model "gone" not found' in said(page)
    page.multiselect[0].set_value(["fpn", "torn"]).run()
    assert page.query_params["models"] == "fpn,torn"


def test_one_model_is_not_enough(page: AppTest) -> None:
    opened(page, "fpn")
    uploader(page).upload("look.png", portrait(), "image/png")
    page.run()
    assert "Choose a second model" in said(page)
    assert not state(page).findings


def test_models_run_once_per_photo_and_stand_in_the_table(page: AppTest) -> None:
    with_example(page)
    findings = dict(state(page).findings)
    assert [model for _, model in findings] == ["fpn", "tiny"]
    assert len({id(finding.analysed.photo) for finding in findings.values()}) == 1
    for text in ('<th scope="row">fpn</th>', '<th scope="row">tiny</th>', "4.8 M", "9.8 MB"):
        assert text in table(page)
    button(page, "Compare").click().run()
    assert all(state(page).findings[key] is finding for key, finding in findings.items())


def test_a_model_that_cannot_be_loaded_is_a_card_and_the_others_go_on(page: AppTest) -> None:
    with_example(page, "fpn,torn,tiny")
    assert "torn not loaded" in said(page)
    assert "has no model.safetensors" in said(page)
    assert "The other models are compared." in said(page)
    assert [model for _, model in state(page).findings] == ["fpn", "tiny"]


def test_what_one_model_found_has_no_map_and_no_agreement(page: AppTest) -> None:
    """The place of the map was empty, and the map and the agreement could be downloaded, empty too."""
    opened(page, "fpn,torn")
    labels = [each.proto.label for each in page.get("download_button")]
    assert "What each model found" in [each.value for each in page.subheader]
    assert "Table (CSV)" in labels and not any("map" in each or "Agreement" in each for each in labels)


def test_models_of_other_classes_are_left_out(
    page: AppTest, more_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tiny", "blank"):
        (tmp_path / name).symlink_to(more_models / name)
    save_own(tmp_path / "own")
    save_own(tmp_path / "own2", seed=4)
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    with_example(page, "tiny,own,blank")
    sentence = "no mapping says what Kimono, Obi <sash>, Left hand and 1 more would be in OUTFIT_15. Write a mapping"
    assert f"own is left out. own has the classes of kimono shop, and {sentence}" in said(page)
    assert [model for _, model in state(page).findings] == ["tiny", "blank"]
    assert "mapping.toml" not in said(page).replace("put it as mapping.toml", "")
    (tmp_path / "own" / "mapping.toml").write_text("from =")
    page.run()
    assert "own/mapping.toml is not TOML" in said(page)
    page.multiselect[0].set_value(["own", "tiny"]).run()
    assert f"tiny is left out. own has the classes of kimono shop, and {sentence}" in said(page)
    assert "Choose a second model, then press Compare." in said(page)
    page.multiselect[0].set_value(["own", "own2", "tiny"]).run()
    button(page, "Compare").click().run()
    assert not page.exception
    assert [model for _, model in state(page).findings] == ["tiny", "blank", "own", "own2"]
    assert "Kimono" in table(page) and "own2" in table(page) and "tiny" not in table(page)
    judge(page, "truth.png", mask((512, 512), 5))
    assert "contains the id 5; class ids run from 0 to 4" in said(page)
    judge(page, "truth.png", mask((512, 512), 4))
    assert "Mean IoU" in table(page)
    page.multiselect[0].set_value(["tiny", "blank"]).run()
    assert not page.exception and "Mean IoU" not in table(page)
    assert (
        "No mapping connects the classes of truth.png (kimono shop) with those of these models, so there are no "
        "scores. Add one with the ids of OUTFIT_15." in said(page)
    )


def test_models_of_two_taxonomies_are_compared_on_what_both_can_name(
    page: AppTest, more_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").symlink_to(more_models / "tiny")
    save_own(tmp_path / "segformer", next(each.taxonomy() for each in shipped_mappings() if each.source == "ATR_18"))
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    with_example(page, "tiny,segformer")
    assert [model for _, model in state(page).findings] == ["tiny", "segformer"]
    assert (
        "Compared on 11 of the 15 classes of OUTFIT_15, which all can name. Counted as one: Coat and Shirt; Pants and "
        "Shorts. Left out: Romper, Socks, which segformer cannot name." in said(page)
    )
    judge(page, "truth.png", mask((512, 512), OUTFIT_15["Coat"].id))
    assert "Mean IoU" in table(page) and "Ground truth: truth.png, read as OUTFIT_15." in said(page)


def test_a_mask_of_0_and_255_is_asked_about(page: AppTest) -> None:
    with_example(page)
    out = io.BytesIO()
    half = np.zeros((512, 512), np.uint8)
    half[:, 256:] = 255
    Image.fromarray(half).save(out, "PNG")
    judge(page, "truth.png", out.getvalue())
    assert "truth.png has only the values 0 and 255. What is 255? Choose to see the scores." in said(page)
    assert "Mean IoU" not in table(page)
    box = next(each for each in page.selectbox if each.label == "Meaning of the ids")
    assert box.value is None
    box.set_value("The person: everything but the background").run()
    assert not page.exception and "Mean IoU" in table(page)
    assert "Ground truth: truth.png, read as The person: everything but the background." in said(page)
    assert "Scored on 2 of the 15 classes of OUTFIT_15" in said(page)


def test_a_coco_file_of_segment_and_a_list_of_classes_are_taken(page: AppTest) -> None:
    with_example(page)
    (found,) = [each for (_, model), each in state(page).findings.items() if model == "fpn"]
    judge(page, "astronaut-coco.json", as_annotations([found.analysed], "coco"))
    assert "Mean IoU" in table(page) and "Ground truth: astronaut-coco.json, read as OUTFIT_15." in said(page)
    judge(page, "classes.txt", b"Coat\nPants")
    assert "classes.txt is a list of classes. Add it together with the PNG that it is for." in said(page)


def test_a_model_chosen_later_waits_for_the_button(page: AppTest) -> None:
    with_example(page, "fpn,tiny")
    page.multiselect[0].set_value(["tiny", "fpn", "torn"]).run()
    assert "torn has not run on this photo yet. Press Compare." in said(page)
    button(page, "Compare").click().run()
    assert "torn not loaded" in said(page)


def test_a_mask_turns_the_table_into_scores(page: AppTest) -> None:
    with_example(page)
    assert "Mean IoU" not in table(page)
    judge(page, "truth.png", mask((512, 512), OUTFIT_15["Coat"].id))
    assert "Mean IoU" in table(page)
    assert "Error map" in [each.value for each in page.subheader]
    button(page, "Remove the ground truth").click().run()
    assert "Mean IoU" not in table(page)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("truth.png", mask((64, 64), 0), "64 x 64 pixels; the photo is 512 x 512"),
        ("truth.png", mask((512, 512), 99), "contains the id 99"),
        ("truth.mat", b"Dear tailor", "is not a mask"),
    ],
    ids=["size", "ids", "no mask"],
)
def test_a_bad_mask_is_a_sentence(page: AppTest, name: str, data: bytes, sentence: str) -> None:
    with_example(page)
    judge(page, name, data)
    assert sentence in said(page)
    assert "Mean IoU" not in table(page)


def test_a_photo_in_which_nothing_is_found_is_a_sentence(page: AppTest) -> None:
    with_example(page, "blank,empty")
    assert "Neither model finds a garment in astronaut.png." in said(page)
    assert "No garment found" in table(page)
    page.multiselect[0].set_value(["blank", "empty", "fpn"]).run()
    button(page, "Compare").click().run()
    assert "finds a garment" not in said(page)


def test_a_bad_photo_is_a_sentence_and_the_good_one_is_compared(page: AppTest) -> None:
    opened(page, "fpn,tiny")
    uploader(page).upload("look.png", portrait(), "image/png")
    uploader(page).upload("notes.jpg", b"Dear tailor, this is no photo.", "image/jpeg")
    page.run()
    assert not page.exception
    assert "notes.jpg is text, not a photo" in said(page)
    assert [photo.name for photo in state(page).photos.values()] == ["look.png"]


def test_photos_stay_in_their_session(page: AppTest) -> None:
    with_example(page)
    other = AppTest.from_file(str(PAGE), default_timeout=120).run()
    assert [photo.name for photo in state(page).photos.values()] == ["astronaut.png"]
    assert [photo.name for photo in state(other).photos.values()] == [examples()[0].file]


def test_a_model_that_was_pulled_anew_runs_again(page: AppTest) -> None:
    with_example(page, "blank,tiny")
    findings = dict(state(page).findings)
    ((key, old),) = [(key, each) for key, each in findings.items() if key[1] == "tiny"]
    older = replace(old, analysed=replace(old.analysed, revision="older"))
    state(page).findings[key] = older
    button(page, "Compare").click().run()
    anew = dict(state(page).findings)
    assert anew[key] is not older and anew[key].analysed.revision == old.analysed.revision and not page.exception
    assert all(anew[each] is finding for each, finding in findings.items() if each != key)


def test_an_unforeseen_failure_is_a_sentence_and_the_others_are_compared(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = comparison.find

    def find(segmenter: Segmenter, *arguments: Any) -> comparison.Finding:
        if segmenter.checkpoint.name == "blank":
            raise RuntimeError("the network tripped")
        return real(segmenter, *arguments)

    monkeypatch.setattr(comparison, "find", find)
    with_example(page, "tiny,blank,empty")
    assert "blank: astronaut.png could not be analysed: the network tripped." in said(page)
    assert [model for _, model in state(page).findings] == ["tiny", "empty"]
    assert "blank has not run on this photo yet. Press Compare." in said(page)
    button(page, "Compare").click().run()
    assert said(page).count("the network tripped") == 1, "said once"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Whether the visitor has the app open, for runs that begin from now on."""
    event = threading.Event()
    event.set()
    monkeypatch.setattr(runs, "_presence", lambda: event.is_set)
    return event


@pytest.fixture
def half_done(page: AppTest, here: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Iterator[HalfDone]:
    """A run that is done with tiny and at work on blank.

    Its queue, the models that were asked for, and what lets blank go on; until then the page stops.
    """
    for name in ("tiny", "blank"):
        networks.segmenter(name)
    queue, gate, began = InferenceQueue(1), threading.Event(), threading.Event()
    real, asked = comparison.find, []

    def find(segmenter: Segmenter, *arguments: Any) -> comparison.Finding:
        asked.append(segmenter.checkpoint.name)
        if segmenter.checkpoint.name == "blank":
            began.set()
            assert gate.wait(60)
        return real(segmenter, *arguments)

    def stop() -> None:
        if began.is_set() and not gate.is_set():
            raise StopException

    monkeypatch.setattr(networks, "_queue", lambda: queue)
    monkeypatch.setattr(comparison, "find", find)
    monkeypatch.setattr(waiting, "_stop_if_asked", stop)
    with_example(page, "tiny,blank")
    yield queue, asked, gate
    gate.set()
    queue.close()


def test_cancel_keeps_what_is_done(page: AppTest, half_done: HalfDone) -> None:
    queue, asked, gate = half_done
    run = state(page).run
    assert run and not queue._state.turns
    button(page, "Cancel").click().run()
    run.wait(60)
    gate.set()
    assert not page.exception
    assert [model for _, model in state(page).findings] == ["tiny"] and asked == ["tiny", "blank"]
    assert "blank has not run on this photo yet. Press Compare." in said(page)


def test_other_models_asked_for_during_a_run_run_too(page: AppTest, half_done: HalfDone) -> None:
    half_done[2].set()
    page.multiselect[0].set_value(["tiny", "blank", "empty"])
    button(page, "Compare").click().run()
    assert not page.exception
    assert {model for _, model in state(page).findings} == {"tiny", "blank", "empty"}


def returned(page: AppTest) -> AppTest:
    """The page of the same visitor after a look at another one; its uploader is empty."""
    back = AppTest.from_file(str(PAGE), default_timeout=120)
    back.session_state[CompareState.__name__] = state(page)
    return back.run()


def test_a_run_goes_on_while_its_visitor_looks_at_another_page(page: AppTest, half_done: HalfDone) -> None:
    _, asked, gate = half_done
    run = state(page).run
    assert run and run.live
    gate.set()
    run.wait(60)
    assert run.phase == "done" and asked == ["tiny", "blank"]
    back = returned(page)
    assert [model for _, model in state(back).findings] == ["tiny", "blank"] and not back.exception
    assert '<th scope="row">blank</th>' in table(back) and asked == ["tiny", "blank"], "nothing runs twice"


def test_what_was_dropped_when_the_connection_ended_is_done_on_return(
    page: AppTest, half_done: HalfDone, here: threading.Event
) -> None:
    _, asked, gate = half_done
    run = state(page).run
    assert run
    here.clear()
    run.wait(60)
    assert run.phase == "stopped" and [model for _, model in run.findings] == ["tiny"]
    here.set()
    gate.set()
    back = returned(page)
    assert {model for _, model in state(back).findings} == {"tiny", "blank"} and not back.exception
    assert asked.count("tiny") == 1 and state(back).run is None


def test_the_photos_of_segment_are_compared_at_a_click(page: AppTest) -> None:
    page.session_state[SegmentState.__name__] = segment = SegmentState()
    segment.show_example(examples()[0])
    opened(page, "blank,tiny")
    assert "Segment" not in "".join(each.label for each in page.button), "an example is nobody's"
    (photo,) = segment.photos.values()
    segment.example, segment.photos = None, {"own": replace(photo, photo=replace(photo.photo, data=portrait()))}
    page.run()
    page.button(key="compare-of-segment").click().run()
    assert not page.exception and state(page).example is None
    assert {model for _, model in state(page).findings} == {"blank", "tiny"}
    segment.photos = {state(page).shown: photo}
    page.run()
    assert "Segment" not in "".join(each.label for each in page.button), "they are here already"

"""The page in each of its states, with a Hub of the test's own."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from hub_server import TOKEN, Fault, HubServer
from streamlit.testing.v1 import AppTest
from streamlit_page import state_of

from dashboard.models import cache, sheets
from dashboard.models.pulls import running
from dashboard.segment.state import SegmentState
from dashboard.shared import networks

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "models.py"
REPOSITORY = "atelier/garmentscope-tiny"
WAIT = 120.0

pytestmark = pytest.mark.usefixtures("only_fpn")


@pytest.fixture(autouse=True)
def _no_answers_of_other_tests() -> Iterator[None]:
    cache._listing.clear()
    yield
    for pull in running().values():
        pull.wait(WAIT)


@pytest.fixture
def published(hub: HubServer, more_models: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """A Hub that has one checkpoint, and whose owner the app knows."""
    monkeypatch.setenv("GARMENTSCOPE_HUB", "atelier")
    hub.publish(REPOSITORY, more_models / "tiny")
    return hub


@pytest.fixture
def opened() -> Callable[[], AppTest]:
    """Opens the page and waits until the Hub has answered."""

    def run() -> AppTest:
        page = AppTest.from_file(str(PAGE), default_timeout=120).run()
        return answered(page)

    return run


def answered(page: AppTest) -> AppTest:
    if listing := cache.hub_listing():
        listing.wait(WAIT)
        page.run()
    assert not page.exception
    return page


def press(page: AppTest, label: str) -> AppTest:
    next(each for each in page.button if each.label.startswith(label)).click()
    page.run()
    assert not page.exception
    return page


def pull(page: AppTest, label: str = "Pull") -> AppTest:
    press(page, label)
    for each in running().values():
        each.wait(WAIT)
    page.run()
    assert not page.exception and not running()
    return page


def said(page: AppTest) -> str:
    return "\n".join(each.value for each in [*page.markdown, *page.caption]).replace("\\", "")


def errors(page: AppTest) -> list[str]:
    return [each.value.replace("\\", "") for each in page.error]


def cards(page: AppTest) -> dict[str, str]:
    """What each says, by name."""
    bodies = [each.body for each in page.get("html")]
    return {body.partition("<h3>")[2].partition("</h3>")[0]: body for body in bodies}


def labels(page: AppTest) -> list[str]:
    return [each.label for each in page.button]


def filled(page: AppTest) -> list[str]:
    return [each.key for each in page.button if each.proto.type == "primary"]


def test_only_what_is_embedded(hub: HubServer, opened: Callable[[], AppTest]) -> None:
    page = opened()
    assert page.title[0].value == "Models" and not page.error and not hub.requests
    assert "1 model is installed and works offline. To pull more here, set `GARMENTSCOPE_HUB` to an owner" in said(page)
    assert list(cards(page)) == ["fpn"] and "In use" in cards(page)["fpn"]
    assert labels(page) == ["Use", "Model card"] and filled(page) == ["models-use-fpn"]


def test_a_hub_that_cannot_be_reached(published: HubServer, opened: Callable[[], AppTest]) -> None:
    published.faults.append(Fault("", status=503))
    page = opened()
    assert (
        "The Hub reported an internal error (status 503). Try again later. `GARMENTSCOPE_HUB` is set to atelier."
        in said(page)
    )
    assert "works offline" in said(page) and not page.error and list(cards(page)) == ["fpn"]
    published.faults.clear()
    press(page, "Ask the Hub again")
    assert list(cards(answered(page))) == ["fpn", "tiny"]


def test_a_silent_hub_does_not_hold_up_the_page(published: HubServer) -> None:
    published.faults.append(Fault("/api/models", silent=3))
    page = AppTest.from_file(str(PAGE), default_timeout=120).run()
    assert "Asking the Hub for the models of atelier" in said(page) and list(cards(page)) == ["fpn"]
    assert [each.label for each in page.button if not each.disabled] == ["Use", "Model card"], "meanwhile"
    assert "The connection to 127.0.0.1 was cut" in said(answered(page))


def test_an_empty_hub(hub: HubServer, monkeypatch: pytest.MonkeyPatch, opened: Callable[[], AppTest]) -> None:
    monkeypatch.setenv("GARMENTSCOPE_HUB", "atelier")
    page = opened()
    assert "atelier, set by `GARMENTSCOPE_HUB`, has no models on the Hub yet" in said(page) and not page.error


def test_a_checkpoint_is_pulled_and_used(
    published: HubServer, opened: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened()
    assert "On the Hub, not pulled yet" in cards(page)["tiny"] and "0.079 M" in cards(page)["tiny"]
    assert filled(page) == ["models-use-fpn"]
    pull(page)
    assert "Pulled from the Hub" in cards(page)["tiny"] and published.head(REPOSITORY)[:12] in cards(page)["tiny"]
    assert filled(page) == ["models-use-tiny"] and "2 models are installed" in said(page)
    monkeypatch.setattr(st, "switch_page", lambda name: st.session_state.update(went_to=name))
    page.button(key="models-use-tiny").click()
    page.run()
    assert state_of(page, SegmentState).model == "tiny" and page.session_state.went_to == "app_pages/segment.py"
    assert networks.segmenter("tiny").checkpoint.revision == published.head(REPOSITORY)


def test_a_pull_that_ends_while_the_cards_are_made_is_not_missed(
    published: HubServer, opened: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened()
    described = sheets.describe

    def slow(*arguments: Any, **more: Any) -> sheets.Sheet:
        found = described(*arguments, **more)
        for pull in running().values():
            pull.wait(WAIT)
        return found

    monkeypatch.setattr(sheets, "describe", slow)
    published.faults.append(Fault("GET /store/", silent=0.5, times=1))
    press(page, "Pull")
    assert "Pulled from the Hub" in cards(page)["tiny"] and not running()


def test_a_pull_shows_how_far_it_is(published: HubServer, opened: Callable[[], AppTest]) -> None:
    page = opened()
    published.faults.append(Fault("GET /store/", silent=2, times=1))
    press(page, "Pull")
    texts = [each.proto.text for each in page.get("progress")]
    assert len(texts) == 1 and (" of " in texts[0] or texts[0].startswith("Requesting the files"))
    assert "models-pull-tiny" not in [each.key for each in page.button]
    running()["tiny"].wait(WAIT)


def test_a_newer_revision_is_pulled_and_taken(
    published: HubServer, more_models: Path, opened: Callable[[], AppTest]
) -> None:
    page = pull(opened())
    first = networks.segmenter("tiny")
    newer = published.publish(REPOSITORY, more_models / "blank")
    press(page, "Ask the Hub again")
    answered(page)
    assert f"The Hub has a newer revision, {newer[:12]}." in cards(page)["tiny"]
    assert networks.segmenter("tiny") is first, "until it is pulled"
    pull(page, "Update")
    assert "newer" not in cards(page)["tiny"] and newer[:12] in cards(page)["tiny"]
    assert networks.segmenter("tiny").checkpoint.revision == newer == networks.revision("tiny")


def test_a_failed_pull_is_its_own_sentence_and_can_be_tried_again(
    published: HubServer, opened: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    page = opened()
    for fault, sentence in (
        (
            Fault("GET /store/", status=403),
            f"The token has no permission to read {REPOSITORY}. Use another token or another owner.",
        ),
        (
            Fault("GET /store/", status=429),
            "The Hub received too many requests from this address. Try again in a few minutes.",
        ),
        (Fault("GET /store/", body=lambda content: content[:-1] + b"\x01", times=1), "model.safetensors of"),
    ):
        published.faults[:] = [fault]
        pull(page)
        (error,) = errors(page)
        assert error.startswith(sentence) and "not pulled yet" in cards(page)["tiny"]
        assert TOKEN not in said(page) + error + str(cards(page))
    published.faults.clear()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
        assert errors(pull(page))[0].startswith(f"The disk is full: there is no space for {REPOSITORY}")
    assert not errors(pull(page)) and "Pulled from the Hub" in cards(page)["tiny"]


def test_what_the_hub_has_but_nobody_can_use(published: HubServer, opened: Callable[[], AppTest]) -> None:
    config = json.loads(published.repositories[REPOSITORY].commits[-1][2]["config.json"]) | {"format_version": 3}
    revision = published.commit(REPOSITORY, {"config.json": json.dumps(config).encode()})
    page = opened()
    assert errors(page) == [
        f"{REPOSITORY}, revision {revision[:7]}, cannot be used. config.json is of format 3; this Garmentscope reads "
        "up to 2. Update Garmentscope."
    ]
    published.commit(REPOSITORY, {"model.safetensors": None, "weights.pt": b"x"})
    press(page, "Ask the Hub again")
    assert "only as a pickle (weights.pt)" in errors(answered(page))[0]
    assert labels(page).count("Pull") == 0


def test_a_damaged_local_checkpoint_cannot_be_used(
    more_models: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[], AppTest]
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(more_models))
    page = opened()
    assert list(cards(page)) == ["fpn", "blank", "empty", "tiny", "torn"]
    assert errors(page) == ["model.safetensors is missing. Get the checkpoint again."]
    assert [each.key for each in page.button if each.disabled] == ["models-use-torn"]
    assert str(more_models / "tiny") in cards(page)["tiny"]


def test_the_model_card_is_read_on_the_page(hub: HubServer, opened: Callable[[], AppTest]) -> None:
    page = press(opened(), "Model card")
    card = next(each.value for each in page.markdown if each.value.startswith("# Garmentscope fpn"))
    assert "## Limits" in card and "library_name" not in card

"""The whole way of a model: fitted on made-up photos, pushed, pulled in a browser, and used on a photo."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hub_server import TOKEN, HubServer
from PIL import Image
from playwright.sync_api import Browser, expect
from streamlit_page import settle

APP = Path(__file__).parents[3] / "dashboard" / "app.py"
WAIT = 120_000  # ms, for a machine that does other work too
REPOSITORY = "atelier/garmentscope-mine"
RECIPE = {
    **{"fold": "-1", "photos": "8", "imagenet": "false", "epochs": "2", "batch_size": "2"},
    **{"architecture": "unet_classic", "arguments": "{width=0.05}", "height": "64", "width": "32", "cache_side": "64"},
}


def test_from_a_fit_to_a_segmented_photo(
    hub: HubServer, photo_folder: Path, browser: Browser, serve: Callable[..., str], tmp_path: Path
) -> None:
    fit = [
        sys.executable,
        "-m",
        "train",
        "fit",
        "own/trial",
        "--data",
        str(photo_folder),
        "--out",
        str(tmp_path / "run"),
    ]
    fit += ["--workers", "0", "--push", "atelier", "--name", "mine", *(f"--set={k}={v}" for k, v in RECIPE.items())]
    trainer = {"GARMENTSCOPE_CACHE": str(tmp_path / "cache"), "HF_TOKEN": TOKEN}
    environment = os.environ | hub.environment(tmp_path / "trainer") | trainer
    done = subprocess.run(fit, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"{hub.address}/{REPOSITORY} holds " in done.stdout and TOKEN not in done.stdout + done.stderr

    address = serve(APP, hub.environment(tmp_path / "app") | {"GARMENTSCOPE_HUB": "atelier"}, fresh=True)
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"{address}/models")
    card = page.locator(".st-key-models-card-mine")
    expect(card).to_contain_text("On the Hub, not pulled yet", timeout=WAIT)
    settle(page)
    card.get_by_role("button", name="Model card").click()
    expect(page.get_by_role("dialog")).to_contain_text(f'load_segmenter("hf://{REPOSITORY}")', timeout=WAIT)
    settle(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    card.get_by_role("button", name="Pull").click()
    expect(card).to_contain_text("Pulled from the Hub", timeout=WAIT)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.set_viewport_size({"width": 1440, "height": 1000})
    settle(page)
    card.get_by_role("button", name="Use").click()

    expect(page.get_by_role("heading", name="Drop an outfit photo")).to_be_visible(timeout=WAIT)
    settle(page)
    page.locator("input[type=file]").first.set_input_files(photo_folder / "photos" / "0016.jpg")
    expect(page.get_by_role("heading", name="Segment", exact=True)).to_be_visible(timeout=WAIT)
    settle(page)  # a click during a rerun downloads nothing
    with page.expect_download() as waiting:
        page.get_by_role("button", name="JSON", exact=True).click()
    listing = json.loads(Path(waiting.value.path()).read_bytes())
    assert (listing["model"], listing["revision"]) == ("mine", hub.head(REPOSITORY))
    settle(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Class map (PNG)").click()
    with Image.open(io.BytesIO(Path(waiting.value.path()).read_bytes())) as image:
        assert (image.mode, image.size) == ("P", (listing["width"], listing["height"]))
    context.close()

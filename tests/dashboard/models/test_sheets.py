"""What a card says, from folders that a test has written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign_networks import save_onnx
from own_classes import KIMONO
from scored import LABEL, evaluation, judged, write_model

from dashboard.evaluation.records import read_model
from dashboard.models.sheets import Sheet, describe, megabytes, read_card, scores_to_show, sheet_html
from segmodels.checkpoints.catalog import CatalogEntry, Offer
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.hub.client import HubCheckpoint
from segmodels.inference.presence import (
    Calibration,
    ClassCalibration,
    PresenceJudgement,
    PresenceScores,
    feature_names,
    write_calibration,
)
from segmodels.taxonomy import OUTFIT_15, taxonomy_entries

COMMIT, NEWER = "a" * 40, "b" * 40
REPOSITORY = "atelier/garmentscope-fpn"
Make = Callable[..., Sheet]


@pytest.fixture
def sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes the sheet of a checkpoint that is here, or of one that only the Hub has."""
    monkeypatch.setenv("GARMENTSCOPE_HUB", "atelier")

    def make(source: str = "embedded", hub: HubCheckpoint | None = None, **config: Any) -> Sheet:
        rows = judged(1)
        folder = write_model(tmp_path / f"model-{len(list(tmp_path.iterdir()))}", {"evaluations": [evaluation(rows)]})
        written = json.loads((folder / "config.json").read_text()) | {"height": 480, "width": 240} | config
        (folder / "config.json").write_text(json.dumps(written))
        if source == "not pulled":
            (folder / "model.safetensors").unlink()
            assert hub
            hub = HubCheckpoint(hub.name, hub.repository, hub.revision, hub.size, folder, hub.problem)
            here = None
        else:
            here = CatalogEntry("fpn", source, folder, COMMIT if source == "hub" else "")  # type: ignore[arg-type]
        model = read_model("fpn", folder)
        measurement = scores_to_show([model])["fpn"]
        return describe(Offer("fpn", here, hub), model, measurement, revision="0123456789ab", parameters=98_000_000)

    return make


def on_hub(revision: str = COMMIT, problem: str = "") -> HubCheckpoint:
    return HubCheckpoint("fpn", REPOSITORY, revision, 98_000_000, problem=problem)


def test_an_embedded_checkpoint(sheet: Make) -> None:
    found = sheet(crop="person")
    assert found.place == "Ships with the app" and found.address == ""
    assert found.architecture == "Architecture fpn" and found.paper.startswith("Lin et al.")
    assert found.facts == {"Parameters": "0.001 M", "Size": "2 kB", "Input": "480 x 240, cropped to each person"}
    assert list(found.scores) == ["Mean IoU", "Mean F1", "Accuracy"] and found.measured == f"On {LABEL}"
    assert found.scores["Accuracy"] == f"{evaluation(judged(1))['scores']['pixel_accuracy']:.3f}"
    assert found.revision == "0123456789ab" and found.usable and found.pull == "" and found.note == ""


def test_a_card_says_what_it_was_trained_and_measured_on(sheet: Make) -> None:
    training = {"dataset": "ccp", "device": "NVIDIA T4", "precision": "fp16"}
    found = sheet(training=training)
    assert found.machines.startswith("Trained on NVIDIA T4 in fp16")
    assert "Trained on NVIDIA T4 in fp16" in sheet_html(found, in_use=False)
    assert not sheet(training={}).machines.startswith("Trained")


def test_a_local_folder_names_its_folder_and_its_arguments(sheet: Make) -> None:
    found = sheet("folder", arguments={"encoder": "resnet50"}, crop="none")
    assert found.place == "Local folder" and found.address == str(found.folder)
    assert found.architecture == "Architecture fpn, encoder resnet50"
    assert found.facts["Input"] == "480 x 240, whole photo"


def test_an_ensemble_names_all_its_networks(sheet: Make) -> None:
    member = {"architecture": "unet", "arguments": {"encoder": "resnet50"}, "height": 320, "width": 320, "share": 0.4}
    found = sheet(ensemble=[member], crop="person")
    assert found.architecture == "Architecture fpn; averaged with unet, encoder resnet50"
    assert found.facts["Input"] == "480 x 240 and 320 x 320, cropped to each person"
    assert sheet(ensemble="damaged").architecture == sheet(ensemble=["damaged"]).architecture == "Architecture fpn"


def test_what_is_not_pulled(sheet: Make) -> None:
    found = sheet("not pulled", on_hub())
    assert (found.place, found.address) == ("On the Hub, not pulled yet", REPOSITORY)
    assert found.facts["Parameters"] == "98.0 M" and found.facts["Size"] == "98.0 MB", "which its folder cannot tell"
    assert found.revision == COMMIT[:12] and found.scores
    assert (found.pull, found.bytes_to_pull, found.usable, found.here) == ("Pull", 98_000_000, False, False)


def test_what_ships_without_its_weights(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "large", {"evaluations": [evaluation(judged(1))]})
    (folder / "model.safetensors").unlink()
    training = {"command": "python -m train fit own/large", "parameters": 39_600_000}
    written = json.loads((folder / "config.json").read_text()) | {"training": training}
    (folder / "config.json").write_text(json.dumps(written))
    model = read_model("large", folder)
    found = describe(Offer("large", described=folder), model, scores_to_show([model])["large"])
    assert found.place == "Described: weights not included" and found.address == found.revision == ""
    assert found.facts["Parameters"] == "39.6 M" and found.facts["Size"] == "–"
    assert found.note == "Its weights are not included; the model card has the command that trains them."
    assert not found.usable and not found.here and found.obstacle == "" and found.pull == ""
    assert found.measured == f"On {LABEL}"


def test_what_is_pulled(sheet: Make) -> None:
    found = sheet("hub", on_hub())
    assert (found.place, found.address) == ("Pulled from the Hub", REPOSITORY)
    assert found.revision == COMMIT[:12] and found.usable and found.pull == "" and found.note == ""
    assert sheet("hub").address == REPOSITORY, "also where the Hub could not be asked"


def test_a_newer_revision(sheet: Make) -> None:
    found = sheet("hub", on_hub(NEWER))
    assert found.pull == "Update" and found.usable and found.revision == COMMIT[:12]
    assert found.note == f"The Hub has a newer revision, {NEWER[:12]}."


def test_a_newer_revision_that_is_no_good(sheet: Make) -> None:
    found = sheet("hub", on_hub(NEWER, "It is of format 2."))
    assert found.pull == "" and found.usable
    assert found.note == "The pulled revision still works; the newest one cannot be used: It is of format 2."


@pytest.mark.parametrize(("source", "which"), [("embedded", "embedded one"), ("folder", "one of the local folder")])
def test_a_name_that_the_hub_has_too(sheet: Make, source: str, which: str) -> None:
    found = sheet(source, on_hub())
    assert found.pull == "" and f"The {which} is used" in found.note and REPOSITORY in found.note


def test_what_the_hub_has_but_cannot_give() -> None:
    found = describe(Offer("fpn", None, on_hub(problem="It holds only a pickle.")), None)
    assert found.obstacle == "It holds only a pickle." and not found.pull and not found.usable and found.folder is None
    assert "<dl>" not in sheet_html(found, in_use=False), "nothing is known of it"


def test_other_classes_are_listed(sheet: Make) -> None:
    assert sheet("hub").classes == ""
    found = describe(*_unmeasured(sheet("hub"), {"taxonomy": "CFPD_23"}))
    assert found.usable and found.classes == (
        "23 classes of CFPD_23: Hat, Sunglasses, Scarf, Coat, Blazer, Sweater, Blouse, T-shirt and 14 more"
    )
    found = describe(*_unmeasured(sheet("hub"), taxonomy_entries(KIMONO)))
    assert found.usable and found.classes == "5 classes of kimono shop: Kimono, Obi <sash>, Left hand, Tote bag"
    assert "<p>5 classes of kimono shop: Kimono, Obi &lt;sash&gt;, Left hand" in sheet_html(found, in_use=False)


def test_a_network_from_elsewhere(tmp_path: Path) -> None:
    folder = save_onnx(tmp_path / "net" / "net.onnx", shape=("n", 3, 64, 48)).parent
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Theirs")
    model = read_model("net", folder)
    assert not model.sentences and model.taxonomy and model.taxonomy.names == ("Backdrop", "Shirt", "Pants")
    found = describe(Offer("net", CatalogEntry("net", "folder", folder)), model)
    assert found.usable and found.architecture == "Architecture ONNX" and found.classes.startswith("3 classes of ")
    assert found.origin == (
        "Network of ONNX. Source: tests. Licence: mit. Its background is the class Backdrop. It is given the whole "
        "photo, so people are not told apart."
    )
    assert found.origin in sheet_html(found, in_use=False)
    assert found.facts["Input"] == "64 x 48, whole photo" and found.counts == "Raw counts: no calibration."
    assert model.parameters == 12 and model.size == (folder / "net.onnx").stat().st_size
    (folder / "net.json").unlink()
    found = describe(Offer("net", CatalogEntry("net", "folder", folder)), read_model("net", folder))
    assert found.obstacle.startswith("net.onnx does not say what its classes are.") and not found.usable


def test_a_model_of_a_kind_that_is_not_supported(tmp_path: Path) -> None:
    config = {"model_type": "vit", "architectures": ["ViTForImageClassification"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = read_model("vit", tmp_path)
    found = describe(Offer("vit", CatalogEntry("vit", "folder", tmp_path)), model)
    assert "a classification model of transformers (ViTForImageClassification)" in found.obstacle


def test_classes_that_nobody_knows(sheet: Make) -> None:
    hub = sheet("hub")
    assert hub.folder
    (hub.folder / "metrics.json").unlink()
    found = describe(*_unmeasured(hub, {"taxonomy": "OUTFIT_16"}))
    assert not found.usable
    assert found.obstacle == "Its classes are not known here. Update Garmentscope, or get the checkpoint again."


def _unmeasured(found: Sheet, entries: dict[str, Any]) -> tuple[Offer, Any]:
    assert found.folder
    path = found.folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    return Offer("fpn", CatalogEntry("fpn", "hub", found.folder, COMMIT)), read_model("fpn", found.folder)


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("model.safetensors", None, "model.safetensors is missing. Get the checkpoint again."),
        ("model.safetensors", b"cut off", "model.safetensors is damaged. Get the checkpoint again."),
        ("config.json", b"{", "config.json is damaged"),
        ("metrics.json", b"[1,", "metrics.json is damaged"),
        ("calibration.json", b"{", "calibration.json is damaged"),
        ("kinds.json", b"{", "kinds.json is damaged"),
        ("embedding.safetensors", b"cut off", "embedding.safetensors is damaged"),
    ],
)
def test_files_that_are_no_good(sheet: Make, file: str, content: bytes | None, sentence: str) -> None:
    """Each of these files keeps the checkpoint from being loaded, and the card says so before anybody uses it."""
    folder = sheet("hub").folder
    assert folder
    (folder / file).unlink(missing_ok=True)
    if content is not None:
        (folder / file).write_bytes(content)
    entry = CatalogEntry("fpn", "hub", folder, COMMIT)
    found = describe(Offer("fpn", entry, on_hub()), read_model("fpn", folder), revision="0123456789ab")
    assert found.obstacle.startswith(sentence) and not found.usable and found.pull == "Pull again"
    assert found.measured == ("" if file == "metrics.json" else "Not measured, so there are no scores.")


def test_no_scores_are_said_to_be_none(tmp_path: Path) -> None:
    model = read_model("fpn", write_model(tmp_path / "fpn", None))
    assert scores_to_show([model]) == {}
    found = describe(Offer("fpn", CatalogEntry("fpn", "embedded", model.folder)), model)
    assert found.scores == {} and "Not measured, so there are no scores." in sheet_html(found, in_use=False)


def test_scores_on_the_photos_that_most_were_measured_on(tmp_path: Path) -> None:
    few, all_of_them = judged(1)[:3], judged(2)
    three = EvaluatedPhotos(dataset="ccp", split="ids", ids_file="three.txt")
    both = {"evaluations": [evaluation(few, three), evaluation(all_of_them)]}
    models = [
        read_model("one", write_model(tmp_path / "one", both)),
        read_model("two", write_model(tmp_path / "two", {"evaluations": [evaluation(all_of_them)]})),
        read_model("three", write_model(tmp_path / "three", {"evaluations": [evaluation(few, three)]})),
        read_model("four", write_model(tmp_path / "four", {"evaluations": [evaluation(judged(3))]})),
    ]
    chosen = {name: str(measurement.photos) for name, measurement in scores_to_show(models).items()}
    assert chosen == {"one": LABEL, "two": LABEL, "three": "Clothing Co-Parsing, three.txt (3 photos)", "four": LABEL}


def test_what_others_wrote_is_no_html(sheet: Make) -> None:
    found = sheet("folder", architecture="<script>x</script>", arguments={"<b>": "<i>"})
    text = sheet_html(found, in_use=True)
    assert "<script>" not in text and "<b>" not in text and "&lt;script&gt;" in text
    assert "In use" in text and "In use" not in sheet_html(found, in_use=False)


def test_a_model_card_without_front_matter_and_pictures(tmp_path: Path) -> None:
    assert read_card(None) == read_card(tmp_path) == ""
    card = "---\r\nlicense: x\r\n---\r\n\r\n# Name\r\n\r\n![a spy](https://example.org/x.png)\n\n---\n\nrest\n"
    (tmp_path / "README.md").write_bytes(card.encode() + b"\xff")
    text = read_card(tmp_path)
    assert text.startswith("# Name\n\n[a spy](https://example.org/x.png)") and "license" not in text
    assert text.endswith("---\n\nrest\n�")


@pytest.mark.parametrize(("size", "text"), [(98_123_456, "98.1 MB"), (123_456, "0.1 MB"), (2_400, "2 kB")])
def test_sizes(size: int, text: str) -> None:
    assert megabytes(size) == text


def test_how_a_model_counts(sheet: Make, tmp_path: Path) -> None:
    found = sheet()
    assert found.counts == "Raw counts: no calibration." and "Raw counts" in sheet_html(found, in_use=False)
    assert found.folder is not None
    rest = (0.0,) * len(feature_names(OUTFIT_15))
    one = ClassCalibration(intercept=0.0, weights=rest, share_error=0.01)
    judgement = PresenceJudgement(
        photos=EvaluatedPhotos(dataset="ccp", split="ids", ids_file="others.txt", number=90),
        how="held out",
        raw=PresenceScores(share_error=0.084, f1=0.8, brier=0.1),
        calibrated=PresenceScores(share_error=0.019, f1=0.9, brier=0.05),
    )
    classes = {garment.name: one for garment in OUTFIT_15.worn}
    write_calibration(found.folder, Calibration(taxonomy="OUTFIT_15", classes=classes, judged_on=(judgement,)))
    entry = CatalogEntry("fpn", "embedded", found.folder, "")
    counts = describe(Offer("fpn", entry), read_model("fpn", found.folder)).counts
    assert counts == (
        "Calibrated counts: on Clothing Co-Parsing, others.txt (90 photos), the share of a garment is 1.9 points off "
        "on average, without the calibration 8.4."
    )
    (found.folder / "calibration.json").write_text("{")
    assert "is damaged" in describe(Offer("fpn", entry), read_model("fpn", found.folder)).obstacle

import hashlib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from dashboard.shared.principal import Principal
from dashboard.trends.choice import MADE_UP, choices
from dashboard.trends.filter_bar import values_with
from dashboard.trends.reliability import read_trust
from segmodels.archive.calibration import installed_calibration
from segmodels.archive.counts import Counting
from segmodels.archive.facts import Size, View
from segmodels.archive.filters import evidence_line, from_link, removals, to_link
from segmodels.archive.intervals import Reliability
from segmodels.archive.store import Version
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.presence import (
    Calibration,
    ClassCalibration,
    PresenceJudgement,
    PresenceScores,
    feature_names,
    write_calibration,
)
from segmodels.taxonomy import OUTFIT_15

TAGS = {"market": ["North", "South"], "season": ["winter"]}
FULL = View(
    first=date(2023, 1, 2),
    last=date(2023, 3, 4),
    tags=(("market", ("North", "South")),),
    garments=("Coat", "Scarf/Tie"),
    colours=("blue",),
    min_share=0.05,
    min_confidence=0.5,
    duplicates=True,
)


def test_a_tag_of_many_values_is_searched() -> None:
    values = [f"SKU-{number}" for number in range(100_000)]
    assert values_with(values, "") == values[:50]
    assert values_with(values, " sku-99999 ") == ["SKU-99999"]
    assert values_with([*values, "999 first"], "999")[0] == "999 first"
    assert len(values_with(values, "9")) == 50
    assert values_with(values, "nowhere") == []


def parsed(link: dict[str, str | list[str]]) -> tuple[View, list[str]]:
    listed = {key: [value] if isinstance(value, str) else value for key, value in link.items()}
    return from_link(listed, OUTFIT_15, TAGS)


@pytest.mark.parametrize("view", [View(), FULL])
def test_a_link_gives_the_view_back(view: View) -> None:
    assert parsed(to_link(view)) == (view, [])
    assert to_link(View()) == {}


def test_the_way_of_counting_is_in_the_link() -> None:
    raw = View(counting="raw")
    assert to_link(raw) == {"count": "raw"}
    ways: tuple[Counting, ...] = ("expected", "raw")
    assert from_link({"count": ["raw"]}, OUTFIT_15, TAGS, ways) == (raw, [])
    assert from_link({"count": ["expected"]}, OUTFIT_15, TAGS, ways) == (View(), []), "the default"
    assert from_link({"count": ["raw"]}, OUTFIT_15, TAGS) == (View(), []), "there is no other"
    view, sentences = from_link({"count": ["expected"]}, OUTFIT_15, TAGS)
    assert view == View() and sentences == ["This archive has raw counts only."]
    view, sentences = from_link({"count": ["all"]}, OUTFIT_15, TAGS, ways)
    assert view == View() and 'The way of counting in the link ("all")' in sentences[0]


def test_a_link_of_an_earlier_version_says_what_is_gone() -> None:
    view, sentences = from_link({"share": ["0.05"], "confidence": ["0.5"]}, OUTFIT_15, TAGS, ("expected", "raw"))
    assert view == View()
    assert sentences == ["Minimum shares and confidences apply to raw counts only; those in the link are ignored."]
    view, sentences = from_link({"share": ["0.05"], "count": ["raw"]}, OUTFIT_15, TAGS, ("expected", "raw"))
    assert view == View(min_share=0.05, counting="raw") and not sentences
    view, sentences = from_link({"corrected": ["yes"]}, OUTFIT_15, TAGS)
    assert view == View() and "no longer corrected for recognition errors" in sentences[0]


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"from": "soon"}, 'start date in the link ("soon") is not a date'),
        ({"from": "2023-05-01", "to": "2023-04-01"}, "start date in the link is after its end date"),
        ({"tag.market": "West"}, 'filter on "market" in the link matches no photo'),
        ({"tag.shop": "A"}, 'filter on "shop"'),
        ({"garments": "Cape"}, '"Cape", which is not one of the garments'),
        ({"garments": "Skin"}, '"Skin", which is not one of the garments'),
        ({"colours": "mud"}, '"mud", which is not one of the colours'),
        ({"share": "much"}, 'minimum share in the link ("much") is not a number from 0 to 0.5;'),
        ({"share": "0.6"}, 'minimum share in the link ("0.6") is not a number from 0 to 0.5;'),
        ({"duplicates": "maybe"}, 'value "maybe" for duplicates in the link is not yes or no'),
        ({"confidence": "nan"}, 'minimum confidence in the link ("nan") is not a number from 0 to 0.99;'),
    ],
)
def test_what_a_link_cannot_mean_is_left_out_and_said(link: dict[str, str | list[str]], sentence: str) -> None:
    view, sentences = parsed(link)
    assert view == View() and len(sentences) == 1 and sentence in sentences[0]


def test_one_value_of_a_tag_that_there_is_not_is_said() -> None:
    view, sentences = parsed({"tag.market": ["West", "South"]})
    assert view.tags == (("market", ("South",)),)
    assert sentences == ['No photo here has the value "West" of "market", which is in the link; it is ignored.']


def test_minimums_are_whole_percents_as_in_their_sliders() -> None:
    assert parsed({"share": "0.054", "confidence": "0.99"})[0] == View(min_share=0.05, min_confidence=0.99)


def test_each_filter_can_be_taken_away() -> None:
    left = removals(FULL)
    assert [text for text, _ in left] == [
        "2023-01-02 to 2023-03-04",
        "market: North or South",
        "Coat",
        "Scarf/Tie",
        "blue",
        "share of at least 5%",
        "confidence of at least 50%",
        "near-duplicates counted",
    ]
    assert left[2][1].garments == ("Scarf/Tie",) and left[1][1].tags == () and left[0][1].first is None


def test_the_evidence_line() -> None:
    assert evidence_line(Size(1800, 1912, 0, None, None), "fpn", "3f2a91c") == (
        "1,800 photos, 1,912 outfits, no dates, analysed by fpn 3f2a91c"
    )
    some = evidence_line(Size(1, 1, 1, date(2023, 1, 2), date(2023, 1, 2)), "fpn", "3f2a91c")
    assert some == "1 photo, 1 outfit, 2023-01-02, analysed by fpn 3f2a91c"
    copies = evidence_line(Size(1788, 1900, 0, None, None), "fpn", "3f2a91c", near_duplicates=12)
    assert copies == "1,788 photos, 1,900 outfits, 12 near-duplicates not counted, no dates, analysed by fpn 3f2a91c"
    part = evidence_line(Size(3, 3, 2, date(2023, 1, 2), date(2023, 1, 3)), "fpn", "3f2a91c")
    assert "2023-01-02 to 2023-01-03 (1 outfit without a date)" in part
    about = evidence_line(Size(1234.4, 1300.2, 1300.1, date(2023, 1, 2), date(2023, 1, 3)), "fpn", "3f2a91c")
    assert about == "About 1,234 photos, about 1,300 outfits, 2023-01-02 to 2023-01-03, analysed by fpn 3f2a91c"


def test_archives_that_can_be_opened(tmp_path: Path) -> None:
    (tmp_path / "shipped" / "ccp" / "OUTFIT_15" / "fpn@1").mkdir(parents=True)
    (tmp_path / "shipped" / "ccp" / "OUTFIT_15" / "fpn@1" / "a.parquet").touch()
    (tmp_path / "shipped" / "empty").mkdir()
    environment = {"GARMENTSCOPE_ARCHIVE": "/a/shop:s3://bucket/shop:", "XDG_CACHE_HOME": str(tmp_path)}
    found = choices(Principal(""), environment, tmp_path / "shipped")
    assert [(each.name, each.made_up) for each in found] == [
        ("shop", False),
        ("shop (2)", False),
        ("ccp", False),
        (MADE_UP, True),
    ]
    assert found[2].title == "Clothing Co-Parsing"
    assert found[1].location == "s3://bucket/shop" and found[3].location.startswith(str(tmp_path))


def test_reliability_is_of_one_model(tmp_path: Path) -> None:
    file, version = tmp_path / "reliability.json", Version("OUTFIT_15", "fpn", "1")
    assert "was not measured" in read_trust(file, version).sentence
    file.write_text("{")
    assert "damaged" in read_trust(file, version).sentence
    file.write_text(
        '{"OUTFIT_15": {"model": "fpn", "revision": "1", "how": "On 300 photos.", "garments": {"Hat": {'
        '"sensitivity": 0.8, "worn": 40, "specificity": 0.9, "not_worn": 260, '
        '"share_threshold": 0.01, "confidence_threshold": 0.5}, '
        '"Romper": {"sensitivity": null, "worn": 0, "specificity": 1.0, "not_worn": 300}}}}'
    )
    trust = read_trust(file, version)
    assert trust.garments == {"Hat": Reliability(0.8, 40, 0.9, 260)} and not trust.share_errors
    assert trust.how == "On 300 photos. Garments below 1.0% of the outfit or 50% confidence did not count there."
    assert not trust.sentence and not trust.expected and "calibration of this model is not installed" in trust.lacking
    other = read_trust(file, Version("OUTFIT_15", "fpn", "2"))
    assert "not for fpn 2" in other.sentence and not other.garments


def test_the_errors_of_a_calibration_are_those_of_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text('{"taxonomy": "OUTFIT_15"}')
    (folder / "model.safetensors").write_bytes(b"weights")
    revision = hashlib.sha256(b"weights").hexdigest()[:12]
    mine = Version("OUTFIT_15", "mine", revision)
    assert installed_calibration(mine) is None, "no calibration"
    count = len(feature_names(OUTFIT_15))
    classes = {
        garment.name: ClassCalibration(intercept=0.0, weights=(0.0,) * count, share_error=garment.id / 100)
        for garment in OUTFIT_15.worn
    }
    calibration = Calibration(taxonomy="OUTFIT_15", classes=classes)
    write_calibration(folder, calibration)
    trust = read_trust(tmp_path / "reliability.json", mine)
    assert not trust.expected and not trust.lacking, "nobody judged it"
    assert (found := installed_calibration(mine)) and found.share_errors["Hat"] == 0.07
    assert read_trust(tmp_path / "reliability.json", mine).share_errors["Coat"] == 0.02
    fitted, judged = (
        PresenceJudgement(
            photos=EvaluatedPhotos(dataset="ccp", number=number),
            how="held out",
            raw=PresenceScores(share_error=0.0528, f1=0.8, brier=0.1),
            calibrated=PresenceScores(share_error=error, f1=0.9, brier=0.05),
        )
        for number, error in ((158, 0.012), (1101, 0.025))
    )
    write_calibration(folder, replace(calibration, fitted_on=(fitted,), judged_on=(judged,)))
    assert read_trust(tmp_path / "reliability.json", mine).expected == (
        "On 1,101 photos whose garments are known, expected shares were 2.5 points off on average, without the "
        "calibration 5.3."
    )
    assert installed_calibration(Version("OUTFIT_15", "mine", "0" * 12)) is None, "of other weights"
    assert installed_calibration(Version("OUTFIT_15", "yours", revision)) is None
    (folder / "calibration.json").write_text("{")
    assert installed_calibration(mine) is None

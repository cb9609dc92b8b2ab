"""Report, workbook and slides of the same sections: read back, their numbers are those of the page."""

import io
import math
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from pptx import Presentation
from pptx.util import Inches
from trend_sections import EVERY_RULE, SECTIONS

from dashboard.evaluation.pictures import Card
from dashboard.shared.tables import heading
from dashboard.trends.coloured import colour_section
from dashboard.trends.contents import Contents, collect
from dashboard.trends.deck import TemplateError
from dashboard.trends.moves import forecast_section, line_section
from dashboard.trends.report import MOST_BYTES, report_html
from dashboard.trends.section import Builder, Question
from dashboard.trends.slides import slides_pptx
from dashboard.trends.together import rule_section
from dashboard.trends.workbook import workbook_xlsx
from dashboard.trends.worn import groups_section, other_tag, share_section
from segmodels.archive.facts import View

GIVEN: dict[str, Any] = {"archive": "=looks", "evidence": "60 photos, by fake", "filters": ["Hat"], "made_up": True}
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"


def against(question: Question) -> Builder:
    return partial(share_section, against=other_tag(question.facts, question.view, "market", "South", None))


@pytest.fixture(scope="module")
def contents(expected: Question) -> Contents:
    """Each view that the sixty have enough for, and one that they have not."""
    changed = {rule_section: EVERY_RULE, forecast_section: partial(forecast_section, garment="Coat")}
    first, *others = SECTIONS
    builders = [
        first,
        against(expected),
        *(changed.get(each, each) for each in others),
        partial(groups_section, by="market"),
        partial(line_section, of="Coat"),
        partial(colour_section, garment="Romper"),
    ]
    found = collect(expected, builders, **GIVEN)
    assert len(found.sections) == 16 and len(found.refused) == 1
    return found


# --- Excel ------------------------------------------------------------------------------------------------------------


def read_workbook(data: bytes) -> dict[str, list[list[tuple[str, str]]]]:
    """Sheets as rows of texts and number formats, read by what the format says, without the library that wrote it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        part = {name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist() if "xml" in name}
    texts = ["".join(each.itertext()) for each in part["xl/sharedStrings.xml"].iter(f"{_MAIN}si")]
    own = {each.get("numFmtId"): each.get("formatCode") for each in part["xl/styles.xml"].iter(f"{_MAIN}numFmt")}
    known = {"0": "General", "2": "0.00", "3": "#,##0", **own}
    cell_styles = next(part["xl/styles.xml"].iter(f"{_MAIN}cellXfs"))
    formats = [known[each.get("numFmtId")] for each in cell_styles]
    sheets = {}
    for place, sheet in enumerate(part["xl/workbook.xml"].iter(f"{_MAIN}sheet"), 1):
        root = part[f"xl/worksheets/sheet{place}.xml"]
        assert not list(root.iter(f"{_MAIN}f")), "no cell is a formula"
        rows = []
        for row in root.iter(f"{_MAIN}row"):
            cells = {}
            for cell in row:
                value = cell.findtext(f"{_MAIN}v") or ""
                text = texts[int(value)] if cell.get("t") == "s" else value
                cells[re.sub(r"\d", "", str(cell.get("r")))] = (text, formats[int(cell.get("s", 0))] or "")
            rows.append([cells.get(chr(65 + column), ("", "")) for column in range(26)])
        sheets[str(sheet.get("name"))] = rows
    return sheets


def test_a_sheet_for_each_table_with_its_numbers(contents: Contents) -> None:
    sheets = read_workbook(workbook_xlsx(contents))
    assert len(sheets) == 17 and all(len(name) <= 31 for name in sheets)
    assert list(sheets)[:3] == ["About", "What is worn", "What is worn 2"]
    for rows, section in zip(list(sheets.values())[1:], contents.sections, strict=True):
        table = section.numbers
        assert [text for text, _ in rows[0] if text] == [heading(name) for name in table.columns]
        assert len(rows) == len(table) + 1
        for row, values in zip(rows[1:], table.itertuples(index=False), strict=True):
            for (text, look), name, value in zip(row, table.columns, values, strict=False):
                if isinstance(value, pd.Timestamp):
                    assert date(1899, 12, 30) + timedelta(float(text)) == value.date() and look == "yyyy-mm-dd"
                elif isinstance(value, bool):
                    assert text == str(int(value))
                elif isinstance(value, float) and math.isnan(value):
                    assert text == ""
                elif isinstance(value, int | float):
                    assert float(text) == pytest.approx(value, rel=1e-12)
                    assert ("%" in look) == (name in PERCENT or (name in ("low", "high") and "share" in table.columns))
                else:
                    assert text == value


PERCENT = {
    *("share", "other_share", "other_low", "other_high", "first_share", "last_share", "support", "confidence"),
    *("reverse", "change", "change_low", "change_high"),
}


def test_the_first_sheet_says_what_when_and_which_model(contents: Contents) -> None:
    rows = read_workbook(workbook_xlsx(contents))["About"]
    said = {label: (text, look) for (label, _), (text, look), *_ in rows if label}
    assert said["Archive"][0] == "=looks" and said["Filters"][0] == "Hat"
    assert said["Photos, outfits, model"][0] == "60 photos, by fake" and "Expected counts" in said["Unit"][0]
    days, look = said["Written"]
    assert date(1899, 12, 30) + timedelta(int(float(days))) == contents.written.date() and look == "yyyy-mm-dd hh:mm"
    assert said["What is worn"][0] == f"{contents.sections[0].finding}." and "Romper" in said["Not shown"][0]


# --- PowerPoint -------------------------------------------------------------------------------------------------------


def values(chart: Any) -> dict[str, dict[Any, float | None]]:
    """Values of a chart by series and category."""
    (plot,) = chart.plots
    return {each.name: dict(zip(list(plot.categories), each.values, strict=True)) for each in plot.series}


def ends(series: Any) -> tuple[list[float], list[float]]:
    """Lengths of the error bars of a series, upwards and downwards."""
    bars = series._element.find(f"{_CHART}errBars")
    found = [[float(v.text) for v in bars.find(f"{_CHART}{tag}").iter(f"{_CHART}v")] for tag in ("plus", "minus")]
    return found[0], found[1]


def test_each_slide_says_its_finding_and_shows_the_numbers_of_the_page(contents: Contents) -> None:
    deck = Presentation(io.BytesIO(slides_pptx(contents)))
    assert len(deck.slides) == len(contents.sections)
    charts, tables = {}, {}
    for slide, section in zip(deck.slides, contents.sections, strict=True):
        assert slide.shapes.title.text_frame.text == section.finding and not section.finding.endswith(".")
        said = " ".join(each.text_frame.text for each in slide.shapes if each.has_text_frame)
        assert "60 photos, by fake. Filters: Hat." in said and f"{contents.written:%Y-%m-%d}" in said
        assert section.caption.partition(". ")[0] in said and "outfits" in section.caption.partition(". ")[0].lower()
        assert section.caption in slide.notes_slide.notes_text_frame.text
        for each in slide.shapes:
            assert each.left >= 0 and each.top + each.height <= deck.slide_height + Inches(0.2), section.key
        place = f"{section.key} {section.title}"
        for each in slide.shapes:
            if each.has_chart:
                charts[place] = each.chart
            if each.has_table:
                tables[place] = each.table
    by = {f"{section.key} {section.title}": section.table for section in contents.sections}

    shares = charts["trends-areas Share of the outfit's pixels"]
    table = by["trends-areas Share of the outfit's pixels"].set_index("garment")
    assert values(shares)["Share"] == pytest.approx(table["share"].to_dict())
    (drawn,) = shares.plots[0].series
    assert ends(drawn)[0] == pytest.approx((table["high"] - table["share"]).tolist())
    assert ends(drawn)[1] == pytest.approx((table["share"] - table["low"]).tolist())

    two = values(charts["trends-shares What is worn"])  # the second of that name: one group against the rest
    table = by["trends-shares What is worn"].set_index("garment")
    assert two["market South"] == pytest.approx(table["share"].to_dict())
    assert two["any other market"] == pytest.approx(table["other_share"].to_dict())

    lines = values(charts["trends-lines Garments over time"])
    table = by["trends-lines Garments over time"]
    for name, part in table.groupby("name"):
        assert list(lines[name].values()) == pytest.approx(part.sort_values("start")["share"].tolist())
    palette = values(charts["trends-palettes Palette of each garment"])
    for row in by["trends-palettes Palette of each garment"].itertuples():
        assert palette[row.colour][row.garment] == pytest.approx(row.share)
    moves = values(charts["trends-movements Rising and falling"])["Odds ratio per year"]
    for row in by["trends-movements Rising and falling"].itertuples():
        assert moves[row.garment] == pytest.approx(row.growth, rel=0.01) or row.growth > 64 or row.growth < 1 / 64
    matrix = tables["trends-matrix What is worn together"]
    names = [matrix.cell(0, column).text for column in range(1, len(matrix.columns))]
    hat = matrix.cell(1 + names.index("Coat"), 1 + names.index("Hat")).text
    table = by["trends-matrix What is worn together"]
    lift = table[(table["first"] == "Hat") & (table["second"] == "Coat")]["lift"].iloc[0]
    assert float(hat) == pytest.approx(lift, abs=0.05)


def template(change: Callable[[Any], None] = lambda deck: None) -> bytes:
    deck = Presentation()
    deck.slide_width = Inches(11)
    deck.slides.add_slide(deck.slide_layouts[0]).shapes.title.text_frame.text = "An old slide"
    change(deck)
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def test_slides_on_a_template_have_its_layout_and_not_its_slides(expected: Question) -> None:
    few = collect(expected, [share_section], **GIVEN)
    deck = Presentation(io.BytesIO(slides_pptx(few, template(), "team.pptx")))
    (slide,) = deck.slides
    assert slide.slide_layout.name == "Title Only" and deck.slide_width == Inches(11)
    assert slide.shapes.title.text_frame.text == few.sections[0].finding
    assert not any(each.is_placeholder and each != slide.shapes.title for each in slide.shapes)


def test_what_is_no_template_is_refused_in_a_sentence(expected: Question) -> None:
    few = collect(expected, [share_section], **GIVEN)

    def without_titles(deck: Any) -> None:
        for layout in deck.slide_layouts:
            for each in list(layout.placeholders):
                each._element.getparent().remove(each._element)

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "b")
    encrypted = bytearray(template())
    for place in (each.start() for each in re.finditer(b"PK\x01\x02", bytes(encrypted))):
        encrypted[place + 8] |= 1  # the flag of each file in the directory
    for data in (b"", b"PK", out.getvalue(), template()[:5000], bytes(encrypted)):
        with pytest.raises(TemplateError, match="team.pptx is not a PowerPoint presentation"):
            slides_pptx(few, data, "team.pptx")
    with pytest.raises(TemplateError, match="has no layout with a title"):
        slides_pptx(few, template(without_titles), "team.pptx")


# --- HTML -------------------------------------------------------------------------------------------------------------


def test_the_report_needs_nothing_beside_it(contents: Contents) -> None:
    text = report_html(contents, standing_out="<i> Hat up.", notes=["A limit."]).decode()
    assert "<h1>=looks</h1>" in text and "Filters: Hat" in text and "60 photos" in text and "made up" in text
    assert "&lt;i&gt; Hat up." in text and "A limit." in text and text.count('class="swatches"') == 1
    assert text.count('class="chart"') == 16 and "outfits with Romper" in text.partition("Not shown")[2]
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", text)
    assert all(f"<p>{section.finding.replace('>', '&gt;')}.</p>" in text for section in contents.sections)


def test_the_report_says_what_is_counted(expected: Question) -> None:
    builders = [rule_section, share_section]
    text = report_html(collect(expected.within(View(garments=("Coat",))), builders, **GIVEN)).decode()
    assert "one person's outfit. Expected counts: sums of the probability that a garment is worn." in text
    assert "<td>10.2</td>" in text, "coats with a hat"
    raw = report_html(collect(expected.within(View(counting="raw")), builders, **GIVEN)).decode()
    assert "one person's outfit. Raw counts: every garment that was outlined." in raw and "<td>10</td>" in raw


def test_the_report_is_small_and_leaves_out_photos_beyond_that(contents: Contents) -> None:
    assert len(report_html(contents)) < MOST_BYTES
    large = [Card(f"look{number}.jpg", "", {"Photo": bytes(200_000)}) for number in range(6)]
    report = report_html(contents, photos={"trends-areas": large, "trends-lift": large})
    assert len(report) <= MOST_BYTES and 0 < report.count(b"data:image") < 12
    assert b"more photos would make the report too large" in report


def test_plotly_in_the_report_is_the_version_that_writes_its_figures() -> None:
    import gzip

    import plotly

    package = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    from dashboard.trends import report

    version = re.compile(rb"plotly\.js (?:\([^)]*\) )?v(\d+)\.")
    ours = version.search(gzip.decompress(report._PLOTLY.read_bytes())[:500])
    theirs = version.search(package.read_bytes()[:500])
    assert ours and theirs and ours.group(1) == theirs.group(1)


def test_sections_of_saved_views_have_their_own_filters_and_a_report_stays_small(contents: Contents) -> None:
    scope = "Filters: market: North. 30 photos, by fake."
    several = replace(contents, sections=tuple(replace(each, scope=scope) for each in contents.sections) * 5)
    report = report_html(several)
    assert len(report) <= MOST_BYTES and scope.encode() in report
    assert b"it would make the report larger than 1.5 MB" in report
    slides = Presentation(io.BytesIO(slides_pptx(replace(several, sections=several.sections[:1]), None))).slides
    texts = [each.text_frame.text for each in slides[0].shapes if each.has_text_frame]
    assert any(scope in text and "by fake. Filters: Hat" not in text for text in texts)

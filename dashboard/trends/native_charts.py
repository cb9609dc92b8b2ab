"""The figures of the Trends page on a slide: charts, tables and shapes of PowerPoint, with the values of the figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from lxml import etree
from pptx.chart.chart import Chart
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.dml.fill import FillFormat
from pptx.enum.chart import XL_CHART_TYPE, XL_LEGEND_POSITION, XL_TICK_LABEL_POSITION
from pptx.enum.dml import MSO_LINE
from pptx.enum.shapes import MSO_CONNECTOR, MSO_SHAPE
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.oxml.ns import qn
from pptx.slide import Slide
from pptx.util import Emu, Length, Pt

from dashboard.figures.theme import COLOURS

__all__ = ["Box", "add_figure"]

_COLOURS = COLOURS["light"]
_SIZE = Pt(11)
_PALE = 0.3  # weight of a colour that is not significant
_NO_STYLE = "{5940675A-B579-460E-94D1-54222C63F5DA}"  # "No Style, Table Grid" of PowerPoint
_DASHES = {
    "dash": MSO_LINE.DASH,
    "dot": MSO_LINE.ROUND_DOT,
    "dashdot": MSO_LINE.DASH_DOT,
    "longdash": MSO_LINE.LONG_DASH,
}


@dataclass(frozen=True)
class Box:
    """A place on a slide.

    Args:
        left: Distance from the left edge of the slide.
        top: Distance from its top.
        width: Width of the place.
        height: Height of the place.
    """

    left: Length
    top: Length
    width: Length
    height: Length


@dataclass(frozen=True)
class _Bars:
    """A series of bars or a line: a value for each category, the ends of its interval, and colours."""

    name: str
    values: Sequence[float]
    low: Sequence[float] | None
    high: Sequence[float] | None
    colours: Sequence[str]


def add_figure(slide: Slide, figure: go.Figure, box: Box) -> None:
    """Draws a figure of the page: bars and lines as charts with error bars, matrices as tables, networks as shapes.

    Args:
        slide: Slide to draw on.
        figure: Figure of one of the page's sections, on a light ground.
        box: Place of the drawing.
    """
    traces = list(figure.data)
    if traces[0].type == "heatmap":
        _add_matrix(slide, figure, box)
    elif any(trace.name == "edges" for trace in traces):
        _add_network(slide, figure, box)
    elif all(trace.type == "bar" for trace in traces):
        _add_bars(slide, figure, box)
    elif any(trace.error_x.array is not None for trace in traces):
        _add_intervals(slide, figure, box)
    else:
        _add_lines(slide, figure, box)


# --- Bars -------------------------------------------------------------------------------------------------------------


def _add_bars(slide: Slide, figure: go.Figure, box: Box) -> None:
    """Bars of one group or of several, or the parts of stacked bars."""
    names = _names(figure)
    drawn = [trace for trace in figure.data if trace.x is not None and any(x is not None for x in trace.x)]
    if drawn[0].base is not None:
        _add_stacked(slide, figure, box, names)
        return
    titles = [str(each.text) for each in figure.layout.annotations if each.text != "–"]
    if not titles:  # the legend names the groups of a comparison
        titles = [str(trace.name) for trace in figure.data if trace.name and not trace.name.startswith("pale")]
    series = []
    for place, trace in enumerate(drawn):
        values, (low, high) = _numbers(trace.x), _ends(trace)
        known = high - low > 0
        inks = [_COLOURS["series"][place]] * len(names) if len(drawn) > 1 else list(trace.marker.color)
        faint = trace.marker.opacity if isinstance(trace.marker.opacity, tuple | list) else [1] * len(names)
        inks = [_mixed(ink, float(weight)) for ink, weight in zip(inks, faint, strict=True)]
        title = titles[place] if place < len(titles) else "Share"
        empty = [None if not there and not value else value for there, value in zip(known, values, strict=True)]
        series.append(_Bars(title, cast("list[float]", empty), low.tolist(), high.tolist(), inks))
    chart = _chart(slide, XL_CHART_TYPE.BAR_CLUSTERED, names, series, box, "0%")
    _upright(chart, len(drawn))
    chart.value_axis.minimum_scale = 0
    chart.value_axis.maximum_scale = _rounded_up(max(max(each.high or [0]) for each in series))
    _axis_title(chart, _axis(figure, "xaxis"))


def _add_stacked(slide: Slide, figure: go.Figure, box: Box, names: Sequence[str]) -> None:
    """The parts of bars of 100 %, a series for each part."""
    trace = figure.data[0]
    inks = dict(zip(trace.text, trace.marker.color, strict=True))
    parts: dict[str, list[float]] = {name: [0.0] * len(names) for name in inks}
    for row, name, value in zip(trace.y, trace.text, _numbers(trace.x), strict=True):
        parts[name][int(row)] += value
    series = [_Bars(name, values, None, None, [inks[name]] * len(names)) for name, values in parts.items()]
    chart = _chart(slide, XL_CHART_TYPE.BAR_STACKED, names, series, box, "0%")
    _upright(chart, len(series))
    chart.plots[0].overlap = 100
    chart.value_axis.maximum_scale = 1.0
    _axis_title(chart, _axis(figure, "xaxis"))


def _add_intervals(slide: Slide, figure: go.Figure, box: Box) -> None:
    """Bars from "no effect" to the value, with their intervals; pale if not significant."""
    names = _names(figure)
    axis = figure.layout.xaxis
    middle = 1.0 if axis.type == "log" else 0.0
    values, low, high = np.full(len(names), np.nan), np.full(len(names), np.nan), np.full(len(names), np.nan)
    inks = [_COLOURS["series"][0]] * len(names)
    for trace in figure.data:
        rows = np.asarray(trace.y, int)
        values[rows] = _numbers(trace.x)
        low[rows], high[rows] = _ends(trace)
        for row in rows if trace.name == "Not significant" else ():
            inks[row] = _mixed(inks[row], _PALE)
    series = [_Bars(str(axis.title.text), values.tolist(), low.tolist(), high.tolist(), inks)]
    chart = _chart(slide, XL_CHART_TYPE.BAR_CLUSTERED, names, series, box, "0.00" if middle else "+0%;-0%;0%")
    _upright(chart, 1)
    if middle:
        _logarithmic(chart, [*low, *high, 0.5, 2.0])
    chart.category_axis.tick_label_position = XL_TICK_LABEL_POSITION.LOW
    chart.value_axis.crosses_at = middle
    _axis_title(chart, str(axis.title.text))


# --- Lines ------------------------------------------------------------------------------------------------------------


def _add_lines(slide: Slide, figure: go.Figure, box: Box) -> None:
    """Lines over time; error bars take the place of the bands."""
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    starts = sorted({pd.Timestamp(start).date() for trace in lines for start in trace.x})
    series = []
    for line, band in zip(lines, bands, strict=True):
        half = len(band.x) // 2
        high = _by_start(band.x[:half], band.y[:half], starts)
        low = _by_start(band.x[half:], band.y[half:], starts)
        values = _by_start(line.x, line.y, starts)
        series.append(_Bars(line.name or "", values, low, high, [line.line.color]))
    axis = figure.layout.yaxis
    factor = axis.type == "log"
    chart = _chart(slide, XL_CHART_TYPE.LINE_MARKERS, starts, series, box, "0.00" if factor else "0%")
    for drawn, line in zip(chart.plots[0].series, lines, strict=True):
        drawn.smooth = False
        drawn.format.line.width = Pt(2)
        drawn.format.line.color.rgb = _rgb(line.line.color)
        if line.line.dash in _DASHES:
            drawn.format.line.dash_style = _DASHES[line.line.dash]
        drawn.marker.size = 5
        drawn.marker.format.fill.solid()
        drawn.marker.format.fill.fore_color.rgb = _rgb(line.line.color)
        drawn.marker.format.line.color.rgb = _rgb(line.line.color)
    if factor:
        _logarithmic(chart, [value for each in series for value in [*(each.low or ()), *(each.high or ())]])
    else:
        chart.value_axis.minimum_scale = 0
        chart.value_axis.maximum_scale = _rounded_up(max(np.nanmax(_numbers(each.high or [0])) for each in series))
    chart.category_axis.tick_labels.number_format = "yyyy-mm"
    chart.category_axis.tick_labels.number_format_is_linked = False
    chart.category_axis.tick_labels.font.size = _SIZE
    _legend(chart, len(series))
    _axis_title(chart, str(axis.title.text))


def _by_start(xs: Sequence[Any], values: Sequence[Any], starts: Sequence[date]) -> list[float]:
    known = {pd.Timestamp(x).date(): value for x, value in zip(xs, values, strict=True)}
    return [known.get(start) for start in starts]  # type: ignore[misc]


# --- Parts of a chart -------------------------------------------------------------------------------------------------


def _chart(
    slide: Slide, kind: XL_CHART_TYPE, categories: Sequence[Any], series: Sequence[_Bars], box: Box, look: str
) -> Chart:
    """A chart with its values, colours and error bars."""
    data = CategoryChartData(number_format=look)
    data.categories = categories
    for each in series:
        values = [None if value is None or np.isnan(value) else float(value) for value in each.values]
        data.add_series(each.name, values)
    chart = slide.shapes.add_chart(kind, box.left, box.top, box.width, box.height, data).chart
    chart.font.size = _SIZE
    chart.font.color.rgb = _rgb(_COLOURS["ink"])
    chart.has_title = False
    axis = chart.value_axis
    axis.major_gridlines.format.line.color.rgb = _rgb(_COLOURS["line"])
    axis.tick_labels.number_format, axis.tick_labels.number_format_is_linked = look, False
    for drawn, each in zip(chart.plots[0].series, series, strict=True):
        if kind != XL_CHART_TYPE.LINE_MARKERS:
            drawn.invert_if_negative = False
            _fill(drawn.format.fill, each.colours[0])
            drawn.format.line.color.rgb = _rgb(_COLOURS["mute"])
            drawn.format.line.width = Pt(0.5)
            for place, ink in enumerate(each.colours):
                if ink != each.colours[0]:
                    point = drawn.points[place].format
                    _fill(point.fill, ink)
                    point.line.color.rgb, point.line.width = _rgb(_COLOURS["mute"]), Pt(0.5)
        if each.low and each.high:
            _add_error_bars(drawn._element, each)
    return chart


def _add_error_bars(drawn: Any, series: _Bars) -> None:
    """Error bars with their own lengths, which python-pptx has no call for."""
    bars = etree.SubElement(drawn, qn("c:errBars"))
    for tag, setting in (("c:errBarType", "both"), ("c:errValType", "cust"), ("c:noEndCap", "0")):
        etree.SubElement(bars, qn(tag), val=setting)
    if drawn.getparent().tag == qn("c:lineChart"):
        bars.insert(0, etree.Element(qn("c:errDir"), val="y"))
    for tag, ends, sign in (("c:plus", series.high, 1), ("c:minus", series.low, -1)):
        literal = etree.SubElement(etree.SubElement(bars, qn(tag)), qn("c:numLit"))
        etree.SubElement(literal, qn("c:formatCode")).text = "General"
        etree.SubElement(literal, qn("c:ptCount"), val=str(len(series.values)))
        for place, (value, end) in enumerate(zip(series.values, ends or (), strict=True)):
            if value is not None and end is not None and np.isfinite(value) and np.isfinite(end):
                point = etree.SubElement(literal, qn("c:pt"), idx=str(place))
                etree.SubElement(point, qn("c:v")).text = repr(max(0.0, sign * (float(end) - float(value))))
    look = etree.SubElement(etree.SubElement(bars, qn("c:spPr")), qn("a:ln"), w="9525")
    ink = etree.SubElement(etree.SubElement(look, qn("a:solidFill")), qn("a:srgbClr"))
    ink.set("val", _COLOURS["mute"].removeprefix("#"))
    drawn.find(qn("c:cat")).addprevious(bars)  # its place in the order of the schema


def _upright(chart: Chart, series: int) -> None:
    """Categories from the top, and the values' axis below them."""
    chart.category_axis.reverse_order = True
    chart.category_axis.format.line.color.rgb = _rgb(_COLOURS["mute"])
    chart.value_axis.format.line.fill.background()
    chart.value_axis.tick_label_position = XL_TICK_LABEL_POSITION.HIGH  # the top of reversed categories is the bottom
    chart.plots[0].gap_width = 60
    _legend(chart, series)


def _legend(chart: Chart, series: int) -> None:
    chart.has_legend = series > 1
    if chart.legend is not None:
        chart.legend.position = XL_LEGEND_POSITION.BOTTOM
        chart.legend.include_in_layout = False
        chart.legend.font.size = _SIZE


def _axis_title(chart: Chart, text: str) -> None:
    axis = chart.value_axis
    axis.has_title = True
    frame = axis.axis_title.text_frame
    frame.text = text
    frame.paragraphs[0].runs[0].font.size = _SIZE
    frame.paragraphs[0].runs[0].font.bold = False


def _logarithmic(chart: Chart, values: Sequence[float | None]) -> None:
    """A logarithmic value axis between powers of 2 that hold all values."""
    known = [value for value in values if value is not None and value > 0]
    chart.value_axis.minimum_scale = 2.0 ** int(np.floor(np.log2(min(known) * 1.001)))
    chart.value_axis.maximum_scale = 2.0 ** int(np.ceil(np.log2(max(known) * 0.999)))
    scaling = chart.value_axis._element.find(qn("c:scaling"))
    scaling.insert(0, etree.Element(qn("c:logBase"), val="2"))


# --- Matrices and networks --------------------------------------------------------------------------------------------


def _add_matrix(slide: Slide, figure: go.Figure, box: Box) -> None:
    """A table with the numbers of a matrix, in its shades."""
    heat = figure.data[0]
    down, across = list(figure.layout.yaxis.ticktext), list(figure.layout.xaxis.ticktext)
    steps = [(float(at), ink) for at, ink in heat.colorscale]
    texts = {(int(each.y), int(each.x)): each for each in figure.layout.annotations if _is_cell(each)}
    frame = slide.shapes.add_table(len(down) + 1, len(across) + 1, box.left, box.top, box.width, box.height)
    frame._element.graphic.graphicData.tbl.tblPr.find(qn("a:tableStyleId")).text = _NO_STYLE
    table = frame.table
    table.first_row = table.horz_banding = False
    first = int(box.width * 0.12)
    for place, column in enumerate(table.columns):
        column.width = Emu(first if place == 0 else int((box.width - first) / len(across)))
    for place, name in enumerate(across, 1):
        _write(table.cell(0, place), name, _COLOURS["ink"], centred=True)
    for row, name in enumerate(down):
        table.rows[row + 1].height = Emu(int(box.height / (len(down) + 1)))
        _write(table.cell(row + 1, 0), name, _COLOURS["ink"], centred=False)
        for column in range(len(across)):
            cell = table.cell(row + 1, column + 1)
            shade = heat.z[row][column]
            if shade is not None and np.isfinite(shade):
                _fill(cell.fill, _shade(steps, (float(shade) - heat.zmin) / (heat.zmax - heat.zmin)))
            if (row, column) in texts:
                number = texts[row, column]
                _write(cell, str(number.text), str(number.font.color), centred=True)
            else:
                _write(cell, "", _COLOURS["ink"], centred=True)


def _is_cell(annotation: Any) -> bool:
    return annotation.xref in (None, "x") and annotation.yref in (None, "y") and annotation.x is not None


def _write(cell: Any, text: str, ink: str, *, centred: bool) -> None:
    cell.margin_left = cell.margin_right = cell.margin_top = cell.margin_bottom = Emu(18_000)
    cell.vertical_anchor = MSO_ANCHOR.MIDDLE
    paragraph = cell.text_frame.paragraphs[0]
    paragraph.alignment = PP_ALIGN.CENTER if centred else PP_ALIGN.LEFT
    run = paragraph.add_run()
    run.text = text
    run.font.size = Pt(9)
    run.font.color.rgb = _rgb(ink)


def _shade(steps: Sequence[tuple[float, str]], depth: float) -> str:
    """The colour of a scale at a depth, 0..1."""
    depth = min(1.0, max(0.0, depth))
    place = next(i for i, (at, _) in enumerate(steps) if at >= depth - 1e-9)
    if place == 0:
        return steps[0][1]
    (low, one), (high, other) = steps[place - 1], steps[place]
    return _mixed(other, (depth - low) / (high - low), one)


def _add_network(slide: Slide, figure: go.Figure, box: Box) -> None:
    """Discs with their names, and connectors between them."""
    (left, right), (bottom, top) = figure.layout.xaxis.range, figure.layout.yaxis.range
    scale = min(box.width / abs(right - left), box.height / abs(top - bottom))

    def at(x: float, y: float) -> tuple[Emu, Emu]:
        middle = box.left + box.width / 2, box.top + box.height / 2
        return Emu(int(middle[0] + x * scale)), Emu(int(middle[1] + (y if top < bottom else -y) * scale))

    for trace in figure.data:
        if trace.mode == "lines":
            ends = [*at(trace.x[0], trace.y[0]), *at(trace.x[1], trace.y[1])]
            line = slide.shapes.add_connector(MSO_CONNECTOR.STRAIGHT, *ends)
            line.line.color.rgb = _rgb(trace.line.color)
            line.line.width = Pt(trace.line.width * 0.8)
            if trace.line.dash == "dot":
                line.line.dash_style = MSO_LINE.ROUND_DOT
    discs = next(trace for trace in figure.data if trace.name == "garments")
    names = [str(each.text) for each in figure.layout.annotations]
    for x, y, size, ink, name in zip(discs.x, discs.y, discs.marker.size, discs.marker.color, names, strict=True):
        side, (across, down) = Pt(size * 0.8), at(x, y)
        disc = slide.shapes.add_shape(MSO_SHAPE.OVAL, Emu(across - side // 2), Emu(down - side // 2), side, side)
        disc.shadow.inherit = False
        _fill(disc.fill, ink)
        disc.line.color.rgb = _rgb(_COLOURS["mute"])
        across, down = at(x * 1.22, y * 1.16)
        width, height = Pt(90), Pt(18)
        label = slide.shapes.add_textbox(Emu(across - width // 2), Emu(down - height // 2), width, height)
        paragraph = label.text_frame.paragraphs[0]
        paragraph.alignment = PP_ALIGN.CENTER
        paragraph.text = name
        paragraph.runs[0].font.size = _SIZE


# --- Values of a figure -----------------------------------------------------------------------------------------------


def _names(figure: go.Figure) -> list[str]:
    """Categories, from the top, without the second lines of their labels."""
    return [str(text).partition("<br>")[0] for text in figure.layout.yaxis.ticktext]


def _axis(figure: go.Figure, letter: str) -> str:
    """Title of the first axis that has one."""
    axes = (figure.layout[each] for each in figure.layout if each.startswith(letter))
    return next((str(axis.title.text) for axis in axes if axis.title.text), "")


def _ends(trace: Any) -> tuple[np.ndarray, np.ndarray]:
    values = _numbers(trace.x)
    return values - _numbers(trace.error_x.arrayminus), values + _numbers(trace.error_x.array)


def _numbers(values: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if value is None else float(value) for value in values])


def _rounded_up(value: float) -> float:
    """The next tenth, at most 1."""
    return min(1.0, float(np.ceil(10 * value + 1e-9)) / 10)


def _mixed(ink: str, weight: float, ground: str = "#FFFFFF") -> str:
    """A colour laid over another one, as an opacity would."""
    pairs = zip(bytes.fromhex(ink[1:]), bytes.fromhex(ground[1:]), strict=True)
    return "#" + "".join(f"{round(weight * one + (1 - weight) * other):02x}" for one, other in pairs)


def _fill(fill: FillFormat, ink: str) -> None:
    fill.solid()
    fill.fore_color.rgb = _rgb(ink)


def _rgb(ink: str) -> RGBColor:
    return RGBColor.from_string(ink.removeprefix("#").upper())

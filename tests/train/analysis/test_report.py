import base64
import math
import re
from pathlib import Path

import cv2
import numpy as np
import plotly.graph_objects as go
import pytest

from segmodels.taxonomy import OUTFIT_15
from train.analysis.report import Section, class_bars, class_picture, picture, write_page


def test_a_page_holds_all_it_shows(tmp_path: Path) -> None:
    figure = go.Figure(go.Scatter(y=[1, 2]), go.Layout(title="A <b>line</b>"))
    photo = np.full((2, 3, 3), (250, 20, 10), np.uint8)
    sections = [
        Section("First & last", "Two\nlines", [figure, figure], [("A red photo", picture(photo))]),
        Section("Nothing else"),
    ]
    path = tmp_path / "new" / "page.html"
    write_page(path, "What <i> saw", sections)
    page = path.read_text("utf-8")
    assert "<title>What &lt;i&gt; saw</title>" in page and "<h2>First &amp; last</h2>" in page
    assert page.count("<figcaption>A &lt;b&gt;line&lt;/b&gt;</figcaption>") == 2
    assert 'id="figure-1"' in page and 'id="figure-2"' in page and "<h2>Nothing else</h2>\n</section>" in page
    assert 'name="viewport"' in page and not re.search(r'<(script|link|img)[^>]+(src|href)="http', page)
    found = re.search('alt="A red photo" src="data:image/png;base64,([^"]+)"', page)
    assert found
    back = cv2.imdecode(np.frombuffer(base64.b64decode(found[1]), np.uint8), cv2.IMREAD_COLOR)
    assert back is not None and (back[..., ::-1] == photo).all()
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]
    assert figure.layout.title.text == "A <b>line</b>"  # the caller's figure stays as it was


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError):
        write_page(tmp_path / "page.html", "Title", [])
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_bars_have_the_colours_of_their_classes() -> None:
    figure = class_bars("Share", OUTFIT_15, {"Dress": 0.5, "Bag": math.nan})
    (bars,) = figure.data
    assert list(bars.y) == ["Dress", "Bag"] and bars.x[0] == 0.5 and math.isnan(bars.x[1])
    assert list(bars.marker.color) == [OUTFIT_15["Dress"].colour, OUTFIT_15["Bag"].colour]


def test_a_class_map_has_the_colours_of_its_classes() -> None:
    png = class_picture(np.array([[0, 3, 255]], np.uint8), OUTFIT_15)
    back = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert [bytes(pixel[::-1]).hex().upper() for pixel in back[0]] == ["837B78", "D47898", "000000"]

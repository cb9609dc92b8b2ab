import ast
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

DASHBOARD = Path(__file__).parents[3] / "dashboard"
WIDGETS = set(
    "selectbox multiselect radio slider select_slider pills segmented_control toggle checkbox number_input".split()
)


def script() -> None:
    import streamlit as st

    from dashboard.shared.choice import choose

    box = st.session_state.setdefault("box", {"chosen": "a"})
    if st.button("Set c"):
        box["chosen"] = "c"
    choose("Letter", ["a", "b", "c"], box["chosen"], lambda value: box.update(chosen=value), key="letter")
    st.text(box["chosen"])


def test_every_choice_counts_and_the_box_follows_the_state() -> None:
    page = AppTest.from_function(script).run()
    for letter in "bcbac":
        page.selectbox[0].set_value(letter).run()
        assert page.selectbox[0].value == page.text[0].value == letter
    page.selectbox[0].set_value("b").run()
    page.button[0].click().run()
    assert page.selectbox[0].value == page.text[0].value == "c"
    assert not page.exception


@pytest.mark.parametrize("path", sorted(DASHBOARD.rglob("*.py")), ids=lambda path: str(path.relative_to(DASHBOARD)))
def test_every_widget_with_a_choice_has_a_key(path: Path) -> None:
    """Without one it is another widget as soon as its default changes, and what the visitor chose is lost."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WIDGETS:
            assert "key" in {keyword.arg for keyword in node.keywords}, f"line {node.lineno}"

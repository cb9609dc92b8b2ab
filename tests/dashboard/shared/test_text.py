import pytest

from dashboard.shared.text import join_names, literal


@pytest.mark.parametrize(
    ("names", "last", "text"),
    [(["hat"], "or", "hat"), (["hat", "belt"], "or", "hat or belt"), (["a", "b", "c"], "and", "a, b and c")],
)
def test_names_are_part_of_a_sentence(names: list[str], last: str, text: str) -> None:
    assert join_names(names, last) == text


def test_markdown_finds_nothing_to_format() -> None:
    assert literal("![x](http://e.org) *b*") == r"\!\[x\]\(http\://e\.org\) \*b\*"


def test_a_name_with_line_breaks_or_entities_stays_text_on_one_line() -> None:
    assert literal("a\n\n# b&lt;c\n===") == r"a \# b\&lt;c \=\=\="

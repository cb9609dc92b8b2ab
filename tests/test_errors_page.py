"""The page of error sentences is that of today's source, and each sentence says what is wrong and what to do."""

import re

import list_errors
import pytest

FAMILY = list_errors.family()
MODULES = [path for path in list_errors.modules() if list_errors.sentences(path, FAMILY)]
SAYS_HOW = re.compile(r"(Choose|Install|Name|Pull|Set)\b|pull it ")
"""How a sentence begins that is nothing but what to do."""


def test_sentences_are_found() -> None:
    source = """
def f(name, error):
    if name:
        raise PhotoError(f"{name} is empty. Copy it again.")
    raise ValueError("for a programmer")
    st.error(literal(f"{error.what} went wrong."))
    parser.error("N must be 1 or more" if name else f"{len(name)} are too many")
    print("Stopped. All is kept.", file=sys.stderr)
    print("12 photos done.")
    raise PhotoError(str(error))
"""
    assert [(each.way, each.text) for each in list_errors.sentences_of(source, {"PhotoError"})] == [
        ("PhotoError", "{name} is empty. Copy it again."),
        ("page", "{error.what} went wrong."),
        ("usage", "N must be 1 or more"),
        ("usage", "{name} are too many"),
        ("stderr", "Stopped. All is kept."),
    ]


def test_the_family_is_that_of_errors() -> None:
    documented = set(
        re.findall(r"`[\w.]*?(\w+Error)`", (list_errors.ROOT / "segmodels" / "errors.py").read_text("utf-8"))
    )
    assert documented >= {"GarmentscopeError", "PhotoError", "HubUnreachableError", "RecipeError"}
    assert documented - {"ValueError", "RuntimeError"} <= FAMILY


def test_the_page_is_that_of_the_source() -> None:
    """If it is not: `make errors`."""
    assert list_errors.PAGE.read_text("utf-8") == list_errors.page()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(list_errors.ROOT)))
def test_a_sentence_says_what_is_wrong_and_what_to_do(path) -> None:  # type: ignore[no-untyped-def]
    """It has two parts at least, or is nothing but what to do; `{...}` at its end may be the second."""
    lacking = [
        each
        for each in list_errors.sentences(path, FAMILY)
        if each.way in FAMILY
        and not SAYS_HOW.match(each.text)
        and not each.text.endswith("}")
        and len(re.findall(r"[.;:,?](?=\s|$)", each.text)) < 2
    ]
    assert not lacking

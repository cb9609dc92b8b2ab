import pytest

from segmodels.sentences import first_line, listed


def test_the_first_names_and_how_many_more() -> None:
    assert listed([]) == "" and listed(["a"]) == "a" and listed(list("abcde")) == "a, b, c, d, e"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert listed(["a"] + [str(n) for n in range(2000)], most=1) == "a and 2,000 more"


def test_a_name_that_comes_again_counts_once() -> None:
    assert listed(["b", "a", "b", "c", "b"], most=2) == "b, a and 1 more"


def test_an_error_of_the_system_is_said_without_its_number_and_path() -> None:
    assert first_line(IsADirectoryError(21, "Is a directory", "/srv/models/a/config.json")) == "Is a directory"
    assert first_line(OSError("Repetition level histogram size mismatch.\nmore")) == (
        "Repetition level histogram size mismatch"
    )
    assert first_line(ValueError("no number. ")) == "no number"
    with pytest.raises(UnicodeDecodeError) as caught:
        b"\xff{}".decode()
    assert first_line(caught.value) == "it is not text in UTF-8"

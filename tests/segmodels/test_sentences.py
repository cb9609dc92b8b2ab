import pytest

from segmodels.sentences import counted, first_line, listed, visible


def test_a_number_with_its_noun() -> None:
    assert [counted(number, "photo") for number in (0, 1, 1234)] == ["0 photos", "1 photo", "1,234 photos"]


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


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb.jpg", "a\ufffdb.jpg"),
        ("\x1b]0;owned\x07.jpg", "\ufffd]0;owned\ufffd.jpg"),  # would name the terminal's window
        ("\u202egpj.exe", "\ufffdgpj.exe"),  # would be shown as exe.jpg
        ("bad\udcff.jpg", "bad\ufffd.jpg"),
        ("a\u2028b", "a\ufffdb"),
        ("9.05.01\u202fPM.png", "9.05.01\u202fPM.png"),
        ("\U0001f469\u200d\U0001f3a4 è.jpg", "\U0001f469\u200d\U0001f3a4 è.jpg"),
    ],
)
def test_a_name_does_nothing_to_the_terminal(name: str, shown: str) -> None:
    assert visible(name) == shown and listed([name]) == shown


def test_what_pyarrow_repeats_of_an_error_of_the_system_is_left_out() -> None:
    error = OSError(5, "Error reading bytes from file '/srv/looks/a.parquet'. Detail: [errno 5] Input/output error")
    assert first_line(error) == "Input/output error"

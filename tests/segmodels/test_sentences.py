from segmodels.sentences import listed


def test_the_first_names_and_how_many_more() -> None:
    assert listed([]) == "" and listed(["a"]) == "a" and listed(list("abcde")) == "a, b, c, d, e"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert listed(["a"] + [str(n) for n in range(2000)], most=1) == "a and 2,000 more"


def test_a_name_that_comes_again_counts_once() -> None:
    assert listed(["b", "a", "b", "c", "b"], most=2) == "b, a and 1 more"

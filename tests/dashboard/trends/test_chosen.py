from dashboard.trends.chosen import Chosen


def entered(**link: list[str]) -> Chosen:
    chosen = Chosen(link)
    chosen.enter("Tab")
    return chosen


def test_only_the_default_of_every_archive_stays_out_of_the_link() -> None:
    chosen = entered()
    chosen.keep("view", ["Shares"], ["Shares"], constant=True)
    chosen.keep("garment", ["Coat"], ["Coat"])
    chosen.keep("measure", ["npmi"], ["lift"], constant=True)
    assert chosen.link == {"garment": ["Coat"], "measure": ["npmi"]}


def test_nothing_chosen_is_the_default_of_now() -> None:
    chosen = entered()
    chosen.keep("shown", [], ["Coat", "Hat"])
    chosen.keep("garment", [""], [""])
    assert chosen.link == {"shown": ["Coat", "Hat"]}


def test_a_choice_follows_its_default_until_it_differs() -> None:
    chosen = entered()
    chosen.keep("garment", ["Coat"], ["Coat"])
    assert chosen.one("garment", ["Coat", "Hat"], "Hat") == "Hat"
    chosen.keep("garment", ["Coat"], ["Hat"])
    assert chosen.one("garment", ["Coat", "Hat"], "Hat") == "Coat"


def test_a_link_outlives_a_default_that_has_changed() -> None:
    chosen = entered(garment=["Coat"], days=["2023-01-01", "2023-01-31"])
    assert chosen.one("garment", ["Hat", "Coat"], "Hat") == "Coat"
    assert not chosen.settle()

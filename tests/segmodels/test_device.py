import re

from segmodels.device import describe_device, pick_device


def test_the_device_has_a_name() -> None:
    found = describe_device()
    if pick_device().type == "cpu":
        assert re.fullmatch(r"\S.*, \d+ threads?", found)
    else:
        assert found.strip()

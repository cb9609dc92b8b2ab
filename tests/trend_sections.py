"""The sections of the page Trends, each with what it shows first."""

from functools import partial

from dashboard.trends.coloured import colour_section, pair_section, palette_section
from dashboard.trends.moves import forecast_section, line_section, movement_section
from dashboard.trends.section import Builder
from dashboard.trends.together import companion_section, lift_section, matrix_section, network_section, rule_section
from dashboard.trends.worn import area_section, share_section

SECTIONS: list[Builder] = [
    share_section,
    area_section,
    line_section,
    movement_section,
    forecast_section,
    matrix_section,
    rule_section,
    companion_section,
    lift_section,
    network_section,
    palette_section,
    colour_section,
    pair_section,
]
EVERY_RULE: Builder = partial(rule_section, only_sure=False)

"""How the numbers of each view are computed, in words for the page."""

from __future__ import annotations

from collections.abc import Mapping

from segmodels.archive.movements import LEAST_PERIODS
from segmodels.archive.outfits import SIGNIFICANT

__all__ = ["COUNTING", "method"]

COUNTING = (
    "**Counts.** The unit is one person's outfit. *Expected counts* add up, over all outfits, the calibrated "
    "probability that the garment is worn; they allow for garments that the network misses or "
    "invents. *Raw counts* are of every garment that the network found."
)
_CORRECTED = (
    f"**Significant** means p below {SIGNIFICANT:g} after correction for all tests of the view (Benjamini-Hochberg): "
    "of all results called significant, about 1% are expected to be false. What is not significant is pale."
)
_WILSON = "**Interval.** 95% Wilson interval of a share; of expected counts it includes the error of the calibration."
_LIFT = (
    "**Lift** = share of outfits with both, divided by the product of the shares with each. 1 means as often as "
    "expected by chance, 2 twice as often. Interval: 95%, from the likelihood. Test: Fisher's exact test (mid-p)."
)
_TREND = (
    "**Trend.** A binomial regression of the share on time, with yearly seasonality where two years are covered; it "
    f"needs at least {LEAST_PERIODS} periods. The *odds ratio per year* is the factor by which the odds of wearing the "
    "garment grow in a year; *points* are the fitted share at the end minus that at the start."
)
_COLOUR = (
    "**Colour.** Each garment's pixels are grouped in a perceptual colour space; the largest group names its main "
    "colour. Black-and-white photos are left out."
)
_METHODS: Mapping[str, tuple[str, ...]] = {
    "trends-shares": (COUNTING, _WILSON, _CORRECTED),
    "trends-areas": (COUNTING,),
    "trends-groups": (COUNTING, _WILSON, _CORRECTED),
    "trends-lines": (COUNTING, _WILSON),
    "trends-movements": (COUNTING, _TREND, _CORRECTED),
    "trends-forecast": (
        COUNTING,
        "**Forecast.** A local-level model on the log odds of the share, with yearly seasonality where it was seen "
        "often enough. The back-test leaves out the last periods, forecasts them, and compares the forecast with what "
        "was observed.",
    ),
    "trends-matrix": (COUNTING, _LIFT, _CORRECTED),
    "trends-rules": (COUNTING, _LIFT, _CORRECTED),
    "trends-companions": (COUNTING, "**Difference** of two shares, with Newcombe's 95% interval.", _CORRECTED),
    "trends-pairs-compared": (
        COUNTING,
        "**Difference** of the shares of outfits with both garments, with Newcombe's 95% interval and a score test. "
        "Lift in each group is in the table.",
        _CORRECTED,
    ),
    "trends-season": (
        COUNTING,
        "**Difference** of a share from the same season of the year before, with Newcombe's 95% interval and a score "
        "test.",
        _CORRECTED,
    ),
    "trends-lift": (COUNTING, _LIFT),
    "trends-network": (COUNTING, _LIFT, _CORRECTED),
    "trends-palettes": (COUNTING, _COLOUR, _WILSON),
    "trends-colours-compared": (COUNTING, _COLOUR, _WILSON, _CORRECTED),
    "trends-colours": (COUNTING, _COLOUR, _WILSON),
    "trends-colour-pairs": (COUNTING, _COLOUR, _LIFT, _CORRECTED),
}


def method(key: str) -> str:
    """Markdown on how the numbers of a section are computed.

    Args:
        key: Key of the section.
    """
    found = next((texts for name, texts in _METHODS.items() if key.startswith(name)), (COUNTING,))
    return "\n\n".join(found)

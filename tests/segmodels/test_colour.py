import time

import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab

from segmodels import colour as module
from segmodels.colour import BASIC_COLOURS, FINE_COLOURS, Colour, dominant_colours, name_colour

NAVY, WHITE, RED, GREEN = (26, 33, 64), (245, 245, 245), (200, 30, 35), (40, 140, 70)


def rgb(code: str) -> list[int]:
    return list(bytes.fromhex(code[1:]))


def plain(colour: tuple[int, int, int], height: int = 120, width: int = 100) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def everywhere(photo: np.ndarray) -> np.ndarray:
    return np.ones(photo.shape[:2], bool)


def lit(colour: tuple[int, int, int], brightness: np.ndarray, noise: float = 2.0) -> np.ndarray:
    """Cloth of one dye under uneven light: linear light times brightness `(H, W)`, with the noise of a sensor."""
    linear = (np.array(colour) / 255) ** 2.2 * brightness[..., None]
    grain = np.random.default_rng(3).normal(0, noise, linear.shape)
    return np.clip(np.clip(linear, 0, 1) ** (1 / 2.2) * 255 + grain, 0, 255).astype(np.uint8)


def folds(height: int, width: int, low: float, high: float) -> np.ndarray:
    wave = np.sin(np.linspace(0, 9, width))[None] + 0.4 * np.sin(np.linspace(0, 5, height))[:, None]
    wave = (wave - wave.min()) / np.ptp(wave)
    return low + (high - low) * wave


# --- Names ------------------------------------------------------------------------------------------------------------


def test_the_basic_names() -> None:
    assert tuple("black white gray beige brown red pink orange yellow green blue purple".split()) == BASIC_COLOURS
    assert tuple(FINE_COLOURS) == BASIC_COLOURS


def test_each_fine_name_belongs_to_one_basic_name() -> None:
    names = [fine for colours in FINE_COLOURS.values() for fine in colours]
    assert len(names) == len(set(names)) >= 50
    wanted = (
        "navy burgundy camel charcoal cream ivory khaki olive mustard rust coral salmon blush fuchsia lavender plum"
    )
    wanted += " teal turquoise mint denim cobalt taupe tan chocolate"
    assert set(wanted.split()) | {"forest green", "sky blue"} <= set(names)


@pytest.mark.parametrize("basic", BASIC_COLOURS)
def test_typical_colours_bear_their_own_name(basic: str) -> None:
    for fine, codes in FINE_COLOURS[basic].items():
        for code in codes.split():
            assert name_colour(rgb(code)) == (fine, basic)


@pytest.mark.parametrize(
    ("basic", "code"),
    [
        *zip(
            BASIC_COLOURS,  # as CSS has them, and brown as X11's saddle brown
            "#000000 #ffffff #808080 #f5f5dc #8b4513 #ff0000 #ffc0cb #ffa500 #ffff00 #008000 #0000ff #800080".split(),
            strict=True,
        ),
        ("black", "#14120f"),
        ("black", "#1b1c20"),
        ("black", "#2b2b2b"),
        ("white", "#f5f2ea"),
        ("white", "#e7e8f1"),
        ("gray", "#c0c0c0"),
        ("gray", "#36373a"),
        ("blue", "#2b3a55"),
        ("blue", "#000080"),
        ("blue", "#00ffff"),
        ("blue", "#87ceeb"),
        ("brown", "#c19a6b"),
        ("brown", "#654321"),
        ("beige", "#d2b48c"),
        ("red", "#722f37"),
        ("red", "#dc143c"),
        ("red", "#800000"),
        ("pink", "#e8b4a8"),
        ("pink", "#ff69b4"),
        ("pink", "#ff00ff"),
        ("orange", "#ff8c00"),
        ("orange", "#ff7f50"),
        ("yellow", "#ffd700"),
        ("green", "#00ff00"),
        ("green", "#808000"),
        ("green", "#2f4f2f"),
        ("green", "#006400"),
        ("purple", "#4b0082"),
        ("purple", "#e6e6fa"),
    ],
)
def test_obvious_basic_names(basic: str, code: str) -> None:
    assert name_colour(rgb(code))[1] == basic


@pytest.mark.parametrize(
    ("fine", "code"),
    [
        ("camel", "#c19a6b"),
        ("off-white", "#f5f2ea"),
        ("ivory", "#fffff0"),
        ("indigo", "#2b3a55"),
        ("navy", "#000080"),
        ("burgundy", "#722f37"),
        ("coral", "#ff7f50"),
        ("salmon", "#fa8072"),
        ("teal", "#008080"),
        ("olive", "#808000"),
        ("blush", "#e8c4bc"),
        ("charcoal", "#404247"),
    ],
)
def test_obvious_fine_names(fine: str, code: str) -> None:
    assert name_colour(rgb(code))[0] == fine


def test_lab_and_rgb_agree() -> None:
    for code in ("#14120f", "#c19a6b", "#2b3a55"):
        assert name_colour(rgb2lab(np.array(rgb(code)) / 255), space="lab") == name_colour(rgb(code))
    assert name_colour(np.array(rgb("#c19a6b"), np.uint8)) == ("camel", "brown")
    assert name_colour((100.0, 0.0, 0.0), space="lab") == ("white", "white")


def test_greys_are_black_gray_or_white() -> None:
    names = {}
    for lightness in range(0, 101, 2):
        for a in np.linspace(-2.1, 2.1, 5):
            for b in np.linspace(-2.1, 2.1, 5):
                basic = name_colour((lightness, a, b), space="lab")[1]
                assert basic in ("black", "gray", "white"), (lightness, a, b)
                names[lightness] = basic
    assert {names[light] for light in range(0, 18) if light in names} == {"black"}
    assert {names[light] for light in range(30, 86, 2)} == {"gray"}
    assert {names[light] for light in range(94, 101, 2)} == {"white"}


@pytest.mark.parametrize("corner", [(a, b) for a in (-2.9, 2.9) for b in (-2.9, 0, 2.9)])
def test_slightly_tinted_greys(corner: tuple[float, float]) -> None:
    for lightness in range(0, 101, 2):
        assert name_colour((lightness, *corner), space="lab")[1] in ("black", "gray", "white"), lightness


@pytest.mark.parametrize(
    ("basic", "hues", "chroma", "lightness"),
    [
        ("green", (120, 160), 31, (0, 100)),
        ("blue", (240, 275), 31, (0, 88)),
        ("red", (22, 36), 50, (20, 46)),
        ("yellow", (84, 100), 55, (75, 100)),
    ],
)
def test_plain_hues(basic: str, hues: tuple[int, int], chroma: int, lightness: tuple[int, int]) -> None:
    light, strength, hue = np.meshgrid(
        np.arange(*lightness, 4.0), np.arange(chroma, 135, 6.0), np.radians(np.arange(hues[0], hues[1] + 1, 5.0))
    )
    lab = np.stack([light, strength * np.cos(hue), strength * np.sin(hue)], axis=-1).reshape(-1, 3)
    shown = rgb2lab(np.clip(srgb(lab), 0, 1))
    lab = lab[np.abs(shown - lab).max(axis=1) < 0.5]  # those that a screen can show
    assert len(lab) > 20
    wrong = {tuple(colour): name for colour in lab if (name := name_colour(colour, space="lab"))[1] != basic}
    assert not wrong


def srgb(lab: np.ndarray) -> np.ndarray:
    """Lab to sRGB without scikit-image's warning about colours out of range."""
    scaled = lab.astype(np.float32)[None]
    return cv2.cvtColor(scaled, cv2.COLOR_LAB2RGB)[0].astype(float)


# --- Dominant colours -------------------------------------------------------------------------------------------------


def test_one_plain_colour() -> None:
    photo = plain(RED)
    assert dominant_colours(photo, everywhere(photo)) == (Colour("#c81e23", "red", "red", 1.0),)


def test_empty_mask() -> None:
    photo = plain(RED)
    assert dominant_colours(photo, np.zeros(photo.shape[:2], bool)) == ()
    assert dominant_colours(np.empty((0, 0, 3), np.uint8), np.empty((0, 0), bool)) == ()


def test_only_the_mask_counts() -> None:
    photo = plain(GREEN)
    photo[20:80, 30:70] = RED
    mask = np.zeros(photo.shape[:2], bool)
    mask[20:80, 30:70] = True
    assert [(colour.name, colour.share) for colour in dominant_colours(photo, mask)] == [("red", 1.0)]


def test_the_rim_is_left_out() -> None:
    photo = plain(GREEN)
    photo[20:40, 30:50] = RED
    mask = np.zeros(photo.shape[:2], bool)
    mask[19:41, 29:51] = True  # a pixel of background on each side: 17 % of the mask
    assert [colour.basic for colour in dominant_colours(photo, mask)] == ["red"]


def test_a_mask_that_is_all_rim() -> None:
    photo = plain(RED)
    mask = np.zeros(photo.shape[:2], bool)
    mask[10, 5:50] = True
    mask[30:60, 20:22] = True
    assert [colour.basic for colour in dominant_colours(photo, mask)] == ["red"]
    mask[:] = False
    mask[3, 4] = True
    assert [colour.hex for colour in dominant_colours(photo, mask)] == ["#c81e23"]


@pytest.mark.parametrize("period", [8, 12, 24])
def test_stripes_come_out_as_both(period: int) -> None:
    stripes = (np.arange(200) // (period // 2) % 2 == 0)[:, None, None]
    photo = np.where(stripes, plain(NAVY, 200, 180), plain(WHITE, 200, 180))
    photo = np.asarray(cv2.GaussianBlur(photo, (0, 0), 0.6))
    found = dominant_colours(photo, everywhere(photo))
    assert {colour.basic for colour in found[:2]} == {"blue", "white"}
    assert sum(colour.share for colour in found[:2]) > 0.85


def test_shares_are_of_all_pixels() -> None:
    photo = plain(NAVY, 100, 100)
    photo[60:] = RED
    photo[90:] = WHITE
    photo[98:] = GREEN  # 2 %: dropped, and missing from the sum
    found = dominant_colours(photo, everywhere(photo), limit=5)
    assert [colour.basic for colour in found] == ["blue", "red", "white"]
    np.testing.assert_allclose([colour.share for colour in found], [0.6, 0.3, 0.08], atol=0.03)
    assert sum(colour.share for colour in found) < 1
    two = dominant_colours(photo, everywhere(photo), limit=2)
    assert two == found[:2]


@pytest.mark.parametrize(
    ("dye", "basic"),
    [
        ((34, 33, 35), "black"),
        ((28, 34, 66), "blue"),
        ((190, 28, 34), "red"),
        ((193, 154, 107), "brown"),
        ((240, 238, 234), "white"),
    ],
)
def test_folds_and_shadows_are_one_colour(dye: tuple[int, int, int], basic: str) -> None:
    photo = lit(dye, folds(200, 150, 0.55, 1.3))
    found = dominant_colours(photo, everywhere(photo))
    assert [colour.basic for colour in found] == [basic]


def test_black_leather_with_highlights_is_not_five_greys() -> None:
    brightness = folds(200, 150, 0.3, 2.5)
    brightness[40:46] = 12  # shine: 3 %
    photo = lit((30, 29, 30), brightness)
    found = dominant_colours(photo, everywhere(photo))
    assert found[0].basic == "black" and found[0].share > 0.85
    assert len(found) <= 2


def test_the_same_each_time() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 25, 3), np.uint8)
    photo = cv2.resize(photo, (500, 600), interpolation=cv2.INTER_CUBIC)
    first = dominant_colours(photo, everywhere(photo), limit=8)
    np.random.default_rng().random()
    cv2.setRNGSeed(99)
    assert len(first) > 1
    assert all(dominant_colours(photo, everywhere(photo), limit=8) == first for _ in range(5))


def test_inputs_stay_as_they_are() -> None:
    photo = lit(RED, folds(60, 50, 0.6, 1.2))
    mask = everywhere(photo)
    photo.flags.writeable = mask.flags.writeable = False
    assert dominant_colours(photo, mask)
    assert dominant_colours(photo[::-1, ::2], mask[::-1, ::2])  # views, not contiguous


def test_huge_masks_are_thinned() -> None:
    photo = np.empty((6000, 4000, 3), np.uint8)
    photo[:4500], photo[4500:] = RED, NAVY
    mask = np.ones(photo.shape[:2], bool)
    started = time.perf_counter()
    found = dominant_colours(photo, mask)
    assert time.perf_counter() - started < 1
    assert [colour.basic for colour in found] == ["red", "blue"]
    np.testing.assert_allclose([colour.share for colour in found], [0.75, 0.25], atol=0.03)
    mask[:] = False
    mask[0, 0] = mask[5999, 3999] = mask[4001, 1] = True  # next to nothing in a large box
    assert {colour.basic for colour in dominant_colours(photo, mask)} == {"red", "blue"}


def test_fast_enough() -> None:
    photo = lit((120, 90, 70), folds(220, 220, 0.5, 1.4), noise=12)
    mask = np.zeros(photo.shape[:2], bool)
    mask[10:210, 10:210] = True
    dominant_colours(photo, mask)
    times = []
    for _ in range(15):
        started = time.perf_counter()
        dominant_colours(photo, mask)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.02  # about 4 ms; the rest is for busy machines


def test_hex_is_the_colour() -> None:
    for code in ("#000000", "#ffffff", "#c19a6b", "#0000ff", "#00ff00"):
        photo = plain(tuple(rgb(code)))
        assert dominant_colours(photo, everywhere(photo))[0].hex == code


def test_noise_gives_valid_colours() -> None:
    generator = np.random.default_rng(5)
    for _ in range(20):
        height, width = generator.integers(1, 60, 2)
        photo = generator.integers(0, 256, (height, width, 3), np.uint8)
        mask = generator.random((height, width)) < generator.random()
        found = dominant_colours(photo, mask)
        assert all(colour.basic in BASIC_COLOURS and colour.name in FINE_COLOURS[colour.basic] for colour in found)
        assert all(0.05 <= colour.share <= 1 for colour in found) and sum(colour.share for colour in found) <= 1.001
        assert [colour.share for colour in found] == sorted((colour.share for colour in found), reverse=True)
        assert len(found) <= 3 and len({colour.name for colour in found}) == len(found)


@pytest.mark.parametrize(
    ("photo", "mask", "limit"),
    [
        (np.zeros((4, 5, 3), np.float32), np.ones((4, 5), bool), 3),
        (np.zeros((4, 5), np.uint8), np.ones((4, 5), bool), 3),
        (np.zeros((4, 5, 4), np.uint8), np.ones((4, 5), bool), 3),
        (np.zeros((4, 5, 3), np.uint8), np.ones((4, 5), np.uint8), 3),
        (np.zeros((4, 5, 3), np.uint8), np.ones((5, 4), bool), 3),
        (np.zeros((4, 5, 3), np.uint8), np.ones((4, 5), bool), 0),
    ],
)
def test_wrong_inputs(photo: np.ndarray, mask: np.ndarray, limit: int) -> None:
    with pytest.raises(ValueError, match="Expected .* got"):
        dominant_colours(photo, mask, limit=limit)


def test_public_names() -> None:
    assert module.__all__ == [
        "BASIC_COLOURS",
        "FINE_COLOURS",
        "Colour",
        "dominant_colours",
        "dominant_colours_of",
        "name_colour",
    ]

"""Archives of made-up photos: any number of rows, with dates, two markets and known trends.

There are no real photos behind them. Their model is called `made-up`, and each row has the tag `source`
with the value `made up`. Planted trends between the first and the last day:

- Hats: of the outfits in the North, from 8 to 24 in a hundred; in the South 8 all the time.
- Coats: 55 in a hundred in January, 10 in July, the same each year and in both markets.
- Socks with shorts: from 20 to 60 in a hundred outfits with shorts; without shorts 15 all the time.
- Olive coats: of the coats in the South, from 5 to 25 in a hundred are mainly olive; in the North 5 all the time.
- Jeans: of the pants, from 30 to 50 in a hundred; leggings 10 all the time, and the rest are trousers.
- Skirts: of the dresses and skirts, which are one class, from 25 to 45 in a hundred.

Everything else stays constant.

The network that analysed these people is made up too. For each outfit and class it has a score, from a normal
distribution with standard deviation 1 and mean +1.2 if the class is worn, -1.2 if not, and it knows how likely that
outfit was to wear the class. The presence follows by Bayes' rule, so that of the outfits with presence p a share p
wears the class. A garment is found where its presence is at least 0.25: raw counts are too high, expected counts are
right. The kind of a garment that is found has such scores too, one for each kind, and is named where its probability is
at least 0.6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa

from segmodels.archive.rows import CLASS_MAP_SIDE, SCHEMA
from segmodels.archive.store import Archive, Version
from segmodels.colour import FINE_COLOURS
from segmodels.inference.class_map import small_map
from segmodels.taxonomy import OUTFIT_15

__all__ = ["FIRST_DAY", "KINDS", "LAST_DAY", "MADE_UP_MODEL", "make_archive"]

FIRST_DAY, LAST_DAY = datetime(2022, 1, 1), datetime(2024, 12, 31)
MADE_UP_MODEL = "made-up"

KINDS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "Pants": {"trousers": (0.6, 0.4), "jeans": (0.3, 0.5), "leggings": (0.1, 0.1)},
    "Dress": {"dress": (0.75, 0.55), "skirt": (0.25, 0.45)},
    "Coat": {"coat": (0.6, 0.6), "jacket/cardigan": (0.4, 0.4)},
    "Shirt": {"shirt/blouse": (0.4, 0.4), "t-shirt/top": (0.4, 0.4), "sweater": (0.2, 0.2)},
    "Footwear": {
        "boots": (0.3, 0.3),
        "sandals": (0.2, 0.2),
        "heels": (0.2, 0.2),
        "sneakers": (0.2, 0.2),
        "flats": (0.1, 0.1),
    },
    "Socks": {"socks": (0.5, 0.5), "stockings": (0.5, 0.5)},
}
"""Share of each kind in its class on the first and on the last day."""

_APART = 1.2  # distance of the scores' means from 0, in standard deviations
_FOUND = 0.25  # least presence of a garment that is found
_CERTAIN = 0.6  # least probability of a kind that is named
_PART = 50_000  # photos per part
_PIECE = 5_000  # photos made at once
_HEIGHT, _WIDTH = 900, 600
_DRAWN = (  # rectangles of each class: top, bottom, left and right of a person's middle; later ones cover earlier ones
    ("Skin", ((150, 240, -40, 40), (250, 480, -130, -100), (250, 480, 100, 130), (460, 810, -70, 70))),
    ("Hair", ((80, 150, -50, 50),)),
    ("Socks", ((640, 810, -70, 70),)),
    ("Footwear", ((800, 850, -90, 90),)),
    ("Shirt", ((240, 460, -100, 100),)),
    ("Pants", ((460, 760, -80, 80),)),
    ("Shorts", ((460, 600, -85, 85),)),
    ("Dress", ((240, 460, -85, 85), (460, 680, -115, 115))),
    ("Romper", ((240, 600, -95, 95),)),
    ("Coat", ((240, 640, -135, -50), (240, 640, 50, 135))),
    ("Scarf/Tie", ((230, 270, -60, 60), (270, 380, -20, 20))),
    ("Glasses", ((175, 200, -40, 40),)),
    ("Hat", ((60, 115, -70, 70),)),
    ("Bag", ((470, 600, 95, 145),)),
)
_MARKETS = np.array(["North", "South"])
_SEASONS = np.array(["winter", "spring", "summer", "autumn"])
_NAMES = np.array(OUTFIT_15.names)
_WORN = np.array([garment.id for garment in OUTFIT_15.worn])
_COLOURS = [(name, codes.split()[0]) for colours in FINE_COLOURS.values() for name, codes in colours.items()]
_COLOUR_NAMES, _COLOUR_CODES = (np.array(column) for column in zip(*_COLOURS, strict=True))
_OLIVE = int(np.flatnonzero(_COLOUR_NAMES == "olive")[0])
_UNKNOWN = ("date_precision", "calibration_revision", "kinds_revision")
_DIMENSIONS = 32  # of an embedding


def make_archive(
    archive: Archive, photos: int, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> int:
    """Adds made-up photos to an archive; the same number and seed again add nothing.

    Args:
        archive: Archive to which the photos are added.
        photos: Number of photos.
        seed: Seed of the random numbers; each is a version of its own.
        progress: Function that is called with the number of photos made so far.

    Returns:
        Number of added photos.

    Raises:
        ArchiveError: If the archive cannot be written.
    """
    writer = archive.writer(Version(OUTFIT_15.name, MADE_UP_MODEL, f"seed-{seed}"))
    added = 0
    for part in range(0, photos, _PART):
        pieces = []
        for first in range(part, min(part + _PART, photos), _PIECE):
            pieces.append(_piece(seed, first, min(_PIECE, photos - first)))
            progress(first + len(pieces[-1]))
        added += writer.append(pa.concat_tables(pieces))
    return added


def _piece(seed: int, first: int, count: int) -> pa.Table:
    """Photos `first` to `first + count` as a table of `SCHEMA`."""
    random = np.random.default_rng([seed, first])
    span = (LAST_DAY - FIRST_DAY).days + 1
    days = random.integers(0, span, count)
    dates = np.datetime64(FIRST_DAY, "D") + days
    taken = dates.astype("datetime64[us]") + random.integers(7 * 3600, 21 * 3600, count).astype("timedelta64[s]")
    markets = random.integers(0, 2, count)
    people = 1 + (random.random(count) < 0.1)
    photo_of = np.repeat(np.arange(count), people)  # by outfit
    presence = _presence(random, days[photo_of] / (span - 1), markets[photo_of])
    found = presence >= _FOUND
    outfit, kind = np.nonzero(found)  # by garment
    weight = random.gamma(2.0, size=len(outfit)) * np.where(np.isin(_NAMES[kind], ("Coat", "Dress", "Pants")), 4, 1)
    share = (weight / np.bincount(outfit, weight, len(found))[outfit]).astype(np.float32)
    order = np.lexsort((-share, outfit))  # of a person, the largest first
    outfit, kind, share = outfit[order], kind[order], share[order]
    starts = np.concatenate([[0], np.cumsum(people)])
    masks = (found.astype(np.int64) << np.arange(len(_NAMES))).sum(axis=1)
    columns = {
        "photo_id": _ids(random, count),
        "file_name": pa.array([f"made-up-{number:07d}.jpg" for number in range(first, first + count)]),
        "taken_at": pa.array(taken),
        "tags": _tags(dates, markets),
        "width": pa.array(np.full(count, _WIDTH, np.int32)),
        "height": pa.array(np.full(count, _HEIGHT, np.int32)),
        "model": _same(MADE_UP_MODEL, count),
        "revision": _same(f"seed-{seed}", count),
        "taxonomy": _same(OUTFIT_15.name, count),
        "analysed_at": _same(datetime.now(UTC).replace(tzinfo=None), count),
        "people": _people(random, people, starts),
        "garments": _garments(random, outfit, kind, share, photo_of, starts, (days / (span - 1))[photo_of], markets),
        "class_map": _figures(masks, starts),
        "outfits": _lists(starts, pa.array(masks)),
        "presence": _lists(starts, _rows(presence[:, _WORN])),
        "kinds": _lists(
            np.searchsorted(outfit, starts), _kinds(seed, first, kind, (days / (span - 1))[photo_of][outfit])
        ),
        "embeddings": _lists(np.searchsorted(outfit, starts), _embeddings(seed, first, kind)),
        "embedding_revision": _same(MADE_UP_MODEL, count),
        "monochrome": _same(False, count),
        "fingerprint": pa.array(random.integers(-(2**63), 2**63 - 1, count)),
        **{name: pa.nulls(count, pa.string()) for name in _UNKNOWN},
    }
    return pa.table([columns[name] for name in SCHEMA.names], SCHEMA)


def _presence(random: np.random.Generator, time: np.ndarray, market: np.ndarray) -> np.ndarray:
    """Probability that each person wears each class, float32 `(n, classes)`; 0 or 1 where there is no doubt.

    Args:
        random: Random generator to draw from.
        time: Time of each outfit, `(n,)`, 0 on the first day and 1 on the last.
        market: Index into the markets for each outfit, `(n,)`.
    """
    draw = random.random((len(time), len(_NAMES)))
    year = time * (LAST_DAY - FIRST_DAY).days / 365.25
    winter = 0.5 + 0.5 * np.cos(2 * np.pi * (year - 15 / 365.25))  # 1 in the middle of January
    chance = np.zeros_like(draw)
    for name, often in {"Footwear": 0.9, "Bag": 0.35, "Glasses": 0.18, "Scarf/Tie": 0.1}.items():
        chance[:, OUTFIT_15[name].id] = often
    chance[:, OUTFIT_15["Hat"].id] = np.where(market == 0, 0.08 + 0.16 * time, 0.08)
    chance[:, OUTFIT_15["Coat"].id] = 0.10 + 0.45 * winter
    whole = random.random(len(time))  # one of: dress, romper, shirt with pants, shirt with shorts
    dress, romper, pants = whole < 0.3, (whole >= 0.3) & (whole < 0.32), (whole >= 0.32) & (whole < 0.85)
    shorts = whole >= 0.85
    for name, chosen in {"Dress": dress, "Romper": romper, "Pants": pants, "Shorts": shorts}.items():
        chance[:, OUTFIT_15[name].id] = chosen
    chance[:, OUTFIT_15["Shirt"].id] = pants | shorts
    chance[:, OUTFIT_15["Socks"].id] = np.where(shorts, 0.2 + 0.4 * time, 0.15)
    score = np.where(draw < chance, _APART, -_APART) + random.standard_normal(chance.shape)
    likelier = np.exp(2 * _APART * score)  # times as likely if the class is worn
    return (chance * likelier / (chance * likelier + 1 - chance)).astype(np.float32)


def _garments(
    random: np.random.Generator,
    outfit: np.ndarray,
    kind: np.ndarray,
    share: np.ndarray,
    photo_of: np.ndarray,
    starts: np.ndarray,
    time: np.ndarray,
    markets: np.ndarray,
) -> pa.Array:
    """The column of garments, of which `outfit`, `kind` and `share` are in the order of the rows."""
    count = len(outfit)
    photo = photo_of[outfit]
    main = random.integers(0, len(_COLOURS), count)
    main[main == _OLIVE] = 0
    coat = kind == OUTFIT_15["Coat"].id
    olive = np.where(markets[photo] == 1, 0.05 + 0.2 * time[outfit], 0.05)
    main[coat & (random.random(count) < olive)] = _OLIVE
    second = (main + random.integers(1, len(_COLOURS), count)) % len(_COLOURS)
    number = 1 + (random.random(count) < 0.4)  # colours of each garment
    first_share = np.where(number == 1, 0.97, random.uniform(0.55, 0.9, count))
    pairs = np.stack([main, second], axis=1)
    shares = np.stack([first_share, 0.97 - first_share], axis=1).astype(np.float32)
    there = np.arange(2) < number[:, None]
    colour = pairs[there]
    colours = pa.StructArray.from_arrays(
        [pa.array(_COLOUR_CODES[colour]), pa.array(_COLOUR_NAMES[colour]), pa.array(shares[there])],
        fields=list(SCHEMA.field("garments").type.value_type.field("colours").type.value_type),
    )
    corner = np.stack([random.integers(0, _WIDTH // 2, count), random.integers(0, _HEIGHT // 2, count)], axis=1)
    size = np.stack([random.integers(40, _WIDTH // 2, count), random.integers(40, _HEIGHT // 2, count)], axis=1)
    garments = pa.StructArray.from_arrays(
        [
            pa.array(_NAMES[kind]),
            pa.array((outfit - starts[:-1][photo]).astype(np.int32)),
            pa.array((share * 0.2).astype(np.float32)),
            pa.array(share),
            pa.array(random.uniform(0.6, 0.99, count).astype(np.float32)),
            _boxes(np.concatenate([corner, size], axis=1)),
            _lists(np.concatenate([[0], np.cumsum(number)]), colours),
        ],
        fields=list(SCHEMA.field("garments").type.value_type),
    )
    return _lists(np.searchsorted(outfit, starts), garments)


def _kinds(seed: int, first: int, garments: np.ndarray, time: np.ndarray) -> pa.Array:
    """Kind of each garment, null for classes without kinds.

    Args:
        seed: Seed of the archive.
        first: Number of the first photo of the piece.
        garments: Class of each garment, `(n,)`.
        time: Time of each garment, `(n,)`, 0 on the first day and 1 on the last.
    """
    random = np.random.default_rng([seed, first, 1])  # of its own, so that all else is as without kinds
    said = [kind for kinds in KINDS.values() for kind in kinds]
    starts = np.concatenate([[0], np.cumsum([len(KINDS.get(name, ())) for name in _NAMES[garments]])])
    likely_of = np.zeros(starts[-1], np.float32)
    number_of = np.zeros(starts[-1], np.int64)  # place in `said`
    named = np.full(len(garments), -1)
    for name, kinds in KINDS.items():
        rows = np.flatnonzero(garments == OUTFIT_15[name].id)
        begin, end = np.array(list(kinds.values())).T
        share = begin + (end - begin) * time[rows, None]  # (rows, kinds)
        true = (random.random(len(rows))[:, None] > share.cumsum(axis=1)).sum(axis=1).clip(max=len(kinds) - 1)
        score = np.where(np.arange(len(kinds)) == true[:, None], _APART, -_APART)
        likely = share * np.exp(2 * _APART * (score + random.standard_normal(score.shape)))
        likely /= likely.sum(axis=1, keepdims=True)
        numbers = said.index(next(iter(kinds))) + np.arange(len(kinds))
        places = starts[rows][:, None] + np.arange(len(kinds))
        likely_of[places], number_of[places] = likely, numbers
        certain = likely.max(axis=1) >= _CERTAIN
        named[rows[certain]] = numbers[likely.argmax(axis=1)[certain]]
    names = pa.array(said)
    probabilities = pa.MapArray.from_arrays(
        pa.array(starts.astype(np.int32)), names.take(pa.array(number_of)), pa.array(likely_of)
    )
    columns = [names.take(pa.array(named, mask=named < 0)), probabilities]
    fields = list(SCHEMA.field("kinds").type.value_type)
    return pa.StructArray.from_arrays(columns, fields=fields, mask=pa.array(np.diff(starts) == 0))


def _embeddings(seed: int, first: int, garments: np.ndarray) -> pa.Array:
    """Embeddings of garments, around one for each class; `garments` holds their classes."""
    random = np.random.default_rng([seed, first, 2])
    centres = np.random.default_rng(seed).standard_normal((len(_NAMES), _DIMENSIONS), np.float32)
    vectors = centres[garments] + random.standard_normal((len(garments), _DIMENSIONS), np.float32)
    vectors *= 127 / np.linalg.norm(vectors, axis=1, keepdims=True)
    ends = np.arange(len(garments) + 1, dtype=np.int32) * _DIMENSIONS
    return pa.Array.from_buffers(
        pa.binary(), len(garments), [None, pa.py_buffer(ends), pa.py_buffer(vectors.round().astype(np.int8))]
    )


def _people(random: np.random.Generator, people: np.ndarray, starts: np.ndarray) -> pa.Array:
    count = int(starts[-1])
    rank = np.arange(count) - np.repeat(starts[:-1], people)
    boxes = np.stack([60 + 240 * rank, np.full(count, 50), np.full(count, 240), np.full(count, 800)], axis=1)
    return _lists(
        starts,
        pa.StructArray.from_arrays(
            [
                _boxes(boxes),
                pa.array(random.uniform(0.95, 1.0, count).astype(np.float32)),
                pa.array(np.ones(count, bool)),
            ],
            fields=list(SCHEMA.field("people").type.value_type),
        ),
    )


def _tags(dates: np.ndarray, markets: np.ndarray) -> pa.Array:
    month = dates.astype("datetime64[M]").astype(int) % 12
    season = _SEASONS[(month + 1) % 12 // 3]
    keys = np.tile(np.array(["market", "season", "source"]), len(dates))
    values = np.stack([_MARKETS[markets], season, np.full(len(dates), "made up")], axis=1).ravel()
    offsets = pa.array(np.arange(0, 3 * len(dates) + 1, 3, dtype=np.int32))
    return pa.MapArray.from_arrays(offsets, pa.array(keys), pa.array(values))


def _ids(random: np.random.Generator, count: int) -> pa.Array:
    """Random ids in hex."""
    offsets = np.arange(0, 64 * count + 1, 64, dtype=np.int32)
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(offsets), pa.py_buffer(random.bytes(32 * count).hex().encode())
    )


def _lists(starts: np.ndarray, values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(starts.astype(np.int32)), values)


def _rows(values: np.ndarray) -> pa.Array:
    return _lists(np.arange(0, values.size + 1, values.shape[1]), pa.array(values.ravel()))


def _boxes(boxes: np.ndarray) -> pa.Array:
    return _rows(boxes.astype(np.int32))


def _same(value: object, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), count)


def _figures(masks: np.ndarray, starts: np.ndarray) -> pa.Array:
    """Class map of each photo: its people side by side, each in what is worn, as rectangles.

    Args:
        masks: Classes that each person wears, as bits, `(n,)`.
        starts: First person of each photo, and at the end the number of people.
    """
    worn = [tuple(masks[first:last].tolist()) for first, last in pairwise(starts)]
    places = {each: place for place, each in enumerate(dict.fromkeys(worn))}
    drawn = pa.array([_figure(each) for each in places], pa.binary())
    return drawn.take(pa.array([places[each] for each in worn]))


@lru_cache(maxsize=4096)
def _figure(masks: tuple[int, ...]) -> bytes:
    """Class map of people who wear the classes in the masks."""
    scale = CLASS_MAP_SIDE / _HEIGHT
    figure = np.zeros((CLASS_MAP_SIDE, round(_WIDTH * scale)), np.uint8)
    for person, mask in enumerate(masks):
        centre = (person + 0.5) * _WIDTH / len(masks)
        for name, pieces in _DRAWN:
            if name in ("Hair", "Skin") or mask >> OUTFIT_15[name].id & 1:
                for top, bottom, left, right in pieces:
                    rows = slice(round(top * scale), round(bottom * scale))
                    columns = slice(round((centre + left) * scale), round((centre + right) * scale))
                    figure[rows, columns] = OUTFIT_15[name].id
    return small_map(figure, OUTFIT_15, CLASS_MAP_SIDE)

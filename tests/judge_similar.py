"""How much features of the network help to find similar outfits, which made the numbers of the archive's README.

    PYTHONPATH=. python tests/judge_similar.py CCP FLATLAYS [GALLERY [QUERIES]]

Two questions, for the distance of `segmodels.archive.similar` without features, for it as it is, and for it with the
features before they are projected to embeddings:

- Other framings (waist-up, waist-down) of each of the 101 test photos (or QUERIES of them) ask among 1,000 (or GALLERY)
  whole photos, their own among them: is that in the first hundredth? A crop shares its pixels with its photo, so that
  this favours features.
- Each of the 188 flat-lays for testing asks among those of other senders: how many of the first 10 have its label?

The share and the dimensions were chosen on other photos: those of fold 0, which the network left out, and the flat-lays
of `train/splits/flatlay_choice.txt`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from segmodels import load_segmenter
from segmodels.archive.ingest import version_of
from segmodels.archive.rows import Row, as_table, photo_id, row_of
from segmodels.archive.similar import FEATURES, Looks, read_looks
from segmodels.archive.store import Archive
from segmodels.datasets.ccp import read_ccp
from segmodels.datasets.flatlay import read_flatlays
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import open_photo
from train.analysis.framing import draw, framed

FRAMINGS = ("waist-up", "waist-down")
WAYS = ("without features", "as built", "not projected")
FIRST = 10
TEST = Path(__file__).parents[1] / "train" / "splits" / "ccp_test.txt"
_WITHOUT = 15 + 15  # places, and shares of the classes, the last of the features

T = TypeVar("T")
Features = dict[tuple[str, int, str], np.ndarray]
Found = list[tuple[Row, Features]]


def main() -> None:
    """Prints both tables."""
    segmenter = load_segmenter("fpn")
    gallery, queries = ([int(each) for each in sys.argv[3:]] + [1000, 101][len(sys.argv) - 3 :])[:2]
    judge_framings(segmenter, Path(sys.argv[1]), gallery, queries)
    judge_flatlays(segmenter, Path(sys.argv[2]))


def judge_framings(segmenter: Segmenter, root: Path, size: int, queries: int) -> None:
    """Prints the share of other framings whose photo is found, with intervals of the differences."""
    data = read_ccp(root)
    test = TEST.read_text().split()[:queries]
    others = sorted((path.stem for path in (root / "photos").glob("*.*")), key=draw)
    chosen = [*test, *(each for each in others if each not in test)][:size]
    paths = {path.stem: path for path in (root / "photos").glob("*.*")}
    found: Found = [analysed(segmenter, each, open_photo(paths[each])) for each in progress(chosen)]
    for framing in FRAMINGS:
        for each in progress(test):
            photo, _ = framed(framing, *data.pair(each), each)
            found.append(analysed(segmenter, f"{framing}/{each}", photo))
    looks, features = compared(segmenter, found)
    names = looks.outfits["file_name"]
    gallery = ~names.str.contains("/").to_numpy()
    ranks: dict[str, list[list[int]]] = {framing: [] for framing in FRAMINGS}
    for framing, asked in ranks.items():
        for each in test:
            own = np.flatnonzero(names == f"{framing}/{each}")
            if not len(own):
                continue
            query = own[np.argmax(looks.presence[own].sum(1))]
            row = []
            for distance in mixtures(looks, features, int(query)):
                nearest = distance[gallery & (names == each).to_numpy()].min(initial=np.inf)
                row.append(1 + names[gallery & (distance < nearest)].nunique())
            asked.append(row)
    first = max(1, len(chosen) // 100)
    print(f"Another framing asks among {len(chosen):,} photos: in the first {first}, first, median place")
    for framing, asked in (*ranks.items(), ("all", [row for each in ranks.values() for row in each])):
        places = np.array(asked)
        print(f"  {framing} ({len(places)})")
        hits = places <= first
        for at, way in enumerate(WAYS):
            low, high = bootstrap(hits[:, at].astype(float) - hits[:, 0])
            print(
                f"    {way}: {hits[:, at].mean():6.1%} ({low:+.1%} to {high:+.1%} against the first), "
                f"{(places[:, at] == 1).mean():6.1%}, {np.median(places[:, at]):.0f}"
            )


def judge_flatlays(segmenter: Segmenter, root: Path) -> None:
    """Prints the share of neighbours with the same label."""
    data = read_flatlays(root).part("test")
    about = {each.file: each for each in data.photos}
    found = [analysed(segmenter, each.file, data.open(each)) for each in progress(data.photos)]
    looks, features = compared(segmenter, found)
    names = looks.outfits["file_name"].tolist()
    labels, senders = (np.array([getattr(about[name], key) for name in names]) for key in ("label", "sender"))
    same = []
    for query in range(len(names)):
        allowed = np.flatnonzero(senders != senders[query])
        if (labels[allowed] == labels[query]).sum() >= FIRST:
            nearest = [
                allowed[np.argsort(each[allowed], kind="stable")[:FIRST]] for each in mixtures(looks, features, query)
            ]
            chance = (labels[allowed] == labels[query]).mean()
            same.append([*((labels[each] == labels[query]).mean() for each in nearest), chance])
    values = np.array(same)
    print(f"{len(values)} flat-lays ask among those of other senders: same label among the first {FIRST}")
    for at, way in enumerate(WAYS):
        low, high = bootstrap(values[:, at] - values[:, 0])
        print(f"  {way}: {values[:, at].mean():6.1%} ({low:+.1%} to {high:+.1%} against the first)")
    print(f"  by chance: {values[:, -1].mean():.1%}")


def analysed(segmenter: Segmenter, name: str, photo: np.ndarray) -> tuple[Row, Features]:
    """The row of a photo, and the features of its garments by photo, person and class."""
    segmentation, vectors = segmenter.segment_with_garment_features(photo)
    key = photo_id(name.encode())
    features = {
        (key, garment.person, garment.name): vector[:-_WITHOUT]
        for garment, vector in zip(segmentation.garments, vectors, strict=True)
    }
    return row_of(segmentation, photo, name, name.encode()), features


def compared(segmenter: Segmenter, found: Found) -> tuple[Looks, np.ndarray]:
    """What is compared, and unit vectors of features, float32 `(outfits, classes, features)`, NaN for none."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(folder)
        archive.writer(version_of(segmenter)).append(as_table([row for row, _ in found]))
        looks = read_looks(archive, version_of(segmenter))
    vectors = {key: vector for _, each in found for key, vector in each.items()}
    stacked = np.stack(list(vectors.values()))
    mean, deviation = stacked.mean(0), stacked.std(0) + 1e-6
    classes = [each.name for each in segmenter.taxonomy.worn]
    features = np.full((len(looks.outfits), len(classes), stacked.shape[1]), np.nan, np.float32)
    outfits = zip(looks.outfits["photo_id"].tolist(), looks.outfits["person"].tolist(), strict=True)
    for at, (photo, person) in enumerate(outfits):
        for place, name in enumerate(classes):
            if (vector := vectors.get((photo, person, name))) is not None:
                vector = (vector - mean) / deviation
                features[at, place] = vector / np.linalg.norm(vector)
    return looks, features


def mixtures(looks: Looks, features: np.ndarray, query: int) -> list[np.ndarray]:
    """Distances of all outfits from one, for each of `WAYS`."""
    plain = looks._plain(query)
    cosine = np.nan_to_num((features * features[query]).sum(2))  # (outfits, classes); of what is lacking, 0
    asked = looks.presence[query] * np.isfinite(features[query]).all(1)
    own = (1 - (np.minimum(looks.presence, asked) * cosine).sum(1) / max(asked.sum(), 1e-6)) / 2
    return [plain, looks.distances(query), (1 - FEATURES) * plain + FEATURES * own]


def bootstrap(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean, over resamples."""
    draws = np.random.default_rng(0).integers(0, len(values), (2000, len(values)))
    low, high = np.quantile(values[draws].mean(1), [0.025, 0.975])
    return float(low), float(high)


def progress(things: Iterable[T]) -> Iterator[T]:
    """Goes through things, and says now and then how many are done."""
    for number, each in enumerate(things):
        if number % 50 == 0:
            print(f"{number} ...", file=sys.stderr, flush=True)
        yield each


if __name__ == "__main__":
    main()

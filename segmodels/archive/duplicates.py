"""Near-duplicates: one photo in several files, recompressed, resized or slightly edited.

Files of the same bytes are one photo already, as the id of a photo is their SHA-256. Others are compared by
`segmodels.fingerprint`. Two photos are near-duplicates if their fingerprints differ in at most `MOST_BITS` of 64 bits,
their shapes (width by height) by at most 2 %, and the mean colours of what is worn in them by less than 9 in CIELAB:
catalogue photos of two garments of one cut may differ in nothing else. Of a black-and-white photo and one in colour
the lightness alone is compared. Groups are the connected components.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.color import rgb2lab

from segmodels.archive.reader import Reader

__all__ = ["MOST_BITS", "load_duplicates", "near_duplicates"]

MOST_BITS = 2
"""Most bits in which the fingerprints of near-duplicates differ; nearly all pairs differ in an even number of bits."""

_SHAPE = 0.02  # largest difference of the logarithms of width by height
_COLOUR = 9.0  # distance in CIELAB from which the colours are those of other garments
_BANDS = ((0, 21), (21, 21), (42, 22))  # first bit and bits of each band: with two wrong bits, one band is right
_NEXT = 16  # photos with which a photo of a band is compared: those next to it in the order of their fingerprints


def load_duplicates(reader: Reader, progress: Callable[[str], None] = lambda sentence: None) -> int | None:
    """Makes a table `duplicate` of the ids of the photos that do not count, as others of their groups do.

    Args:
        reader: Reader of the rows, in whose connection the table is made.
        progress: Function that is called with a sentence before it begins.

    Returns:
        Number of these photos; None if no row has a fingerprint.
    """
    progress("Comparing photos.")
    known = bool(reader.query("SELECT count(fingerprint) n FROM photos")["n"].iloc[0])
    found = near_duplicates(reader)
    reader.query(
        "CREATE OR REPLACE TABLE duplicate AS SELECT unnest($ids)::VARCHAR AS photo_id",
        {"ids": found.loc[~found["kept"], "photo_id"].tolist()},
    )
    return int((~found["kept"]).sum()) if known else None


def near_duplicates(reader: Reader) -> pd.DataFrame:
    """Photos of an archive that have near-duplicates.

    Args:
        reader: Reader of the rows; those without a fingerprint are passed over.

    Returns:
        A row for each photo: `photo_id`, `group` (its number, from 1), and `kept`, whether it is the one of its group
        that counts: one in colour if there is one, the largest by pixels, the first that was analysed, the first by
        id. The kept one is the first of its group. Also `file_name`, `width` and `height`.
    """
    found = reader.query("SELECT fingerprint FROM photos WHERE fingerprint IS NOT NULL")["fingerprint"]
    photos = _described(reader, found.iloc[np.unique(_pairs(_bits(found)))])
    pairs = _pairs(_bits(photos["fingerprint"]), photos["lightness"].to_numpy())
    groups = _groups(_confirmed(photos, pairs), len(photos))
    photos["group"], photos["members"] = groups, np.bincount(groups, minlength=1)[groups] if len(groups) else groups
    photos = photos[photos["members"] > 1].assign(pixels=lambda rows: rows["width"] * rows["height"])
    photos = photos.sort_values(
        ["group", "monochrome", "pixels", "analysed_at", "photo_id"],
        ascending=[True, True, False, True, True],
        ignore_index=True,
    )
    return photos.assign(group=pd.factorize(photos["group"])[0] + 1, kept=~photos["group"].duplicated())[
        ["photo_id", "group", "kept", "file_name", "width", "height"]
    ]


def _pairs(hashes: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """Pairs of places whose fingerprints differ in at most `MOST_BITS` bits, int64 `(n, 2)`.

    If one band has very many photos of one value, such as white ones, only those that are next to each other in the
    order of the fingerprint are compared, so that equal fingerprints still meet.

    Args:
        hashes: Fingerprints, uint64 `(photos,)`.
        order: Number by which photos with equal fingerprints are ordered, `(photos,)`; any order if left out.
    """
    found = []
    for first, bits in _BANDS:
        turned = hashes << np.uint64(first) | hashes >> np.uint64(64 - first) if first else hashes  # the band in front
        places = np.lexsort((order, turned)) if order is not None else np.argsort(turned)
        band, in_order = turned[places] >> np.uint64(64 - bits), hashes[places]
        for step in range(1, _NEXT + 1):
            near = np.flatnonzero(band[step:] == band[:-step])
            if not len(near):
                break
            different = np.bitwise_count(in_order[near] ^ in_order[near + step])
            near = near[(different <= MOST_BITS) & ((different > 0) | (first == 0))]  # equal ones meet in each band
            found.append(np.stack([places[near], places[near + step]], axis=1))
    return np.concatenate(found) if found else np.zeros((0, 2), np.int64)


def _bits(fingerprints: pd.Series[int]) -> np.ndarray:
    return fingerprints.to_numpy(np.int64).view(np.uint64)


def _described(reader: Reader, fingerprints: pd.Series[int]) -> pd.DataFrame:
    """Name, size, tone and mean colour of what is worn, in CIELAB, of the photos with these fingerprints.

    The colour is NaN if nothing is worn. Photos are in the order of their ids.
    """
    asked = {"asked": sorted(set(fingerprints.tolist()))}
    photos = reader.query(
        "SELECT photo_id, fingerprint, file_name, width, height, analysed_at, coalesce(monochrome, false) AS monochrome"
        " FROM photos WHERE fingerprint IN (SELECT unnest($asked)) ORDER BY photo_id",
        asked,
    )
    colours = reader.query(
        "SELECT photo_id, c.hex AS hex, sum(c.share * area) AS weight FROM (SELECT photo_id, g.area_share AS area,"
        " unnest(g.colours) AS c FROM (SELECT photo_id, unnest(garments) AS g FROM photos"
        " WHERE fingerprint IN (SELECT unnest($asked)))) GROUP BY ALL ORDER BY ALL",
        asked,
    )
    rgb = np.frombuffer(bytes.fromhex("".join(colours["hex"].str.removeprefix("#"))), np.uint8).reshape(-1, 3)
    lab = pd.DataFrame(rgb2lab(rgb / 255), columns=["lightness", "a", "b"])
    weighted = lab.mul(colours["weight"], axis=0).assign(weight=colours["weight"], photo_id=colours["photo_id"])
    sums = weighted.groupby("photo_id").sum()
    return photos.join(sums.drop(columns="weight").div(sums["weight"], axis=0), on="photo_id")


def _confirmed(photos: pd.DataFrame, pairs: np.ndarray) -> np.ndarray:
    """Those pairs of places whose shapes and colours are alike; nothing worn in both is alike too."""
    one, other = pairs.T
    shapes = np.log(photos["width"].to_numpy() / photos["height"].to_numpy())
    colours = photos[["lightness", "a", "b"]].to_numpy(float)
    bare = np.isnan(colours[one, 0]) & np.isnan(colours[other, 0])
    off = np.abs(colours[one] - colours[other])
    grey = photos["monochrome"].to_numpy(bool)
    far = np.where(grey[one] != grey[other], off[:, 0], np.linalg.norm(off, axis=1))  # lightness alone if one is grey
    near = far < _COLOUR  # False where one is NaN
    kept: np.ndarray = pairs[(np.abs(shapes[one] - shapes[other]) <= _SHAPE) & (near | bare)]
    return kept


def _groups(pairs: np.ndarray, count: int) -> np.ndarray:
    """Number of the connected component of each place."""
    edges = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(count, count))
    return np.asarray(connected_components(edges, directed=False)[1])

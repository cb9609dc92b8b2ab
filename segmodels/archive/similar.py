"""Outfits that look like another one: by garments, their kinds, their colours and features of the network.

The distance of two outfits, 0 to 1, is a weighted mean of four, each 0 to 1:

- garments: one less the weighted Jaccard similarity of the presences (Ruzicka), the sum of the smaller presence of each
  class by the sum of the larger;
- kinds: of the classes that both have, the mean total variation of the probabilities of the kinds;
- colours: of the classes that both have, the mean distance of the main colours in CIELAB (CIE76), `FAR` and more
  counting as 1;
- features: of the classes that the outfit asked for has, the mean of half of one less the cosine of the embeddings
  (`segmodels.inference.embedding`), where both outfits have embeddings of one revision. A garment that the other lacks
  counts as neither alike nor unlike, 0.5; without that, outfits with the same shoes alone would come first.

The means over classes are weighted by the smaller of the two presences, and what the other lacks by the rest. A
distance that cannot be had, as that of colours in black and white, is left out of the mean; where two outfits have no
class in common it is 1. That of features is estimated where it cannot be had for one of the outfits but can for others,
so that neither come first: it is what outfits as far away by the other three have on average (a line by least squares).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from skimage.color import rgb2lab

from segmodels.archive.division import kinds_there
from segmodels.archive.duplicates import near_duplicates
from segmodels.archive.place import ArchiveError
from segmodels.archive.store import Archive, Version
from segmodels.sentences import counted

__all__ = ["COLOURS", "FAR", "FEATURES", "GARMENTS", "KINDS", "Looks", "read_looks"]

GARMENTS, KINDS, COLOURS = 0.4, 0.2, 0.4
"""Weights of these three among each other."""

FEATURES = 0.5
"""Weight of the distance of features, against that of the other three together."""

FAR = 50.0
"""Distance in CIELAB from which on two colours differ as much as can be."""

_PRESENT = 0.05  # presence below which a garment is none
_AGAIN = "`garmentscope archive re-analyse` brings them."


@dataclass(frozen=True)
class Looks:
    """What is compared of the outfits of an archive, in memory.

    Args:
        outfits: A row for each outfit: `photo_id`, `file_name`, `day`, `person` (from 0) and `hidden`, whether it is a
            near-duplicate that does not count.
        presence: float32 `(outfits, classes)`.
        kinds: float32 `(outfits, kinds)`: probabilities of the kinds of each class, NaN where there are none.
        kind_class: int `(kinds,)`: place of the class of each kind among the classes.
        lab: float32 `(outfits, classes, 3)`: main colour of each garment in CIELAB, NaN where there is none.
        embeddings: int8 `(outfits, classes, dimensions)`: embedding of each garment, zeros where there is none.
        fit: int `(outfits,)`: number of the revision that gave the embeddings of each outfit, -1 for none.
    """

    outfits: pd.DataFrame
    presence: np.ndarray
    kinds: np.ndarray
    kind_class: np.ndarray
    lab: np.ndarray
    embeddings: np.ndarray
    fit: np.ndarray

    def find(self, photo: str, person: int = 0, called: str = "") -> int:
        """Row of an outfit.

        Args:
            photo: Id of the photo, or its file name, which may lack folders.
            person: Number of the person in the photo, from 0.
            called: What errors call the photo; `photo` if left out.

        Raises:
            ArchiveError: If there is no such photo or person, or there are several photos of that name.
        """
        names = self.outfits["file_name"].fillna("")
        for chosen in (self.outfits["photo_id"] == photo, names == photo, names.str.endswith(f"/{photo}")):
            found = self.outfits[chosen]
            if found["photo_id"].nunique() > 1:
                raise ArchiveError(
                    f"Several photos of the archive are called {photo}. Give the folder as well, or the id."
                )
            if len(found) and person not in set(found["person"]):
                outfits = counted(len(found), "outfit")
                raise ArchiveError(f"{called or photo} has {outfits}, and none of person {person + 1}.")
            if len(found):
                return int(found.index[found["person"] == person][0])
        raise ArchiveError(f"The archive has no photo {called or photo} with an outfit. Give its file name, or its id.")

    def nearest(self, outfit: int, number: int = 12) -> pd.DataFrame:
        """The outfits of other photos that are nearest to one, the nearest first.

        Args:
            outfit: Row of the outfit.
            number: Most outfits.

        Returns:
            Rows of `outfits` with their `distance`, 0 to 1.
        """
        distance = self.distances(outfit)
        own = self.outfits["photo_id"] == self.outfits["photo_id"].iloc[outfit]
        distance[(own | self.outfits["hidden"]).to_numpy()] = np.inf
        number = min(number, int(np.isfinite(distance).sum()))
        first = np.argpartition(distance, number - 1)[:number] if number else np.empty(0, int)
        first = first[np.argsort(distance[first], kind="stable")]
        return self.outfits.iloc[first].drop(columns="hidden").assign(distance=distance[first]).reset_index(drop=True)

    def with_features(self, outfit: int) -> np.ndarray:
        """Whether the features of each outfit can be compared with those of one, bool `(outfits,)`."""
        return np.asarray((self.fit == self.fit[outfit]) & (self.fit >= 0))

    def likeness(self, outfit: int) -> str:
        """What outfits are compared with one by, to go on with in a sentence."""
        features = self.with_features(outfit).sum() > 1
        return "garments, kinds, colours and features of the network" if features else "garments, kinds and colours"

    def caution(self, outfit: int) -> str:
        """A sentence on outfits whose features cannot be compared with those of one; empty if there are none."""
        lacking = int((~self.with_features(outfit)).sum())
        if not lacking or (self.fit < 0).all():
            return ""
        if self.fit[outfit] < 0:
            return f"Features of the network are not compared, as this outfit was added before there were any. {_AGAIN}"
        outfits = counted(lacking, "outfit")
        return f"Features of {outfits} are estimated, as the rows lack them or have those of another fit. {_AGAIN}"

    def distances(self, outfit: int) -> np.ndarray:
        """Distance of each outfit from one, float32 `(outfits,)`, 0 to 1."""
        plain = self._plain(outfit)
        features = self._features(outfit)
        known = np.isfinite(features)
        if not known.any():
            return plain
        if not known.all():
            line = (
                np.polyfit(plain[known], features[known], 1) if np.ptp(plain[known]) > 0 else [features[known].mean()]
            )
            features = np.where(known, features, np.polyval(line, plain)).clip(0, 1)
        both = (1 - FEATURES) * plain + FEATURES * features
        return np.where(plain < 1, both, 1).astype(np.float32)

    def _features(self, outfit: int) -> np.ndarray:
        """Distance of features of each outfit from one, float `(outfits,)`; NaN where they cannot be compared."""
        own = self.presence[outfit]
        asked = self.embeddings[outfit].astype(np.float32)
        classes = np.flatnonzero((own >= _PRESENT) & asked.any(axis=1))
        cosine = np.zeros(len(self.presence), np.float32)  # weighted by presence; of what is lacking, 0
        for each in classes:
            found = self.embeddings[:, each].astype(np.float32)
            length = np.sqrt(np.einsum("od,od->o", found, found)) * np.linalg.norm(asked[each])
            near = np.divide(found @ asked[each], length, out=np.zeros_like(length), where=length > 0)
            cosine += np.minimum(self.presence[:, each], own[each]) * near
        comparable = self.with_features(outfit) & bool(len(classes))
        return np.where(comparable, (1 - cosine / max(float(own[classes].sum()), 1e-6)) / 2, np.nan)

    def _plain(self, outfit: int) -> np.ndarray:
        """Distance of each outfit from one by garments, kinds and colours, float32 `(outfits,)`."""
        own = self.presence[outfit]
        classes = np.flatnonzero(
            own >= _PRESENT
        )  # others are in no minimum, and their maximum is that of the other one
        both = np.minimum(self.presence[:, classes], own[classes])
        union = np.maximum(self.presence, own).sum(1)
        garments = 1 - both.sum(1) / np.maximum(union, 1e-6)

        apart = np.linalg.norm(self.lab[:, classes] - self.lab[outfit, classes], axis=2) / FAR
        colours = _weighted(np.minimum(apart, 1), both)

        differ = np.abs(self.kinds - self.kinds[outfit]) / 2
        columns = [differ[:, self.kind_class == each].sum(1) for each in classes if (self.kind_class == each).any()]
        placed = [place for place, each in enumerate(classes) if (self.kind_class == each).any()]
        kinds = _weighted(np.stack(columns, 1), both[:, placed]) if columns else np.full(len(both), np.nan)

        parts = np.stack([garments, kinds, colours], 1)
        weights = np.where(np.isnan(parts), 0, np.array([GARMENTS, KINDS, COLOURS], np.float32))
        result = (np.nan_to_num(parts) * weights).sum(1) / weights.sum(1)
        return np.where(both.sum(1) > 0, result, 1).astype(np.float32)


def read_looks(archive: Archive, version: Version) -> Looks:
    """Reads what is compared of all outfits of a version.

    Args:
        archive: The archive.
        version: Version of the rows.

    Raises:
        ArchiveError: If it cannot be read.
    """
    taxonomy = archive.taxonomy(version)
    names = [each.name for each in taxonomy.worn]
    with archive.reader(version) as reader:
        kinds = [(name, kind) for name, each in kinds_there(reader).items() if name in names for kind in each]
        run = reader.query
        run(
            "CREATE TEMP TABLE listed AS SELECT (row_number() OVER ())::INTEGER - 1 AS p, photo_id, file_name, "
            "taken_at::DATE AS day, outfits, presence, garments, kinds, embeddings, embedding_revision, "
            "coalesce(monochrome, false) AS grey "
            "FROM photos WHERE len(outfits) > 0"
        )
        outfits = run(
            "SELECT p, photo_id, file_name, day, generate_subscripts(outfits, 1) - 1 AS person, "
            "unnest(outfits) AS mask, unnest(presence) AS presence, embedding_revision AS fit FROM listed "
            "ORDER BY p, person"
        )
        chances = ", ".join(f"k.probabilities[{_text(kind)}]" for _, kind in kinds)
        garments = run(
            "SELECT p, g.person AS person, list_position($names, g.class) - 1 AS class, "
            "CASE WHEN grey OR NOT regexp_full_match(coalesce(g.colours[1].hex, ''), '#[0-9a-fA-F]{6}') THEN -1 "
            "ELSE ('0x' || g.colours[1].hex[2:])::INTEGER END AS rgb, embedding"
            + (f", CASE WHEN k IS NOT NULL THEN [{chances}] END AS chances" if kinds else "")
            + " FROM (SELECT p, grey, unnest(garments) AS g, unnest(coalesce(kinds, [NULL FOR g IN garments])) AS k, "
            "unnest(coalesce(embeddings, [NULL FOR g IN garments])) AS embedding FROM listed) "
            "WHERE list_contains($names, g.class)",
            {"names": names},
        )
        duplicates = near_duplicates(reader)
    hidden = set(duplicates.loc[~duplicates["kept"], "photo_id"])
    first = np.searchsorted(outfits["p"].to_numpy(), garments["p"].to_numpy())  # of the photo
    at = first + garments["person"].to_numpy(), garments["class"].to_numpy()

    presence = np.zeros((len(outfits), len(names)), np.float32)
    has = outfits["presence"].notna().to_numpy()
    if has.any():
        presence[has] = np.array(outfits["presence"][has].tolist(), np.float32)
    masks = outfits["mask"].to_numpy()
    for place, each in enumerate(taxonomy.worn):
        presence[~has, place] = (masks[~has] >> each.id) & 1
    lab = np.full((*presence.shape, 3), np.nan, np.float32)
    rgb = garments["rgb"].to_numpy()
    known = rgb >= 0
    parts = np.stack([rgb >> 16, rgb >> 8 & 255, rgb & 255], 1)[known].astype(np.uint8)
    lab[at[0][known], at[1][known]] = rgb2lab(parts[None])[0] if len(parts) else 0
    probabilities = np.full((len(outfits), len(kinds)), np.nan, np.float32)
    places = np.array([names.index(name) for name, _ in kinds], int)
    if kinds:
        with_kinds = garments["chances"].notna().to_numpy()
        values = np.array(garments["chances"][with_kinds].tolist(), np.float32).reshape(-1, len(kinds))
        rows, classes = at[0][with_kinds], at[1][with_kinds]
        own = classes[:, None] == places
        spread = np.where(own, np.nan_to_num(values), np.nan)
        garment, kind = np.nonzero(own)
        probabilities[rows[garment], kind] = spread[garment, kind]
    embeddings = _embeddings(garments["embedding"], at, presence.shape)
    fit = outfits["fit"].astype("category").cat.codes.to_numpy()
    outfits["hidden"] = outfits["photo_id"].isin(hidden)
    outfits = outfits.drop(columns=["p", "mask", "presence", "fit"])
    return Looks(outfits, presence, probabilities, places, lab, embeddings, fit)


def _embeddings(found: pd.Series, at: tuple[np.ndarray, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Embeddings by outfit and class, from those of the garments; shorter ones, of another fit, end with zeros."""
    known = found.notna().to_numpy()
    values = found[known].tolist()
    dimensions = max(map(len, values), default=0)
    embeddings = np.zeros((*shape, dimensions), np.int8)
    joined = b"".join(bytes(each).ljust(dimensions, b"\0") for each in values)
    embeddings[at[0][known], at[1][known]] = np.frombuffer(joined, np.int8).reshape(len(values), dimensions)
    return embeddings


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the classes, of those without NaN; NaN where there are none."""
    weights = np.where(np.isnan(values), 0, weights)
    total = weights.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (np.nan_to_num(values) * weights).sum(1) / total, np.nan)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

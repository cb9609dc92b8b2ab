"""Several pictures of a product as one outfit: one row, which holds what any of them shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from segmodels.archive.rows import Row
from segmodels.archive.sources import Source

if TYPE_CHECKING:
    from segmodels.archive.ingest import Engine, Outcome

__all__ = ["as_outfits", "merged"]


def as_outfits(engine: Engine) -> Engine:
    """An engine that makes one row of the pictures of a product.

    The row is that of the first picture that could be read. A product of which one picture is known already is known.

    Args:
        engine: Engine that analyses the pictures.
    """

    def run(sources: Sequence[Source], known: Container[str]) -> Generator[Outcome, None, None]:
        order = {source.name: at for at, source in enumerate(sources)}
        product = {source.name: source.product for source in sources if source.product}
        left: dict[str, int] = defaultdict(int)
        for key in product.values():
            left[key] += 1
        waiting: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in engine(sources, known):
            key = product.get(outcome.name, "")
            if not key:
                yield outcome
                continue
            left[key] -= 1
            waiting[key].append(outcome)
            if not left[key]:
                yield from _joined(sorted(waiting.pop(key), key=lambda each: order[each.name]))

    return run


def _joined(outcomes: Sequence[Outcome]) -> Generator[Outcome, None, None]:
    """The outcomes of a product's pictures once its row is made."""
    from segmodels.archive.ingest import Outcome

    read = [each for each in outcomes if not each.reason]
    main = next((each for each in read if each.row is None), read[0] if read else None)  # a known one before others
    for each in outcomes:
        if each is main and main.row is not None:
            yield replace(main, row=merged([other.row for other in read if other.row is not None]))
        elif each is main or each.reason:
            yield each
        else:
            yield Outcome(each.name, part_of=main.name if main else "")


def merged(rows: Sequence[Row]) -> Row:
    """One row of the pictures of an outfit.

    File, date, size, class map and fingerprint are those of the first picture. Of each picture the person counts whose
    garments take up most of it. The outfit has, of each class, the highest presence of all pictures, and the garment,
    with colours and embedding, that takes up most of its picture; pictures in colour go before those in black and
    white. Its kind is that of the first picture in this order that tells one: shoes alone have none, worn ones may.
    Outfit shares are the shares of these garments among each other. Garments of other pictures have no box.

    Args:
        rows: Rows of the pictures, in their order, one at least.
    """
    first = rows[0]
    people = [_main_person(row) for row in rows]
    shown = [(row, person) for row, person in zip(rows, people, strict=True) if person is not None]
    if len(shown) < 2:
        return shown[0][0] if shown and not first["people"] else first
    best: dict[str, tuple[tuple[bool, float], dict[str, Any], Any]] = {}
    told: dict[str, tuple[tuple[bool, float], Any]] = {}
    for row, person in shown:
        kinds = row["kinds"] or [None] * len(row["garments"])
        embeddings = row["embeddings"] or [None] * len(row["garments"])
        for garment, kind, embedding in zip(row["garments"], kinds, embeddings, strict=True):
            rank = not row["monochrome"], garment["area_share"]
            name = garment["class"]
            if garment["person"] != person:
                continue
            if name not in best or rank > best[name][0]:
                box = garment["box"] if row is first else None
                best[name] = rank, {**garment, "person": 0, "box": box}, embedding
            if kind is not None and (name not in told or rank > told[name][0]):
                told[name] = rank, kind
    whole = sum(garment["area_share"] for _, garment, _ in best.values())
    garments = [{**each, "outfit_share": each["area_share"] / whole if whole else 0.0} for _, each, _ in best.values()]
    found = [row["presence"][person] for row, person in shown if row["presence"] is not None]
    bits = 0
    for row, person in shown:
        bits |= row["outfits"][person]
    return {
        **first,
        "people": [first["people"][people[0]]] if people[0] is not None else [shown[0][0]["people"][shown[0][1]]],
        "garments": garments,
        "kinds": [told[name][1] if name in told else None for name in best]
        if any(row["kinds"] is not None for row in rows)
        else None,
        "embeddings": [each for *_, each in best.values()] if first["embedding_revision"] else None,
        "presence": [[max(each) for each in zip(*found, strict=True)]] if len(found) == len(shown) else None,
        "outfits": [bits],
        "monochrome": all(row["monochrome"] for row, _ in shown),
    }


def _main_person(row: Row) -> int | None:
    """Number of the person whose garments take up most of a picture; None without people."""
    if not row["people"]:
        return None
    shares = [0.0] * len(row["people"])
    for garment in row["garments"]:
        shares[garment["person"]] += garment["area_share"]
    return max(range(len(shares)), key=shares.__getitem__)

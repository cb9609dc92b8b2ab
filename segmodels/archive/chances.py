"""SQL expressions of the probability that an outfit wears garments, over the columns of a view.

In all of them the view is resolved: see `Facts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segmodels.archive.conditions import View
from segmodels.archive.division import Division
from segmodels.archive.outfit_tables import colour_ids
from segmodels.taxonomy import Taxonomy

__all__ = ["Chances", "weight_of"]


class Chances:
    """Expressions for one archive.

    Args:
        taxonomy: What is counted: classes, or kinds.
        division: The kinds that are counted; None where classes are.
        correlations: Correlation of the errors of two classes' presence, by their names; pairs without one are left
            out.
    """

    def __init__(
        self, taxonomy: Taxonomy, division: Division | None, correlations: Mapping[tuple[str, str], float]
    ) -> None:
        self._taxonomy = taxonomy
        self._division = division
        self._correlations = correlations

    def class_of(self, name: str) -> str:
        """Class of a garment: its own name, unless it is a kind."""
        return self._division.class_of[name] if self._division else name

    def presence(self, view: View, name: str) -> str:
        """Probability that an outfit wears a garment."""
        number = self._taxonomy[name].id
        return f"(mask >> {number} & 1)" if view.counting == "raw" else f"p_{number}"

    def class_presence(self, view: View, name: str) -> str:
        """Probability that an outfit wears the class of a garment."""
        if not self._division:
            return self.presence(view, name)
        parts = self._division.parts[self.class_of(name)]
        return f"least(1, {' + '.join(self.presence(view, part) for part in parts)})"

    def both(self, view: View, first: str, second: str) -> str:
        """Probability that an outfit wears two garments.

        With presences p and q of their classes, whose errors have the correlation r, two classes are worn with
        `p q + r sqrt(p (1 - p) q (1 - q))`, at least `p + q - 1` and at most the smaller of the two. Kinds of two
        classes have their shares of it; kinds of one class exclude each other.
        """
        own, others = self.presence(view, first), self.presence(view, second)
        one, other = self.class_of(first), self.class_of(second)
        if one == other and first != second:
            return "0"
        r = self._correlations.get((one, other), 0.0)
        if view.counting == "raw" or not r:
            return f"{own} * {others}"
        p, q = self.class_presence(view, first), self.class_presence(view, second)
        joint = f"{p} * {q} + {r!r}::FLOAT * (sqrt({p} * (1 - {p})) * sqrt({q} * (1 - {q})))"  # DuckDB roots each once
        joint = f"least({p}, {q}, {joint})" if r > 0 else f"greatest(0, {p} + {q} - 1, {joint})"
        for part, whole in ((own, p), (others, q)):
            if part != whole:
                joint = f"{joint} * ({part} / greatest({whole}, 1e-9))"
        return joint

    def given(self, view: View, name: str, held: Sequence[str]) -> str:
        """Probability that an outfit wears a garment, given that it wears others.

        The ratios by which each of the others changes it are multiplied.
        """
        p, whole = self.presence(view, name), self.class_of(name)
        if any(other != name and self.class_of(other) == whole for other in held):  # another kind of the class
            return "0"
        related = [other for other in held if (whole, self.class_of(other)) in self._correlations]
        if view.counting == "raw" or not related:
            return p
        ratios = [
            f"{self.both(view, name, other)} / greatest({p} * {self.presence(view, other)}, 1e-12)" for other in related
        ]
        return f"least(1, {' * '.join([p, *(f'({ratio})' for ratio in ratios)])})"

    def all_of(self, view: View, names: Sequence[str]) -> str:
        """Probability that an outfit wears all of some garments."""
        return " * ".join(self.given(view, name, names[:place]) for place, name in enumerate(names)) or "1"

    def garment(self, view: View) -> str:
        """Probability that a garment `g` of an outfit is worn, and that the outfit fits the view."""
        if view.counting == "raw":
            return "1"
        if view.garments:
            held = ", ".join(str(self._taxonomy[name].id) for name in view.garments)
            return f"weight * CASE WHEN g.class IN ({held}) THEN 1 ELSE g.presence END"
        if view.colours:
            return f"CASE WHEN g.colour IN ({colour_ids(view.colours)}) THEN g.presence ELSE weight * g.presence END"
        return "g.presence"

    def coloured(
        self, names: Sequence[str], colours: Sequence[str], also: Sequence[str] = (), *, fine: bool = False
    ) -> str:
        """Condition: an outfit has a garment of one of the colours, and of one of the names if any are given.

        Args:
            names: Names of garments.
            colours: Basic or fine names of colours.
            also: More conditions on the garment `g`.
            fine: Whether a name that is both basic and fine is the fine colour alone.
        """
        conditions = [f"g.colour IN ({colour_ids(colours, fine=fine)})", *also]
        if names:
            conditions.append(f"g.class IN ({', '.join(str(self._taxonomy[name].id) for name in names)})")
        return f"len([1 FOR g IN worn IF {' AND '.join(conditions)}]) > 0"


def weight_of(view: View) -> str:
    """Probability that an outfit of a view fits it."""
    return "weight" if view.counting == "expected" and (view.garments or view.colours) else "1"

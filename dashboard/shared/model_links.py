"""The choice of models in a link."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["MAX_MODELS", "parse_link"]

MAX_MODELS = 9
"""Largest number of models that can be compared: the number of architectures."""


def parse_link(text: str, installed: Sequence[str]) -> tuple[list[str], list[str]]:
    """The models that a link names.

    Args:
        text: Catalog names with commas between.
        installed: Names that can be chosen.

    Returns:
        The names, each once, at most `MAX_MODELS`; and one sentence for each thing in the link that was left out.
    """
    named = [name.strip() for name in text.split(",") if name.strip()]
    once = list(dict.fromkeys(named))
    sentences = [f"The link names {name} twice; it is chosen once." for name in once if named.count(name) > 1]
    unknown = [name for name in once if name not in installed]
    sentences += [f'Model "{name[:60]}" not found; the other models in the link are chosen.' for name in unknown[:3]]
    chosen = [name for name in once if name in installed]
    if len(chosen) > MAX_MODELS:
        sentences.append(f"The link names {len(chosen)} models; the first {MAX_MODELS} are chosen.")
    return chosen[:MAX_MODELS], sentences

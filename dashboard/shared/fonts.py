"""Lines of text in pictures: in Pillow's own font, or in one of this machine where that lacks letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from PIL import ImageDraw, ImageFont

__all__ = ["Font", "font_for", "letters_without_font", "write_line"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FONTS = (  # of many scripts first; Pillow looks for them where the system keeps its fonts
    *("DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf", "segoeui.ttf"),
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKjp-Regular.otf", "SourceHanSans-Regular.ttc", "wqy-microhei.ttc"),
    *("PingFang.ttc", "Hiragino Sans GB.ttc", "ヒラギノ角ゴシック W3.ttc", "AppleSDGothicNeo.ttc"),
    *("YuGothM.ttc", "msgothic.ttc", "msyh.ttc", "malgun.ttf"),
    *("NotoSans-Regular.ttf", "NotoSansArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf"),
    *("NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf", "Nirmala.ttc", "LeelawUI.ttf", "Thonburi.ttc"),
)
_SAMPLE = 20  # pixels; a font has the same letters in every size
_NONE = "\U0010ffff"  # a letter that no font has


def font_for(text: str, size: int) -> Font:
    """The first font that has all letters of a text, else that which lacks the fewest.

    Args:
        text: The text.
        size: Size of the letters, in pixels.
    """
    fewest, best = len(text) + 1, _own(size)
    for font in _fonts(size):
        lacking = _lacking(font, text)
        if lacking < fewest:
            fewest, best = lacking, font
        if not lacking:
            break
    return best


def write_line(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, ink: str | tuple[int, int, int], width: int
) -> None:
    """Draws a line of text; what is wider than its place ends in dots.

    Args:
        draw: Picture to draw on.
        at: Left and top of the line, in pixels.
        text: The text.
        size: Size of the letters, in pixels.
        ink: Colour of the letters.
        width: Width of the place, in pixels.
    """
    text = " ".join(text.split())
    font = font_for(text, size)
    if draw.textlength(text, font) > width:
        while text and draw.textlength(f"{text}…", font) > width:
            text = text[:-1]
        text += "…"
    draw.text(at, text, ink, font)


def letters_without_font(texts: Iterable[str]) -> list[str]:
    """The letters that the fonts of `font_for` draw as boxes, each once, in their order."""
    fonts = [(text, font_for(text, _SAMPLE)) for text in texts]
    return list(dict.fromkeys(letter for text, font in fonts for letter in text if _lacks(font, letter)))


def _fonts(size: int) -> Iterator[Font]:
    yield _own(size)
    for name in _FONTS:
        if font := _installed(name, size):
            yield font


@lru_cache
def _own(size: int) -> Font:
    return ImageFont.load_default(size)


@lru_cache
def _installed(name: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _lacking(font: Font, text: str) -> int:
    return sum(_lacks(font, letter) for letter in set(text))


@lru_cache(10_000)
def _lacks(font: Font, letter: str) -> bool:
    """Whether a font draws a letter as it draws one that it does not have."""
    if letter.isspace() or not letter.isprintable():
        return False
    return bytes(font.getmask(letter)) == bytes(font.getmask(_NONE))

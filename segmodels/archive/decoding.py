"""Text whose encoding nobody stated: CSV files, and file names in ZIPs.

UTF-8 proves itself; the other encodings of Windows, DOS and the Mac are told apart by charset-normalizer, from how
orderly the text looks. On a short text several look orderly, which is why a caller can choose.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

__all__ = ["ENCODINGS", "can_decode", "encoding_name", "likely_encodings", "telling_words"]

ENCODINGS = {
    "utf-8": "UTF-8",
    "cp1252": "Windows-1252 (Western Europe)",
    "gb18030": "GBK (simplified Chinese)",
    "big5": "Big5 (traditional Chinese)",
    "cp932": "Shift JIS (Japanese)",
    "cp949": "EUC-KR (Korean)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "mac_roman": "Mac Roman",
}
"""Encodings of tables, with the names that people know."""

_WIDE = ("gb18030", "big5", "cp932", "cp949")  # two bytes a character
_ANY = 0.1  # disorder (charset-normalizer's `chaos`) above that of the best from which an encoding is out of question
_TIE = 0.025  # disorder within which the more usual one is taken
_RARE = 0.3  # added to a text of nothing but rare characters
_LOOKED_AT = 200_000  # bytes with other characters than ASCII that are looked at


def likely_encodings(data: bytes, encodings: Sequence[str]) -> list[str]:
    """The encodings in which bytes that are not UTF-8 look like text, the likeliest first; empty if there are none.

    Args:
        data: The bytes.
        encodings: Encodings to choose from, the most usual first.
    """
    from charset_normalizer import from_bytes

    sample = _telling_lines(data)
    if not sample:
        return []
    possible = [encoding for encoding in encodings if can_decode(sample, encoding)]
    chaos = {
        encoding: match.chaos
        for match in (from_bytes(sample, cp_isolation=possible) if possible else ())
        for encoding in match.could_be_from_charset
    }
    found = {encoding: chaos.get(encoding, 1.0) + _oddness(sample.decode(encoding)) for encoding in possible}
    if "cp1252" in found and not _words(sample.decode("cp1252")):
        found["cp1252"] = 0.0  # signs such as € alone, which charset-normalizer takes for disorder
    for encoding in set(_WIDE) & set(found):
        found[encoding] += _RARE * _rare_share(sample.decode(encoding), encoding)
    if not found:
        return []
    least = min(found.values())
    near = [encoding for encoding in possible if found[encoding] <= least + _ANY]
    # of two orderly readings the one with fewer characters is right: two bytes of a wide one seldom pair up by chance
    wide = sorted((encoding for encoding in near if encoding in _WIDE), key=found.__getitem__)
    narrow = [encoding for encoding in near if encoding not in _WIDE]
    usual = [encoding for encoding in narrow if found[encoding] <= min(found[each] for each in narrow) + _TIE]
    return [*wide, *usual, *sorted((each for each in narrow if each not in usual), key=found.__getitem__)]


def can_decode(data: bytes, encoding: str) -> bool:
    """Whether bytes are text of an encoding, without control characters."""
    try:
        return not re.search("[\0-\x08\x0e-\x1f\x7f-\x9f]", data.decode(encoding))
    except (UnicodeDecodeError, LookupError):
        return False


def encoding_name(encoding: str) -> str:
    """The encoding's name for people."""
    try:
        return ENCODINGS.get(codecs.lookup(encoding).name.replace("-", "_"), ENCODINGS.get(encoding, encoding))
    except LookupError:
        return encoding


def telling_words(text: str, most: int = 3) -> list[str]:
    """Words of a text that have other characters than ASCII: what a wrong encoding would spoil.

    Args:
        text: The text.
        most: Largest number of words.
    """
    words = re.findall(
        r"[^\s,;|\"']+", text
    )  # then chosen: a pattern that chooses takes quadratic time for a long cell
    return list(dict.fromkeys(word for word in words if not word.isascii()))[:most]


def _telling_lines(data: bytes) -> bytes:
    lines, size = [], 0
    for line in data.splitlines():
        if not line.isascii():
            lines.append(line)
            if (size := size + len(line)) > _LOOKED_AT:
                break
    return b"\n".join(lines)


def _oddness(text: str) -> float:
    """How seldom such words are, 0..1: capitals inside them or alone, three accents in a row, half-width katakana."""
    if re.search("[\uff61-\uff9f]", text):
        return 1.0
    words = _words(text)
    if not words:
        return 0.0
    return sum(map(_is_odd, words)) / (2 * len(words))


def _rare_share(text: str, encoding: str) -> float:
    """Share of the characters that are beyond the usual ones, which each encoding has before the others.

    Capitals and small letters of other alphabets, read two by two, give many of them.
    """
    codes = [character.encode(encoding) for character in text if not character.isascii()]
    if encoding == "cp932":
        rare = sum(0x98 <= code[0] <= 0x9F or code[0] >= 0xE0 for code in codes)
    elif encoding == "gb18030":
        rare = sum(code[0] >= 0xD8 or min(code) < 0xA1 for code in codes)
    else:
        rare = sum(code[0] >= {"big5": 0xC9, "cp949": 0xCA}[encoding] for code in codes)
    return rare / max(1, len(codes))


def _words(text: str) -> list[str]:
    """Words with letters other than those of ASCII."""
    return [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]


def _is_odd(word: str) -> bool:
    if re.search(r"[\u00c0-\u024f]{3}", word) or (len(word) == 1 and word.isupper()):
        return True
    return not (word.islower() or word.isupper() or word.istitle() or word.upper() == word.lower())

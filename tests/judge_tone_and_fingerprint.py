"""Errors of `is_monochrome` and `fingerprint` on real photos, which made the numbers of the archive's README.

    PYTHONPATH=. python tests/judge_tone_and_fingerprint.py PEOPLE FLATLAYS

Both folders hold photos in colour, PEOPLE those of people and FLATLAYS those of things. Every tenth photo is also
turned black and white, toned, and edited as copies of photos are. No network runs: a person is where PEOPLE are.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from segmodels.archive.duplicates import MOST_BITS
from segmodels.fingerprint import fingerprint
from segmodels.photo import find_photos, open_photo
from segmodels.tone import is_monochrome

EVERY = 10
QUALITIES = 60, 75, 95
Found = dict[str, float]

Edit = Callable[[Image.Image], Image.Image]


def main() -> None:
    """Prints shares of photos that are taken for monochrome, and of pairs that are near by fingerprint."""
    people, flatlays = (find_photos([Path(folder)]) for folder in sys.argv[1:3])
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        hashes = []
        for name, paths, body in (("people", people, 1.0), ("flat-lays", flatlays, 0.0)):
            found = list(pool.map(partial(_judge, body), paths, range(len(paths)), chunksize=16))
            print(f"{name}: {len(paths):,} photos")
            for key in dict.fromkeys(key for each in found for key in each):
                values = [each[key] for each in found if key in each]
                if key != "fingerprint":
                    print(f"  {key:<40}{sum(values):6.0f} of {len(values):,} ({np.mean(values):.1%})")
            hashes += [each["fingerprint"] for each in found]
    _print_pairs([*people, *flatlays], np.array(hashes, np.int64).view(np.uint64))


def _judge(body: float, path: Path, number: int) -> Found:
    """What is found of one photo: its fingerprint, and 1 or 0 for each question."""
    photo = open_photo(path)
    mine = fingerprint(photo)
    found: Found = {"fingerprint": mine, "in colour, taken for monochrome": is_monochrome(photo, body)}
    if body:
        height, width = photo.shape[:2]
        bust = photo[int(0.03 * height) : int(0.3 * height), int(0.25 * width) : int(0.75 * width)]
        head = photo[int(0.03 * height) : int(0.17 * height), int(0.36 * width) : int(0.64 * width)]
        found |= {f"{part} cut out": is_monochrome(each, body) for part, each in {"bust": bust, "head": head}.items()}
    if number % EVERY == 0:
        for tone, change in TONES.items():
            for quality in QUALITIES:
                found[f"{tone}, JPEG {quality}: monochrome"] = is_monochrome(_saved(change(photo), quality), body)
        for name, (edit, quality) in EDITS.items():
            copy = fingerprint(_saved(np.asarray(edit(Image.fromarray(photo))), quality))
            found[f"{name}: near"] = ((mine ^ copy) & (2**64 - 1)).bit_count() <= MOST_BITS
    return found


def _print_pairs(paths: list[Path], hashes: np.ndarray) -> None:
    """Prints how many pairs of all photos have each small distance, and which are near."""
    counts = np.zeros(65, np.int64)
    for place in range(len(hashes)):
        bits = np.bitwise_count(hashes[place + 1 :] ^ hashes[place])
        counts += np.bincount(bits, minlength=65)
        for other in np.flatnonzero(bits <= MOST_BITS):
            print(f"  near: {paths[place].name} and {paths[place + 1 + other].name}")
    print(f"pairs of all {len(hashes):,} photos by different bits: {dict(enumerate(counts[:11].tolist()))}")


def _saved(photo: np.ndarray, quality: int) -> np.ndarray:
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out).convert("RGB"))


def _grey(photo: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).convert("L"))[..., None]


def _multiplied(tint: tuple[float, float, float], photo: np.ndarray) -> np.ndarray:
    return np.clip(_grey(photo) * tint, 0, 255).astype(np.uint8)


def _coloured(hue: float, saturation: float, photo: np.ndarray) -> np.ndarray:
    """One hue and saturation at the lightness of the photo, as image editors tone."""
    light = _grey(photo)[..., 0].astype(np.float32) / 255
    layers = [np.full_like(light, hue), light, np.full_like(light, saturation)]
    return (cv2.cvtColor(np.stack(layers, axis=2), cv2.COLOR_HLS2RGB) * 255).round().astype(np.uint8)


def _split(photo: np.ndarray) -> np.ndarray:
    """Blue shadows and cream lights."""
    levels, ends = [0, 128, 255], ((20, 128, 255), (35, 125, 240), (70, 120, 205))
    return np.stack([np.interp(_grey(photo)[..., 0], levels, end) for end in ends], axis=2).astype(np.uint8)


def _scaled(factor: float, image: Image.Image) -> Image.Image:
    size = round(image.width * factor), round(image.height * factor)
    return image.resize(size, Image.Resampling.LANCZOS)


def _cropped(share: float, image: Image.Image) -> Image.Image:
    width, height = image.size
    box = round(width * share), round(height * share), round(width * (1 - share)), round(height * (1 - share))
    return image.crop(box)


def _brighter(factor: float, image: Image.Image) -> Image.Image:
    return image.point(lambda level: min(255, round(level * factor)))


TONES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "black and white": partial(_multiplied, (1, 1, 1)),
    "sepia": partial(_multiplied, (1.351, 1.203, 0.937)),
    "cream": partial(_multiplied, (1, 0.94, 0.84)),
    "brown, 25 % saturation": partial(_coloured, 35, 0.25),
    "blue, 25 % saturation": partial(_coloured, 220, 0.25),
    "red, 40 % saturation": partial(_coloured, 10, 0.4),
    "blue to cream": _split,
}
EDITS: dict[str, tuple[Edit, int]] = {
    **{f"JPEG {quality}": (lambda image: image, quality) for quality in (90, 60, 40)},
    "half the size, JPEG 85": (partial(_scaled, 0.5), 85),
    "a quarter of the size, JPEG 85": (partial(_scaled, 0.25), 85),
    "a quarter of the size, JPEG 40": (partial(_scaled, 0.25), 40),
    "10 % brighter, JPEG 85": (partial(_brighter, 1.1), 85),
    "10 % darker, JPEG 85": (partial(_brighter, 0.9), 85),
    "1 % cut from each side, JPEG 85": (partial(_cropped, 0.01), 85),
    "2 % cut from each side, JPEG 85": (partial(_cropped, 0.02), 85),
}


if __name__ == "__main__":
    main()

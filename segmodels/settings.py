"""Settings from the environment: every `GARMENTSCOPE_*` variable is read here and nowhere else.

`SETTINGS.md` has the same list as a table.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

__all__ = ["DEVICE_VARIABLE", "PREFIX", "RUNTIME_VARIABLE", "Settings", "read_settings"]

PREFIX = "GARMENTSCOPE_"
"""Start of the name of each variable; the field of `Settings`, in capitals, is the rest."""

_YES = ("1", "yes", "true", "on")

DEVICE_VARIABLE = f"{PREFIX}DEVICE"
"""Variable that error messages and `--help` name as the source of a device."""

RUNTIME_VARIABLE = f"{PREFIX}RUNTIME"
"""Variable that error messages name as the source of what runs networks."""


def _variable(meaning: str, default: str) -> Any:
    """A field of `Settings`.

    Args:
        meaning: Sentence that says what the variable does.
        default: Text on what holds where the variable is empty or not set.
    """
    return field(metadata={"meaning": meaning, "default": default})


@dataclass(frozen=True)
class Settings:
    """The variables of Garmentscope, typed; a `~` at the start of a path is the user's home."""

    device: str = _variable("Device of the app, and of commands without `--device`.", "`auto`")

    runtime: str = _variable(
        "What runs networks on a processor: `torch`, or `openvino`, which is faster and needs the extra `openvino`.",
        "`torch`",
    )

    models: tuple[Path, ...] = _variable("Folders of checkpoints, separated as in `PATH`.", "none")

    hub: str = _variable("Owner on the Hugging Face Hub whose models are offered.", "none")

    detector: str = _variable(
        "Another person detector: `coco` for torchvision's own weights, or a folder.", "the detector that ships"
    )

    data: Path | None = _variable("Folder of Clothing Co-Parsing, for Dataset, Evaluation and Trends.", "none")

    datasets: tuple[tuple[str, Path | None], ...] = _variable(
        "Other data sets for Dataset and Evaluation, as commands spell them, each with the folder of `--data` after "
        "`=` where it needs one, such as `coco:a.json,coco:b.json=photos,fashionpedia=folder`.",
        "none",
    )

    archive: tuple[str, ...] = _variable(
        "Archives that Archive and Trends list: folders or URIs, separated as in `PATH`.", "none"
    )

    photos: tuple[Path, ...] = _variable(
        "Folders of the photos that were ingested, for Trends, separated as in `PATH`.", "none"
    )

    cache: Path = _variable(
        "Folder of decoded photos, a teacher's probabilities, the app's archives and its made-up sample.",
        "`garmentscope` in `XDG_CACHE_HOME`, or in the system's folder of caches: `~/.cache`, `~/Library/Caches` on "
        "macOS, `%LOCALAPPDATA%\\garmentscope\\Cache` on Windows",
    )

    southern: tuple[tuple[str, str], ...] = _variable(
        "Tags of photos from the southern hemisphere, such as `market=AU,market=Brazil`, whose seasons Trends names "
        "as they are there.",
        "none",
    )

    keep: str = _variable(
        "Minutes after a visitor's last click for which the server keeps photos and results in its memory, 1 to 10080.",
        "`120`",
    )

    slides: Path | None = _variable(
        "PowerPoint file (`.pptx`) with the team's layouts, on which Trends makes its slides.", "a plain presentation"
    )

    api: str = _variable(
        "How much the HTTP API takes, such as `photos=8,seconds=60`; [its page](../dashboard/api/README.md) has the "
        "names.",
        "`photos=16,waiting=64,minute=600,megapixels=6000,seconds=120,arrival=60,upload_mb=200,archive=100000`",
    )

    tokens: Path | None = _variable(
        "File of the tokens without which the API answers nobody; `garmentscope token` makes them.", "none: it is open"
    )

    people: tuple[str, ...] = _variable(
        "Who may use the app once signed in: e-mail addresses, or domains such as `@shop.example`, separated by "
        "commas.",
        "everybody whom the provider signs in",
    )

    keepers: tuple[str, ...] = _variable(
        "Signed-in people who keep the server: e-mail addresses, separated by commas. They may see and change all "
        "archives and tokens.",
        "none",
    )

    trust_email: bool = _variable(
        "`yes`: e-mail addresses count where the provider does not say whether they are verified, such as Microsoft "
        "Entra. Only for a provider whose administrators alone set addresses.",
        "only addresses that the provider calls verified",
    )

    proxies: tuple[str, ...] = _variable(
        "Addresses or networks of proxies on other machines, such as `10.0.0.0/24`, separated by commas. Forwarded "
        "headers of others are ignored.",
        "only proxies on the server's own machine",
    )

    base_path: str = _variable(
        "Path below which a proxy serves the app and the API, such as `garments` for `https://shop.example/garments`.",
        "none",
    )

    audit: Path | None = _variable(
        "File to which a line of JSON is added for each photo or archive that is removed, renamed, merged or split, "
        "export, token made or revoked, and shared archive.",
        "none: the lines are in the server's log",
    )

    webhooks: str = _variable(
        "`private`: alerts may also be sent to private addresses and to any port, such as to a chat in the same "
        "network. Set it only where all who may change archives may reach that network.",
        "only to public addresses, on the usual ports",
    )

    label_studio: str = _variable(
        "Address of the Label Studio whose photos the API fetches to label them, such as `http://localhost:8080`.",
        "none",
    )

    label_studio_key: str = _variable("Legacy token of a user of that Label Studio.", "none")

    private_feeds: bool = _variable(
        "`yes`: photos of product feeds are also fetched from private addresses, and from ports other than those of "
        "http and https. Only where everybody who may add photos may see what this machine can reach.",
        "only public addresses",
    )

    shared: bool = _variable(
        "`yes`: every visitor of the app may stop ingests of others, add to all archives, download the lists of files "
        "beside them, and see where they lie. Without effect where visitors sign in.",
        "only whoever made an archive, and visitors at the server's own machine",
    )


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings as they are now; nothing is kept between calls.

    Args:
        environment: Environment variables.
    """

    def text(name: str) -> str:
        return environment.get(PREFIX + name, "").strip()

    def folder(path: str) -> Path:
        return Path(os.path.expanduser(path))  # Path's own expanduser fails on the ~ of a user who is not there

    def folders(name: str) -> tuple[Path, ...]:
        return tuple(folder(part) for part in text(name).split(os.pathsep) if part)

    def entries(name: str) -> tuple[str, ...]:
        return tuple(part.strip().lower() for part in text(name).split(",") if part.strip())

    def pair(entry: str) -> tuple[str, str]:
        """A tag and its value; what is written without `=` has no value, and no photo has it."""
        tag, _, value = entry.partition("=")
        return tag.strip(), value.strip()

    def dataset(entry: str) -> tuple[str, Path | None]:
        """A data set and its folder, if one is given."""
        name, _, data = entry.rpartition("=") if "=" in entry else (entry, "", "")
        kind, colon, path = name.strip().partition(":")
        return kind + colon + os.path.expanduser(path), folder(data.strip()) if data.strip() else None

    archives = re.split(rf"{re.escape(os.pathsep)}(?!//)", text("ARCHIVE"))  # not at the colon of s3://
    return Settings(
        device=text("DEVICE"),
        runtime=text("RUNTIME").lower(),
        models=folders("MODELS"),
        hub=text("HUB"),
        detector=os.path.expanduser(text("DETECTOR")),
        data=folder(text("DATA")) if text("DATA") else None,
        datasets=tuple(dict.fromkeys(dataset(entry) for entry in text("DATASETS").split(",") if entry.strip())),
        archive=tuple(os.path.expanduser(part) for part in archives if part.strip()),
        photos=folders("PHOTOS"),
        cache=folder(text("CACHE")) if text("CACHE") else _cache_folder(environment.get("XDG_CACHE_HOME", "")),
        southern=tuple(pair(entry) for entry in text("SOUTHERN").split(",") if entry.strip()),
        keep=text("KEEP"),
        slides=folder(text("SLIDES")) if text("SLIDES") else None,
        api=text("API"),
        tokens=folder(text("TOKENS")) if text("TOKENS") else None,
        people=entries("PEOPLE"),
        keepers=entries("KEEPERS"),
        trust_email=text("TRUST_EMAIL").lower() in _YES,
        proxies=entries("PROXIES"),
        base_path=text("BASE_PATH").strip("/"),
        audit=folder(text("AUDIT")) if text("AUDIT") else None,
        webhooks=text("WEBHOOKS").lower(),
        label_studio=text("LABEL_STUDIO"),
        label_studio_key=text("LABEL_STUDIO_KEY"),
        private_feeds=text("PRIVATE_FEEDS").lower() in _YES,
        shared=text("SHARED").lower() in _YES,
    )


def _cache_folder(caches: str) -> Path:
    """Garmentscope's folder in the user's folder of caches."""
    if caches:
        return Path(os.path.expanduser(caches)) / "garmentscope"
    try:
        return user_cache_path("garmentscope", appauthor=False)
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / "garmentscope"

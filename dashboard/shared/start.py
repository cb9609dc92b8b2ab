"""What is wrong with the environment variables of the server, for whoever starts it."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit

from segmodels.sentences import first_line
from segmodels.settings import PREFIX, Settings, read_settings

__all__ = ["problem"]

_YES_OR_NO = ("TRUST_EMAIL", "PRIVATE_FEEDS", "SHARED")
_ANSWERS = ("", "1", "yes", "true", "on", "0", "no", "false", "off")
_PERSON = re.compile(r"[^@\s]+@[^@\s]+")
_PEOPLE = re.compile(r"[^@\s]*@[^@\s]+")
_PATH = re.compile(r"(?!\.+(/|$))[A-Za-z0-9._~-]+(/(?!\.+(/|$))[A-Za-z0-9._~-]+)*")


def problem() -> str:
    """Why the server is not started, as a sentence; empty if nothing is wrong.

    A value that nothing can be made of would otherwise be passed over: the server would be more open, or less, than
    its administrator believes.
    """
    settings = read_settings()
    for entry in settings.proxies:
        if not _is_network(entry):
            return f'{PREFIX}PROXIES has "{entry}". Give addresses or networks, such as 10.0.0.0/24.'
    for entry in settings.people:
        if not _PEOPLE.fullmatch(entry):
            return f'{PREFIX}PEOPLE has "{entry}". Give e-mail addresses, or domains such as @shop.example.'
    for entry in settings.keepers:
        if not _PERSON.fullmatch(entry):
            return f'{PREFIX}KEEPERS has "{entry}". Give e-mail addresses.'
    for name in _YES_OR_NO:
        if (value := os.environ.get(PREFIX + name, "").strip()).lower() not in _ANSWERS:
            return f'{PREFIX}{name} is "{value}". Set it to yes, or leave it out.'
    if settings.base_path and not _PATH.fullmatch(settings.base_path):
        return (
            f'{PREFIX}BASE_PATH is "{settings.base_path}". Give a path of letters, digits and - . _ ~ such as garments.'
        )
    if settings.label_studio and not _is_address(settings.label_studio):
        return f'{PREFIX}LABEL_STUDIO is "{settings.label_studio}". Give an address such as http://localhost:8080.'
    return _unwritable(settings)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _unwritable(settings: Settings) -> str:
    """A sentence if the audit log cannot be written; its lines would be missed only once they are needed."""
    if settings.audit is None:
        return ""
    try:
        settings.audit.parent.mkdir(parents=True, exist_ok=True)
        with settings.audit.open("a", encoding="utf-8"):
            return ""
    except OSError as error:
        return f"{PREFIX}AUDIT names {settings.audit}, which cannot be written: {first_line(error)}. Name another file."

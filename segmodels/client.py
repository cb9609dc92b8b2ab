"""A client of the HTTP API that `garmentscope app` and `garmentscope serve` offer.

It needs neither PyTorch nor the model:

    from segmodels.client import Client

    with Client("http://localhost:8501") as client:
        print([garment["class"] for garment in client.segment("outfit.jpg")["garments"]])
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx2

from segmodels.errors import GarmentscopeError

__all__ = ["ApiError", "Client"]

_PATIENCE = 300.0  # seconds that a refused request is tried again
_POLL_SECONDS = 0.5

Photo = str | Path | bytes | tuple[str, bytes]
"""A photo, or another file: its path, its bytes, or its name and its bytes."""

Masks = Literal["none", "png", "rle", "polygons"]


class ApiError(GarmentscopeError, RuntimeError):
    """An answer that is a problem, or none at all; the message says what was wrong.

    Args:
        problem: The problem (RFC 9457) as the server describes it.
    """

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.problem = dict(problem)
        super().__init__(
            str(problem.get("detail") or problem.get("title") or "The server does not say what was wrong.")
        )


class Client:
    """A server of the API.

    All methods raise `ApiError` where the server refuses or does not answer, and `OSError` where a file cannot be read.

    Args:
        address: Address of the server, such as `http://localhost:8501`.
        token: Token of the server, where it wants one.
        seconds: Seconds until a request must be answered.
    """

    def __init__(self, address: str = "http://localhost:8501", token: str = "", seconds: float = 150.0) -> None:
        token = token.strip()  # as read from a file
        headers = [(b"Authorization", f"Bearer {token}".encode())] if token else []
        self._http = httpx2.Client(base_url=f"{address.rstrip('/')}/api/v1/", headers=headers, timeout=seconds)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def segment(self, photo: Photo, model: str = "", masks: Masks = "none") -> dict[str, Any]:
        """What is in a photo, as the command line's JSON."""
        files = [("photo", _named(photo))]
        found: dict[str, Any] = self._answer("POST", "segment", files=files, data=_options(model, masks))
        return found

    def segment_all(self, photos: Sequence[Photo], model: str = "", masks: Masks = "none") -> list[dict[str, Any]]:
        """What is in each photo, in one request; of one that failed, `photo` and `problem`."""
        files = [("photos", _named(photo)) for photo in photos]
        if not files:
            return []
        found: list[dict[str, Any]] = self._answer("POST", "segment", files=files, data=_options(model, masks))[
            "results"
        ]
        return found

    def class_map(self, photo: Photo, model: str = "") -> bytes:
        """The class map of a photo as a palette PNG, whose values are ids of classes."""
        files = [("photo", _named(photo))]
        return self._ask("POST", "segment", files=files, data=_options(model), headers={"Accept": "image/png"}).content

    def models(self) -> list[dict[str, Any]]:
        """The models of the server."""
        found: list[dict[str, Any]] = self._answer("GET", "models")
        return found

    def add_photos(self, archive: str, files: Sequence[Photo], model: str = "") -> dict[str, Any]:
        """Adds photos, ZIPs of photos and a CSV to an archive; gives the job when it has ended."""
        sent = [("files", _named(each)) for each in files]
        if not sent:
            raise ApiError({"detail": "There is no photo to add. Give photos or a ZIP of photos."})
        return self._ended(self._answer("POST", f"{_of(archive)}/photos", files=sent, data=_options(model)))

    def add_feed(
        self, archive: str, address: str, model: str = "", *, one_row_a_product: bool = False
    ) -> dict[str, Any]:
        """Adds the photos of a product feed at a public address to an archive; gives the job when it has ended."""
        order = {"feed": address, "one_row_a_product": one_row_a_product} | ({"model": model} if model else {})
        return self._ended(self._answer("POST", f"{_of(archive)}/photos", json=order))

    def _ended(self, job: dict[str, Any]) -> dict[str, Any]:
        """A job when it has ended."""
        while job["phase"] in ("waiting", "loading", "running"):
            time.sleep(_POLL_SECONDS)
            job = self._answer("GET", f"jobs/{job['id']}")
        return job

    def table(self, archive: str, name: Literal["shares", "pairs", "series"], **filters: str) -> dict[str, Any]:
        """A table of an archive with the filters of Trends, such as `garments="Coat"`, or `**{"tag.market": "AU"}`."""
        found: dict[str, Any] = self._answer("GET", f"{_of(archive)}/{name}", params=filters)
        return found

    def _answer(self, method: str, path: str, **request: Any) -> Any:
        """The JSON of an answer."""
        answer = self._ask(method, path, **request)
        try:
            return answer.json()
        except ValueError:
            raise ApiError({"detail": f"What answers at {self._http.base_url} is not this API."}) from None

    def _ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """An answer; a request that is refused because too much waits is sent again when the server says."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                answer = self._http.request(method, path, **request)
            except httpx2.UnsupportedProtocol:
                sentence = f"{self._http.base_url} is no address of a server. Give one such as http://localhost:8501."
                raise ApiError({"detail": sentence}) from None
            except httpx2.TimeoutException as error:
                sentence = f"{self._http.base_url} did not answer in time. Send less at once, or allow more seconds."
                raise ApiError({"detail": sentence}) from error
            except httpx2.TransportError as error:
                raise ApiError({"detail": f"{self._http.base_url} does not answer: {error}."}) from error
            if answer.status_code != 429 or time.monotonic() > deadline:
                break
            time.sleep(_seconds(answer.headers.get("Retry-After", "")))
        if answer.is_success:
            return answer
        try:
            problem = answer.json()
        except ValueError:
            problem = None
        said = {"detail": f"{self._http.base_url} answered {answer.status_code}."}
        raise ApiError(problem if isinstance(problem, dict) else said)


def _named(photo: Photo) -> tuple[str, bytes]:
    if isinstance(photo, tuple):
        return photo
    return ("photo", photo) if isinstance(photo, bytes) else (Path(photo).name, Path(photo).read_bytes())


def _options(model: str, masks: Masks | None = None) -> dict[str, str]:
    return ({"model": model} if model else {}) | ({"masks": masks} if masks else {})


def _of(archive: str) -> str:
    """The path of an archive, whose name may hold any letter."""
    return f"archives/{quote(archive, safe='')}"


def _seconds(retry_after: str) -> float:
    """Seconds of a header `Retry-After`; 1 without a number, as proxies that send a date have it."""
    return float(retry_after) if retry_after.isdigit() else 1.0

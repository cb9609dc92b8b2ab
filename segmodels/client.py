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

import httpx2

from segmodels.errors import GarmentscopeError

__all__ = ["ApiError", "Client"]

_PATIENCE = 300.0  # seconds that a refused request is tried again
_POLL_SECONDS = 0.5

Photo = str | Path | bytes
Masks = Literal["none", "png", "rle", "polygons"]


class ApiError(GarmentscopeError, RuntimeError):
    """An answer that is a problem; the message says what was wrong.

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

    Args:
        address: Address of the server, such as `http://localhost:8501`.
        token: Token of the server, where it wants one.
        seconds: Seconds until a request must be answered.
    """

    def __init__(self, address: str = "http://localhost:8501", token: str = "", seconds: float = 150.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.Client(base_url=f"{address.rstrip('/')}/api/v1/", headers=headers, timeout=seconds)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def segment(self, photo: Photo, model: str = "", masks: Masks = "none") -> dict[str, Any]:
        """What is in a photo, as the command line's JSON; a photo is a path or a file's bytes."""
        files = [("photo", _named(photo))]
        found: dict[str, Any] = self._ask("POST", "segment", files=files, data=_options(model, masks)).json()
        return found

    def segment_all(self, photos: Sequence[Photo], model: str = "", masks: Masks = "none") -> list[dict[str, Any]]:
        """What is in each photo, in one request; of one that failed, `photo` and `problem`."""
        files = [("photos", _named(photo)) for photo in photos]
        found: list[dict[str, Any]] = self._ask("POST", "segment", files=files, data=_options(model, masks)).json()[
            "results"
        ]
        return found

    def class_map(self, photo: Photo, model: str = "") -> bytes:
        """The class map of a photo as a palette PNG, whose values are ids of classes."""
        files = [("photo", _named(photo))]
        return self._ask(
            "POST", "segment", files=files, data=_options(model, "none"), headers={"Accept": "image/png"}
        ).content

    def models(self) -> list[dict[str, Any]]:
        """The models of the server."""
        found: list[dict[str, Any]] = self._ask("GET", "models").json()
        return found

    def add_photos(self, archive: str, files: Sequence[Photo], model: str = "") -> dict[str, Any]:
        """Adds photos, ZIPs of photos and a CSV to an archive; gives the job when it has ended."""
        sent = [("files", _named(each)) for each in files]
        return self._ended(
            self._ask("POST", f"archives/{archive}/photos", files=sent, data=_options(model, "none")).json()
        )

    def add_feed(
        self, archive: str, address: str, model: str = "", *, one_row_a_product: bool = False
    ) -> dict[str, Any]:
        """Adds the photos of a product feed at a public address to an archive; gives the job when it has ended."""
        order = {"feed": address, "one_row_a_product": one_row_a_product} | ({"model": model} if model else {})
        return self._ended(self._ask("POST", f"archives/{archive}/photos", json=order).json())

    def _ended(self, job: dict[str, Any]) -> dict[str, Any]:
        """A job when it has ended."""
        while job["phase"] in ("waiting", "loading", "running"):
            time.sleep(_POLL_SECONDS)
            job = self._ask("GET", f"jobs/{job['id']}").json()
        return job

    def table(self, archive: str, name: Literal["shares", "pairs", "series"], **filters: str) -> dict[str, Any]:
        """A table of an archive with the filters of Trends, such as `garments="Coat"`, or `**{"tag.market": "AU"}`."""
        found: dict[str, Any] = self._ask("GET", f"archives/{archive}/{name}", params=filters).json()
        return found

    def _ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """An answer; a request that is refused because too much waits is sent again when the server says."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            answer = self._http.request(method, path, **request)
            if answer.status_code != 429 or time.monotonic() > deadline:
                break
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        if answer.is_success:
            return answer
        try:
            raise ApiError(answer.json())
        except ValueError:
            raise ApiError({"detail": f"The server answered {answer.status_code}."}) from None


def _named(photo: Photo) -> tuple[str, bytes]:
    return ("photo", photo) if isinstance(photo, bytes) else (Path(photo).name, Path(photo).read_bytes())


def _options(model: str, masks: Masks) -> dict[str, str]:
    return {"masks": masks} | ({"model": model} if model else {})

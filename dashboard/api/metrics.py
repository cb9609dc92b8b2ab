"""What is counted of the API, in the format of Prometheus: `/metrics`.

Labels are the routes and statuses of the API alone, so that their number is bounded whatever callers send.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import GaugeMetricFamily
from starlette.requests import Request
from starlette.responses import Response

from dashboard.api.problems import ProblemError
from dashboard.api.tokens import token_of_request, tokens_of_server
from dashboard.shared import networks

__all__ = ["PHOTOS", "REFUSED", "count_request", "metrics"]

REGISTRY = CollectorRegistry()

_REQUESTS = Counter(
    "garmentscope_requests", "Requests by route, method and status.", ("route", "method", "status"), registry=REGISTRY
)
_SECONDS = Histogram(
    "garmentscope_request_seconds",
    "Seconds from a request's first byte to its answer's last, by route.",
    ("route",),
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
    registry=REGISTRY,
)
PHOTOS = Counter("garmentscope_photos", "Photos that were segmented, by model.", ("model",), registry=REGISTRY)
REFUSED = Counter("garmentscope_refused", "Requests that were refused because too much waited.", registry=REGISTRY)


class _Queue:
    """Asks the queue when somebody reads the metrics."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        waiting, running = networks.queue_load()
        for name, text, value in (
            (
                "garmentscope_queue_waiting",
                "Photos that wait for the network, of the pages, the API and ingests.",
                waiting,
            ),
            ("garmentscope_queue_running", "Photos in work.", running),
        ):
            yield GaugeMetricFamily(name, text, value)


REGISTRY.register(_Queue())


def count_request(route: str, method: str, status: int, seconds: float) -> None:
    """Counts an answered request.

    Args:
        route: Path of the route, with its parameters by name.
        method: HTTP method.
        status: HTTP status of the answer.
        seconds: Seconds that it took.
    """
    _REQUESTS.labels(route, method, str(status)).inc()
    _SECONDS.labels(route).observe(seconds)


def metrics(request: Request) -> Response:
    """The answer of the route `/metrics`; where the API wants tokens, one that may read."""
    if tokens := tokens_of_server():
        token = token_of_request(tokens, request.headers.get("authorization", ""))
        if token is None or "read" not in token.scopes:
            return ProblemError("no-token", headers={"WWW-Authenticate": 'Bearer realm="Garmentscope"'}).response()
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

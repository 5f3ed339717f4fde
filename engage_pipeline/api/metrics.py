"""What the API counts about itself, for Prometheus. Labels are templates of paths, never ids."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg_pool import ConnectionPool

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Requests by method, path and status, how long they took, and the connections to the database."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "engage_api_requests", "Requests answered.", ("method", "path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "engage_api_request_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ("method", "path"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_PoolCollector(pool))

    def count(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count one request; `path` is the endpoint's template, or `none` where there is no endpoint."""
        self._requests.labels(method, path, str(status)).inc()
        self._seconds.labels(method, path).observe(seconds)

    def exposition(self) -> bytes:
        """Everything in Prometheus's text format."""
        return generate_latest(self._registry)


class _PoolCollector(Collector):
    """The pool's own figures at the moment that somebody asks."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        stats = self._pool.get_stats()
        for name, words in (
            ("pool_size", "Connections to the database."),
            ("pool_available", "Of these, idle."),
            ("requests_waiting", "Requests that wait for one."),
        ):
            yield GaugeMetricFamily(f"engage_api_{name}", words, value=stats.get(name, 0))

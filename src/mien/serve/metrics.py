"""Figures for Prometheus: counts and times, nothing about who asked or what was seen."""

from __future__ import annotations

from typing import final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "WS"})


@final
class Metrics:
    """The figures of one server process."""

    def __init__(self) -> None:
        self._registry = r = CollectorRegistry()
        ProcessCollector(registry=r)
        self._requests = Counter("mien_requests", "Requests answered.", ["route", "method", "status"], registry=r)
        self._seconds = Histogram("mien_request_seconds", "Head to answer.", ["route"], registry=r, buckets=SECONDS)
        self._batches = Histogram(
            "mien_batch_pictures", "Pictures in a batch.", registry=r, buckets=(1, 2, 4, 8, 16, 32, 64)
        )
        self.model_seconds = Histogram("mien_batch_seconds", "Answering a batch.", registry=r, buckets=SECONDS)
        self.waiting = Gauge("mien_waiting_pictures", "Pictures in the queue.", registry=r)
        self.pictures = Counter("mien_pictures", "Pictures answered.", registry=r)
        self.faces = Counter("mien_faces", "Faces answered.", registry=r)
        self.streams = Gauge("mien_streams", "Streams open.", registry=r)
        self.frames = Counter("mien_stream_frames", "Frames, by what became of them.", ["outcome"], registry=r)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request. Streams are counted, their length is no time of an answer."""
        # Methods are the client's to make up: anything could become a label.
        self._requests.labels(route, method if method in METHODS else "other", str(status)).inc()
        if method != "WS":
            self._seconds.labels(route).observe(seconds)

    def batch(self, size: int) -> None:
        """Note the size of a batch."""
        self._batches.observe(size)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)

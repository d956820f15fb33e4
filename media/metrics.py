"""Counters of the media process for Prometheus, read from where they are kept when they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from media.decoding import frames_decoded
from media.service import Service


class _Collector:
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """Give every figure at this moment."""
        service = self._service
        port, egress = service.port.counters, service.port.batch.counters
        yield GaugeMetricFamily("tropa_media_rooms", "Rooms", len(service.rooms))
        yield GaugeMetricFamily("tropa_media_viewers", "Viewers, connecting ones included", service.viewers)
        yield GaugeMetricFamily("tropa_media_sessions", "WebRTC sessions on the port", service.port.sessions)
        yield GaugeMetricFamily("tropa_media_away", "Sessions that fell silent and are sent nothing", service.port.away)
        yield GaugeMetricFamily("tropa_media_tasks", "Tasks of the event loop", len(asyncio.all_tasks()))
        yield CounterMetricFamily("tropa_media_frames_decoded", "Frames decoded", frames_decoded())
        yield CounterMetricFamily("tropa_media_datagrams_received", "Datagrams received", port.received)
        yield CounterMetricFamily("tropa_media_bytes_received", "UDP payload received", port.received_bytes)
        yield CounterMetricFamily("tropa_media_packets_sent", "Packets sent", egress.packets)
        yield CounterMetricFamily("tropa_media_bytes_sent", "UDP payload sent", egress.bytes)
        yield GaugeMetricFamily("tropa_media_tcp_connections", "TCP connections", len(service.port.tcp.links))
        yield CounterMetricFamily("tropa_media_tcp_refused", "TCP connections shown out", service.port.tcp.refused)
        yield CounterMetricFamily("tropa_media_packets_over_tcp", "Packets given to TCP connections", egress.linked)
        yield CounterMetricFamily("tropa_media_send_batches", "sendmmsg calls", egress.batches)
        yield CounterMetricFamily("tropa_media_faults", "Faults caught at a boundary", service.tick_faults)
        dropped = CounterMetricFamily("tropa_media_dropped", "Packets dropped", labels=["direction", "reason"])
        for reason, count in port.dropped.items():
            dropped.add_metric(["in", reason], count)
        for reason in ("full", "unreachable", "srtp"):
            dropped.add_metric(["out", reason], getattr(egress, f"dropped_{reason}"))
        dropped.add_metric(["out", "tcp_late"], service.port.tcp.dropped)
        yield dropped


def make_metrics(service: Service):
    """Return a function that writes the exposition format."""
    registry = CollectorRegistry()
    registry.register(_Collector(service))
    ProcessCollector(registry=registry)
    return lambda: generate_latest(registry).decode()

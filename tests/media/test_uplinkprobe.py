"""What is told of an uplink by how packets come."""

from __future__ import annotations

import pytest

from media.uplinkprobe import MEASURE_S, SILENCE_S, UplinkProbe
from tests.media.virtual_link import Link

PACKET_BYTES = 1100


def send(kbps: float, sent_kbps, seconds: float = 5.0) -> UplinkProbe:
    """Send through a link at a rate that is a function of time; return what was made of it."""
    link, probe = Link(kbps * 1000, 0.04), UplinkProbe(0.0)
    now_s = 0.0
    while now_s < seconds:
        at_s = link.send(PACKET_BYTES, now_s)
        if at_s is not None:
            probe.arrived(PACKET_BYTES, at_s)
        now_s += PACKET_BYTES * 8 / 1000 / sent_kbps(now_s)
    return probe


@pytest.mark.parametrize("kbps", [24, 64, 128, 512, 1000])
def test_a_link_that_is_overrun_now_and_then_is_found(kbps: int):
    """A browser that mostly sends less, and more for a second, shows the link's rate."""
    probe = send(kbps, lambda now_s: kbps * (1.5 if 2.0 < now_s < 3.5 else 0.7))
    assert probe.up_bps is not None and 0.9 * kbps < probe.up_bps / 1000 < 1.05 * kbps


def test_what_never_fills_the_link_is_told_as_it_came():
    """The figure is then what was sent: the link carries that at least."""
    probe = send(10_000, lambda _now_s: 200)
    assert probe.up_bps is not None and 190 < probe.up_bps / 1000 < 215


def test_too_few_packets_say_nothing():
    """Nothing is told of a link over which next to nothing came."""
    probe = UplinkProbe(0.0)
    for i in range(5):
        probe.arrived(PACKET_BYTES, 0.1 * i)
    assert probe.up_bps is None


def test_it_ends():
    """After its time, and when nothing comes or nothing comes any more."""
    probe = UplinkProbe(0.0)
    assert not probe.over(SILENCE_S - 0.1) and probe.over(SILENCE_S + 0.1)
    probe.arrived(PACKET_BYTES, 1.0)
    assert not probe.over(1.0 + SILENCE_S - 0.1) and probe.over(1.0 + SILENCE_S + 0.1)
    probe.arrived(PACKET_BYTES, 1.0 + MEASURE_S)
    assert probe.over(1.1 + MEASURE_S)

"""Repeats help a viewer and never drown it."""

from __future__ import annotations

import itertools

from media.retransmit import BURST_BYTES, MAX_PER_PACKET, RetransmitBudget


def test_one_packet_is_repeated_a_few_times_a_round_trip_apart() -> None:
    """Requests within a round trip are answered once, and a packet a few times in all."""
    budget = RetransmitBudget()
    allowed = [step for step in range(200) if budget.allow(7, 100, 0, step * 0.01, rtt_s=0.1)]
    assert len(allowed) == MAX_PER_PACKET
    assert all(b - a >= 9 for a, b in itertools.pairwise(allowed))


def test_all_repeats_stay_a_share_of_the_stream() -> None:
    """A link that loses everything gets the burst and then 30 % of what is sent, not a storm."""
    budget = RetransmitBudget()
    repeated = sent = 0
    for number in range(5000):
        sent += 1000
        repeated += 1000 * budget.allow(number, 1000, sent, number * 0.02, rtt_s=0.1)
    assert 0.25 * sent < repeated <= BURST_BYTES + 0.3 * sent

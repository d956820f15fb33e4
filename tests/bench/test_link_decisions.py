"""The link emulator's decisions, in virtual time: rate, trace, delay, queue, loss, changes in mid-run."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.linkemu.link import Link, LinkSpec
from bench.linkemu.loss import Loss, LossProcess
from bench.linkemu.trace import TraceError, parse_trace
from bench.linkemu.words import WordsError, parse_fields, parse_link
from tests.imports import sources
from tests.test_imports import IMPURE_STANDARD, is_under

TCP = 6


def never() -> float:
    """A chance at which nothing is ever lost and jitter is at its largest."""
    return 0.999999


def packet(number: int, size: int = 1000) -> bytes:
    """Make a packet that can be told from others."""
    return number.to_bytes(4, "big").ljust(size, b"x")


def drain(link: Link, until_s: float = 1e6) -> list[tuple[float, int]]:
    """Let a link run alone; return (moment, packet number) as they land."""
    landed = []
    while (next_s := link.next_s()) is not None and next_s <= until_s:
        landed += [(next_s, int.from_bytes(data[:4], "big")) for data in link.deliver(next_s)]
    return landed


def test_packets_take_their_time_on_the_wire() -> None:
    """1000 bytes at 64 kbit/s take 125 ms each, one after the other, and then the delay."""
    link = Link(LinkSpec(rate_bps=64_000, delay_s=0.04, queue_s=10), never)
    for number in range(3):
        link.arrive(0.0, packet(number))
    assert drain(link) == [(pytest.approx(0.165), 0), (pytest.approx(0.29), 1), (pytest.approx(0.415), 2)]


def test_an_idle_link_saves_nothing_up() -> None:
    """A packet that comes after a pause takes as long as the first."""
    link = Link(LinkSpec(rate_bps=64_000), never)
    link.arrive(0.0, packet(0))
    link.arrive(50.0, packet(1))
    assert drain(link)[-1] == (pytest.approx(50.125), 1)


def test_the_queue_is_bounded_by_waiting_time() -> None:
    """At 64 kbit/s and 400 ms the fifth packet of 125 ms would wait 500 ms and is dropped at the tail."""
    link = Link(LinkSpec(rate_bps=64_000, queue_s=0.4), never)
    assert [link.arrive(0.0, packet(n)) for n in range(6)] == [True, True, True, True, False, False]
    assert link.counters.dropped == 2
    assert link.counters.largest_queue_s == pytest.approx(0.5)
    assert [number for _at, number in drain(link)] == [0, 1, 2, 3]


def test_the_queue_is_bounded_by_bytes() -> None:
    """With a limit in bytes what does not fit is dropped; a smaller one behind it may still fit."""
    link = Link(LinkSpec(rate_bps=64_000, queue_bytes=2500), never)
    assert [link.arrive(0.0, packet(n, size)) for n, size in enumerate((1000, 1000, 1000, 400))] == [
        *(True, True, False, True)
    ]
    assert link.counters.largest_queue_bytes == 2400


def test_a_full_packet_passes_a_link_slower_than_its_queue() -> None:
    """At 24 kbit/s 1500 bytes take 500 ms, more than the whole queue of 400 ms: an empty link takes them still."""
    link = Link(LinkSpec(rate_bps=24_000, queue_s=0.4), never)
    assert link.arrive(0.0, packet(0, 1500))
    assert not link.arrive(0.0, packet(1, 1500))


def test_a_lost_packet_costs_its_time() -> None:
    """What the air swallows was sent: the packet behind it lands no earlier."""
    chances = iter((0.0, 0.9))
    link = Link(LinkSpec(rate_bps=64_000, loss=Loss(0.1)), lambda: next(chances))
    link.arrive(0.0, packet(0))
    link.arrive(0.0, packet(1))
    assert drain(link) == [(pytest.approx(0.25), 1)]
    assert link.counters.lost == 1


def test_the_rate_changes_under_a_packet() -> None:
    """Half of a packet at 64 kbit/s and the rest at 8: 62.5 ms and then 500."""
    link = Link(LinkSpec(rate_bps=64_000), never)
    link.arrive(0.0, packet(0))
    link.change(0.0625, rate_bps=8_000)
    assert drain(link) == [(pytest.approx(0.5625), 0)]


def test_a_queue_outlives_a_fall_of_the_rate() -> None:
    """What was let in at 512 kbit/s is sent at 64, and nothing more gets in until the wait is short again."""
    link = Link(LinkSpec(rate_bps=512_000, queue_s=0.4), never)
    let_in = sum(link.arrive(0.0, packet(n)) for n in range(40))
    link.change(0.0, rate_bps=64_000)
    assert link.queue_s == pytest.approx(let_in * 0.125)
    assert not link.arrive(0.1, packet(99))
    assert len(drain(link)) == let_in
    assert link.arrive(link.queue_s + 10, packet(100))


def test_blocked_udp_is_swallowed_and_tcp_is_not() -> None:
    """A firewall that eats UDP takes none of the rate for it."""
    link = Link(LinkSpec(rate_bps=64_000), never)
    link.change(0.0, udp_blocked=True)
    assert not link.arrive(0.0, packet(0))
    assert link.arrive(0.0, packet(1), TCP)
    assert drain(link) == [(pytest.approx(0.125), 1)]
    assert link.counters.blocked == 1


def test_jitter_never_reorders() -> None:
    """However chance falls, packets land in the order in which they were sent, none before its least delay."""
    link = Link(LinkSpec(rate_bps=1_000_000, delay_s=0.05, jitter_s=0.2, queue_s=10), random.Random(7).random)
    for number in range(200):
        link.arrive(number * 0.01, packet(number, 100))
    landed = drain(link)
    assert [number for _at, number in landed] == list(range(200))
    assert all(at >= number * 0.01 + 0.05 for at, number in landed)


def test_a_trace_gives_chances_and_loops() -> None:
    """Stamps 10, 10, 30: two packets at 10 ms, one at 30, and the same again a round of 30 ms later."""
    link = Link(LinkSpec(trace=parse_trace("10\n10\n30\n"), queue_s=10), never)
    for number in range(6):
        link.arrive(0.0, packet(number, 1500))
    moments = [round(at * 1000) for at, _number in drain(link)]
    assert moments == [10, 10, 30, 40, 40, 60]


def test_small_packets_share_a_chance_and_large_ones_take_several() -> None:
    """1500 bytes carry three of 500, and 2000 bytes need two chances."""
    link = Link(LinkSpec(trace=parse_trace("10\n20\n30\n"), queue_s=10), never)
    for number, size in enumerate((500, 500, 500, 2000)):
        link.arrive(0.0, packet(number, size))
    assert [round(at * 1000) for at, _number in drain(link)] == [10, 10, 10, 30]


def test_a_chance_that_nobody_needs_is_gone() -> None:
    """A packet that comes after a stamp waits for the next one."""
    link = Link(LinkSpec(trace=parse_trace("0\n10\n20\n"), queue_s=10), never)
    link.arrive(0.0101, packet(0, 100))
    assert [round(at * 1000) for at, _number in drain(link)] == [20]


def test_the_end_of_a_round_and_its_beginning_are_one_moment() -> None:
    """Stamps 0, 10 loop each 10 ms: at 10 ms there are two chances, at 20 again two."""
    trace = parse_trace("0\n10\n")
    assert trace.next_after(0.0) == (pytest.approx(0.01), 3000)
    assert trace.next_after(0.01) == (pytest.approx(0.02), 3000)
    assert trace.mean_bps == pytest.approx(2 * 1500 * 8 / 0.01)


@pytest.mark.parametrize("text", ["", "0\n", "5\n4\n", "a\n", "1.5\n", "-1\n"])
def test_a_broken_trace_is_refused(text: str) -> None:
    """A trace without length, with falling stamps or with something else than whole numbers is refused."""
    with pytest.raises(TraceError):
        parse_trace(text)


@pytest.mark.parametrize(("rate", "burst"), [(0.01, 1), (0.02, 3), (0.3, 8), (0.05, 1)])
def test_loss_and_bursts_are_as_long_as_asked(rate: float, burst: float) -> None:
    """Over 200,000 packets the share lost and the mean run come out within a tenth."""
    chance = random.Random(11).random
    process = LossProcess(Loss(rate, burst))
    fates = [process.lost(chance()) for _ in range(200_000)]
    runs = sum(now and not before for before, now in pairwise([False, *fates]))
    assert sum(fates) / len(fates) == pytest.approx(rate, rel=0.1)
    expected = burst if burst > 1 else 1 / (1 - rate)
    assert sum(fates) / runs == pytest.approx(expected, rel=0.1)


@given(
    arrivals=st.lists(st.tuples(st.floats(0, 0.5), st.integers(20, 1500), st.booleans()), max_size=60),
    changes=st.lists(st.tuples(st.integers(0, 60), st.sampled_from([8_000, 64_000, 512_000])), max_size=4),
    queue_s=st.floats(0, 2),
    seed=st.integers(0, 99),
)
def test_every_packet_is_accounted_for(arrivals: list, changes: list, queue_s: float, seed: int) -> None:
    """Arrived is delivered, dropped, lost or blocked once the link is empty; nothing lands twice or out of order."""
    spec = LinkSpec(rate_bps=64_000, queue_s=queue_s, loss=Loss(0.1, 2), delay_s=0.1, jitter_s=0.05)
    link = Link(spec, random.Random(seed).random)
    now_s, landed = 0.0, []
    for number, (gap_s, size, udp) in enumerate(arrivals):
        now_s += gap_s
        for at, rate_bps in changes:
            if at == number:
                link.change(now_s, rate_bps=rate_bps, udp_blocked=rate_bps == 8_000)
        link.arrive(now_s, packet(number, size), 17 if udp else TCP)
        landed += [int.from_bytes(data[:4], "big") for data in link.deliver(now_s)]
    landed += [number for _at, number in drain(link)]
    counters = link.counters
    assert landed == sorted(set(landed))
    assert counters.arrived == len(arrivals)
    assert counters.delivered == len(landed)
    assert counters.arrived == counters.delivered + counters.dropped + counters.lost + counters.blocked
    assert link.queue_bytes == 0


@given(st.lists(st.tuples(st.floats(0, 0.1), st.integers(20, 1500)), min_size=1, max_size=60))
def test_a_link_never_exceeds_its_rate(arrivals: list) -> None:
    """However packets come, between any two landings no more passes than the rate allows."""
    link = Link(LinkSpec(rate_bps=64_000, queue_s=100), never)
    now_s, sizes = 0.0, []
    for number, (gap_s, size) in enumerate(arrivals):
        now_s += gap_s
        sizes.append(size)
        link.arrive(now_s, packet(number, size))
    landed = drain(link)
    for (before_s, _), (after_s, number) in pairwise(landed):
        assert after_s - before_s >= sizes[number] * 8 / 64_000 - 1e-9


def test_links_in_words() -> None:
    """Words give the numbers in the units of the command line; a change names only what changes."""
    spec = parse_link("rate=64,delay=150,jitter=5,loss=2,burst=3,queue=400", lambda _name: "")
    assert spec == LinkSpec(rate_bps=64_000, delay_s=0.15, jitter_s=0.005, loss=Loss(0.02, 3), queue_s=0.4)
    assert parse_link("trace=x", lambda name: f"{len(name)}\n").trace == parse_trace("1\n")
    assert parse_fields("rate=512", lambda _name: "") == {"rate_bps": 512_000}
    assert parse_fields("block=udp", lambda _name: "") == {"udp_blocked": True}


@pytest.mark.parametrize("words", ["rate", "rate=fast", "speed=64", "block=tcp", "loss=x"])
def test_unknown_words_are_refused(words: str) -> None:
    """A misspelt link is told, not guessed."""
    with pytest.raises(WordsError):
        parse_link(words, lambda _name: "")


@pytest.mark.parametrize("fields", [{}, {"rate_bps": 0}, {"rate_bps": 1, "delay_s": -1}])
def test_an_impossible_link_is_refused(fields: dict) -> None:
    """A link without a rate, or into the past, is an error at once."""
    with pytest.raises(ValueError):
        LinkSpec(**fields)


@pytest.mark.parametrize("source", [one for one in sources("bench") if one.is_pure], ids=lambda source: source.path)
def test_pure_files_of_the_benches_are_pure(source) -> None:
    """A bench's file that says "Pure:" keeps the promise."""
    assert not {module for module in source.modules() if any(is_under(module, one) for one in IMPURE_STANDARD)}

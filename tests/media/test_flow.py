"""One viewer's rate: what may leave now, what a probe weighs, which rung follows."""

from __future__ import annotations

import socket

import pylibsrtp
import pytest

from media import twcc
from media.cc.estimator import PROBE_MARGIN
from media.cc.prober import PACKETS
from media.flow import BURST_BYTES, DEBT_S, OPENING_S, PADDING_BYTES, REST_S, Flow
from media.rtc.crowd import SendStream
from media.rtc.srtp import WIRE_OVERHEAD_BYTES, Batch, srtp_handle
from rules.rungs import Mode, Rung, Voice

VOICE = Voice(24_000, 19_000)
COSTS = {Rung.STILL: 6_000, Rung.LOW: 27_000, Rung.MIDDLE: 67_000, Rung.FULL: 400_000}


def answer(flow: Flow, base: int, arrivals_s: list[float | None], now_s: float) -> None:
    """Let the viewer tell of arrivals."""
    flow.on_feedback(twcc.parse(twcc.serialize(1, 2, base, 0, arrivals_s)), now_s)


def probe(flow: Flow, now_s: float) -> list[int]:
    """Send all the padding that is due by `now_s`; return the sizes."""
    sizes = []
    while size := flow.padding_due(now_s):
        flow.sent(size, now_s)
        flow.padded(size)
        sizes.append(size)
    return sizes


def measured(link_bps: float) -> Flow:
    """Return a viewer whose first cluster has crossed a link of this rate."""
    flow = Flow(0.0)
    flow.plan_probe(1e6, OPENING_S)
    sizes = probe(flow, OPENING_S)
    assert len(sizes) == PACKETS
    arrivals = [1.0 + sum(sizes[: index + 1]) * 8 / link_bps for index in range(len(sizes))]
    answer(flow, 0, arrivals, OPENING_S + 0.3)
    flow.plan_probe(1e6, OPENING_S + 0.3)
    return flow


@pytest.mark.parametrize("link_kbps", [32, 64, 128, 512])
def test_the_first_cluster_tells_the_link(link_kbps: int) -> None:
    """Before any picture the estimate is within a fifth of what the link carries, above or below the blind guess."""
    estimate = measured(link_kbps * 1e3).estimator.target_bps
    assert 0.8 <= estimate / (link_kbps * 1e3) <= 1.0


def test_voice_among_the_padding_counts() -> None:
    """What crosses the link between the first and the last padding packet has taken its share, and is reckoned."""
    flow = Flow(0.0)
    flow.sent(180, 0.2)
    flow.plan_probe(1e6, OPENING_S)
    sizes = [180]
    for _ in range(PACKETS // 2):
        flow.sent(size := flow.padding_due(OPENING_S), OPENING_S)
        flow.padded(size)
        sizes.append(size)
    flow.sent(180, OPENING_S)
    sizes += [180, *probe(flow, OPENING_S)]
    arrivals = [1.0 + sum(sizes[: index + 1]) * 8 / 64e3 for index in range(len(sizes))]
    answer(flow, 0, arrivals, OPENING_S + 0.3)
    flow.plan_probe(1e6, OPENING_S + 0.3)
    assert flow.estimator.target_bps == pytest.approx(PROBE_MARGIN * 64e3, rel=0.01)


def test_no_picture_is_chosen_before_the_link_is_known() -> None:
    """Until the first cluster is judged the viewer has the voice alone; then at once what fits."""
    flow = Flow(0.0)
    assert flow.decide(COSTS, VOICE, 0.1).rung is Rung.VOICE
    assert measured(64e3).decide(COSTS, VOICE, 0.6).rung is Rung.LOW
    assert measured(700e3).decide(COSTS, VOICE, 0.6).rung is Rung.FULL


def test_who_never_answers_gets_a_cautious_picture() -> None:
    """Without an answer to the first cluster the choice falls to the blind guess after a while."""
    flow = Flow(0.0)
    assert flow.decide(COSTS, VOICE, 3.0).rung is Rung.LOW
    assert flow.deaf(3.0) is False and flow.deaf(10.0) is True


def test_a_large_probe_is_many_padding_packets() -> None:
    """No padding packet is larger than its count can say; together they weigh and last what was planned."""
    flow = measured(512e3)
    now_s = 5.0
    flow.plan_probe(2e6, now_s)
    sizes, sent_s = [], now_s
    while sent_s < now_s + 0.2:
        sizes += probe(flow, sent_s)
        sent_s += 0.01
    assert max(sizes) <= PADDING_BYTES and sum(sizes) > PACKETS * PADDING_BYTES


def test_credit_grows_with_the_estimate_and_ends_in_a_small_burst() -> None:
    """A quiet viewer saves up no more than a burst; debts beyond half a second are forgiven."""
    flow = Flow(0.0)
    rate = flow.estimator.target_bps / 8
    assert flow.refill(10.0) == max(BURST_BYTES, rate * 0.04)
    flow.credit = -100_000
    assert flow.refill(10.0) == -rate * DEBT_S
    for _ in range(100):
        flow.sent(1000, 10.0)
    assert flow.refill(60.0) < 0


@pytest.fixture
def batch():
    """A batch over a socket that is bound to nothing; nobody flushes it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        yield Batch(sock)


def stream(flow: Flow) -> tuple[SendStream, pylibsrtp.Session]:
    """Return a stream that could send, and the session that its handle belongs to."""
    policy = pylibsrtp.Policy(key=bytes(30), ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    session = pylibsrtp.Session(policy)
    made = SendStream(7, 96)
    made.point(srtp_handle(session), 1, None)
    made.account(flow, 3 << 4 | 1)
    return made, session


def test_pictures_wait_where_credit_is_used_up_and_voice_never(batch: Batch) -> None:
    """A burst goes out up to one packet beyond the credit; the rest waits from there on; voice is sent on debt."""
    flow = Flow(0.0)
    picture, keep = stream(flow)
    voice, keep_too = stream(flow)
    flow.credit = 700.0
    for number in range(10):
        batch.fan_out(number, 0, False, bytes(440), [picture], 0, 0.0, True)
    assert (picture.packets, picture.behind, picture.cursor) == (2, True, 2)
    assert flow.credit == 700 - 2 * (440 + 20 + WIRE_OVERHEAD_BYTES)
    batch.fan_out(0, 0, False, bytes(120), [voice], 0, 0.0)
    assert voice.packets == 1 and flow.estimator.next_sequence == 3
    assert keep is not keep_too


def test_credit_that_has_grown_meanwhile_is_reckoned_when_it_is_needed(batch: Batch) -> None:
    """A viewer whose credit was used up gets the next picture at once when enough time has passed for it."""
    flow = Flow(0.0)
    picture, keep = stream(flow)
    flow.credit = 0.0
    batch.fan_out(0, 0, False, bytes(440), [picture], 0, 0.0, True)
    batch.fan_out(1, 0, False, bytes(440), [picture], 0, 0.5, True)
    assert (picture.packets, picture.behind, keep is None) == (2, False, False)


def resting() -> Flow:
    """Return a viewer who has the best there is on a link that carries more, and is not looked at for a moment."""
    flow = measured(2e6)
    flow.decide(COSTS, VOICE, 0.6)
    assert flow.decide(COSTS, VOICE, 0.7).rung is Rung.FULL
    flow.rest(400_000, 0.7)
    assert flow.at_rest(0.8)
    return flow


def test_a_rest_ends_by_itself_and_by_the_viewers_choice() -> None:
    """Nobody is left alone for long, and who chooses is heard with the next pass."""
    assert not resting().at_rest(0.7 + REST_S)
    flow = resting()
    flow.prefer(Mode.VOICE)
    assert not flow.at_rest(0.8)


def test_feedback_of_a_shortage_ends_a_rest() -> None:
    """Down at once: where feedback tells of a queue the next pass decides."""
    flow = resting()
    first = flow.estimator.next_sequence
    for _ in range(10):
        flow.sent(1000, 0.75)
    answer(flow, first, [2.0 + 0.05 * index for index in range(10)], 1.0 - 0.01)
    assert not flow.at_rest(0.99)


def test_who_would_be_asked_for_more_does_not_rest() -> None:
    """As long as the link is to be probed for what the best rung takes, each pass decides."""
    flow = measured(2e6)
    flow.decide(COSTS, VOICE, 0.6)
    flow.rest(4e6, 0.7)
    assert not flow.at_rest(0.71)

"""Pure: the downlink of one viewer: what it carries, what may be sent now, when it is asked for more, what fits it."""

from __future__ import annotations

from collections.abc import Mapping

from media.cc.books import Books
from media.cc.estimator import PACKET_BITS, Estimator, Reason
from media.cc.prober import Cluster, Prober
from media.cc.told import Told
from media.twcc import Feedback
from rules.rungs import Mode, Rung, Standing, Voice, Why, begin, choose

FEEDBACK_INTERVAL_S = 0.25
"""Between feedbacks of a viewer who obeys `b=AS:48` (measured: 4.2 a second)."""
BURST_S = 0.04
"""What may leave at once, in seconds of the estimate: two passes of the pacer."""
BURST_BYTES = 200
"""And at least so much; one packet of any size leaves while any credit is there."""
DEBT_S = 0.5
"""Voice and repeats are sent on credit; what they owe beyond this is forgiven: the picture rests no longer for it."""
PADDING_BYTES = 310
"""A padding-only packet on the wire: 255 bytes is the most that its count can say (RFC 3550 5.1)."""
OPENING_S = 0.25
"""The first cluster goes out so long after the first voice: nobody waits for the voice because of it."""
OPENING_WAIT_S = 1.4
"""So long a new viewer's first picture waits for the first cluster's answer: 600 ms of a satellite, then feedback."""
DEAF_S = 4.0
"""Who agreed to feedback and sent none for so long does not send any."""

CLOGGED_S = 0.6
"""A link that has this much to carry still gets no voice either: it would come too late, and all that follows too."""

REST_S = 0.3
"""Who has the best there is, and a link that carries more than that, is looked at again after so long."""

PAUSE_S = 0.35
"""Without news of a link that is not overused nothing changes but by time, and that waits so long: a little more than
feedbacks are apart."""
SETTLING_S = 3.0
"""A new viewer's rung is chosen at every pass: each of them is a tenth of a second without a picture."""

PRESSURE = {Reason.LOSS: Why.LOSS, Reason.SILENCE: Why.STALLED}


class Flow:
    """Rate control of one viewer: by the arrivals of packets with transport-wide numbers, or by what he has `told`."""

    __slots__ = (
        "_began_s",
        "_next_probe_s",
        "_opened",
        "_opening",
        "_pace_bps",
        "_pauses",
        "_probe_bytes",
        "_refilled_s",
        "_rests_until_s",
        "_unanswered",
        "books",
        "due_s",
        "estimator",
        "heard",
        "mode",
        "padding_bytes",
        "prober",
        "sent",
        "standing",
    )

    def __init__(self, now_s: float, told: Told | None = None, books: Books | None = None) -> None:
        """Begin with `books` in which the egress loop writes too, or with some of its own."""
        self.books = books or Books()
        self.estimator = told or Estimator(now_s, self.books)
        self.prober = Prober(now_s)
        self.sent = self.estimator.sent
        self.credit = float(BURST_BYTES)
        self.heard = self._unanswered = told is not None
        self.mode = Mode.AUTO
        self.standing: Standing = begin(now_s)
        self._began_s = self._refilled_s = now_s
        self._opened = False
        self._opening = told is None
        self._probe_bytes = 0
        self.padding_bytes = 0
        self._pace_bps = 0.0
        self._next_probe_s = 0.0
        self._rests_until_s = 0.0
        self._pauses = False
        self.due_s = 0.0  # there is no credit before then, unless feedback comes

    @property
    def credit(self) -> float:
        """Return how many bytes on the wire may be sent; negative after what was sent on debt."""
        return self.books.purse[0]

    @credit.setter
    def credit(self, size_bytes: float) -> None:
        self.books.purse[0] = size_bytes

    def refill(self, now_s: float) -> float:
        """Grow the credit with time, by the estimate and within the window of what may be in flight; return it."""
        estimator = self.estimator
        rate = estimator.target_bps / 8
        credit = max(self.credit, -rate * DEBT_S) + rate * (now_s - self._refilled_s)
        self._refilled_s = now_s
        room = estimator.window_bytes(FEEDBACK_INTERVAL_S) - estimator.in_flight_bytes
        self.credit = min(credit, max(BURST_BYTES, rate * BURST_S), room)
        self.due_s = now_s - credit / rate if credit < 0 else now_s
        return self.credit

    def on_feedback(self, feedback: Feedback, now_s: float) -> None:
        """Take in what the viewer says about arrivals."""
        self.heard = True
        if self.prober.waiting:
            sizes = self.estimator.sizes(feedback)
            self.prober.on_arrivals(feedback.base_sequence, feedback.arrivals_s, sizes)
        estimator = self.estimator
        before_bps = estimator.target_bps
        estimator.on_feedback(feedback, now_s)
        self.due_s = 0.0
        worse = estimator.target_bps < before_bps or estimator.held or estimator.queue_s > estimator.queue_limit_s
        if worse or self._pauses:
            self._rests_until_s = 0.0

    def deaf(self, now_s: float) -> bool:
        """Whether the viewer has agreed to feedback and sends none."""
        return not self.heard and now_s - self._began_s > DEAF_S

    def clogged(self, now_s: float) -> bool:
        """Whether the link has fallen so far that even voice must wait until the queue on it is shorter."""
        return self.estimator.backlog_s(now_s) > CLOGGED_S

    # Probes.

    def plan_probe(self, wanted_bps: float, now_s: float) -> None:
        """Judge the probe that is out, and plan the next one where more than the estimate is wanted.

        Where arrivals are not told a probe would have no answer.
        """
        if self._unanswered:
            return
        answer = self.prober.due(now_s)
        if answer is not None:
            judge = self.estimator.judge_opening if self._opening else self.estimator.judge_probe
            self.prober.judged(now_s, judge(answer))
            self._opening = False
        if not self._opened and now_s - self._began_s >= OPENING_S:
            self._opened = True
            self._start(self.prober.open(now_s, self.estimator.rtt_s), now_s)
        elif self.padding_bytes <= 0 and self._opened:
            estimator = self.estimator
            queue_s = estimator.queue_s - PACKET_BITS / 2 / estimator.target_bps
            cluster = self.prober.plan(now_s, estimator.target_bps, queue_s, estimator.rtt_s, wanted_bps)
            if cluster is not None:
                self._start(cluster, now_s)

    def _start(self, cluster: Cluster, now_s: float) -> None:
        """Turn a cluster into padding packets: more of them where one cannot be large enough."""
        self.padding_bytes = cluster.packets * cluster.size_bytes
        self._probe_bytes = min(cluster.size_bytes, PADDING_BYTES)
        self._pace_bps = cluster.size_bytes * 8 / cluster.interval_s if cluster.interval_s else 0.0
        self._next_probe_s = now_s

    def padding_due(self, now_s: float) -> int:
        """Return the size of a padding packet to send now, 0 for none."""
        return self._probe_bytes if self.padding_bytes > 0 and now_s >= self._next_probe_s else 0

    def padded(self, size_bytes: int) -> None:
        """Note that a padding packet of this size has gone out, the last that was numbered."""
        self.prober.sent(self.estimator.next_sequence - 1, size_bytes)
        self.padding_bytes -= size_bytes
        if self._pace_bps:
            self._next_probe_s += size_bytes * 8 / self._pace_bps

    # Rungs.

    def prefer(self, mode: Mode) -> None:
        """Take the viewer's own choice."""
        self.mode, self._rests_until_s = mode, 0.0

    def at_rest(self, now_s: float) -> bool:
        """Whether nothing about this viewer's rate or rung can have changed since the last decision."""
        return now_s < self._rests_until_s

    def rest(self, wanted_bps: float, now_s: float) -> None:
        """Let the next decision wait for a moment where nobody would ask this link for more, nor give up a rung.

        Feedback that tells of a shortage ends the rest, and so does the moment in which silence would be noticed. Where
        more would be asked for, any feedback ends it.
        """
        estimator = self.estimator
        if self._unanswered or self.padding_bytes > 0:
            return
        best = self.standing.why is Why.FITS and self.standing.rung > Rung.STILL
        if best and self.prober.idle(estimator.target_bps, wanted_bps):
            self._pauses = False
            self._rests_until_s = min(now_s + REST_S, estimator.silent_at_s)
            return
        calm = not estimator.held and estimator.queue_s <= estimator.queue_limit_s
        if calm and now_s - self._began_s > SETTLING_S:
            self._pauses = True
            self._rests_until_s = min(now_s + PAUSE_S, estimator.silent_at_s)

    def decide(self, costs: Mapping[Rung, float], voice: Voice, now_s: float) -> Standing:
        """Choose the rung for the rate of this moment; before the link is known nothing is chosen."""
        self.estimator.tick(now_s)
        if self._opening and now_s - self._began_s < OPENING_WAIT_S:
            return self.standing
        pressure = PRESSURE.get(self.estimator.reason, Why.LINK)
        self.standing = choose(self.standing, costs, voice, self.estimator.lasting_bps, self.mode, pressure, now_s)
        return self.standing

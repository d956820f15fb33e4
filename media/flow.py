"""Pure: the downlink of one viewer: what it carries, what may be sent now, when it is asked for more."""

from __future__ import annotations

from media.cc.estimator import Estimator
from media.cc.prober import Prober
from media.twcc import Feedback

FEEDBACK_INTERVAL_S = 0.27
"""Between feedbacks of a viewer who obeys `b=AS:30` (measured: 3.8 a second)."""
BURST_S = 0.04
"""What may leave at once, in seconds of the estimate: four passes of the pacer."""
BURST_BYTES = 1500
"""And at least so much: one packet of any size."""
DEBT_S = 0.5
"""Voice and repeats are sent on credit; what they owe beyond this is forgiven, so that the picture starves for no longer."""


class Flow:
    """Rate control of one viewer whose packets carry transport-wide numbers."""

    __slots__ = ("_refilled_s", "credit", "estimator", "heard", "prober", "sent")

    def __init__(self, now_s: float) -> None:
        self.estimator = Estimator(now_s)
        self.prober = Prober(now_s)
        self.sent = self.estimator.sent
        self.credit = float(BURST_BYTES)
        self.heard = False
        """Whether any feedback has come: a viewer that never sends it is not judged by it."""
        self._refilled_s = now_s

    def refill(self, now_s: float) -> float:
        """Grow the credit with time, by the estimate and within the window of what may be in flight; return it."""
        estimator = self.estimator
        rate = estimator.target_bps / 8
        credit = max(self.credit, -rate * DEBT_S) + rate * (now_s - self._refilled_s)
        self._refilled_s = now_s
        room = estimator.window_bytes(FEEDBACK_INTERVAL_S) - estimator.in_flight_bytes
        self.credit = min(credit, max(BURST_BYTES, rate * BURST_S), room)
        return self.credit

    def on_feedback(self, feedback: Feedback, now_s: float) -> None:
        """Take in what the viewer says about arrivals."""
        self.heard = True
        self.estimator.on_feedback(feedback, now_s)
        self.prober.on_arrivals(feedback.base_sequence, feedback.arrivals_s)

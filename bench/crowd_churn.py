"""Viewers who come and go: one each second, every other one without a goodbye; what is left of them is looked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.fanout_ours import Ours
from bench.fanout_peer import Crowd, Peer
from bench.live_cpu import metrics_of
from bench.processcost import descriptors, resident_bytes, spent

VIEWERS = 100
STEP_S = 1.0
SAMPLE_S = 15.0
GONE_S = 40.0
"""Who vanished is kept for 30 s (RFC 7675 5.1); then nothing of him may be left."""
REFERENCE_MINUTE = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """The media process at one moment. `memory_mb` is resident; sessions are the port's, the host's included."""

    minute: float
    memory_mb: float
    sessions: int
    away: int
    tasks: int
    descriptors: int
    cpu_s: float
    joined: int
    refused: int


class Churn:
    """A crowd in which one joins and one leaves each second."""

    def __init__(self, server: Ours, each_sample: Callable[[], None]) -> None:
        self.samples: list[Sample] = []
        self._server, self._each_sample = server, each_sample
        self._crowd = Crowd("127.0.0.1")
        self._oldest: deque[Peer] = deque()
        self._joined = self._refused = self._left = 0
        self._begin_s = 0.0

    async def run(self, minutes: float) -> None:
        """Fill the room, let them come and go for so long, then let all go and look at what remains."""
        loop = asyncio.get_running_loop()
        try:
            for _ in range(VIEWERS):
                await self._join()
            self._begin_s = next_s = sampled_s = loop.time()
            while loop.time() - self._begin_s < minutes * 60:
                await asyncio.gather(self._join(), self._leave())
                if loop.time() - sampled_s >= SAMPLE_S:
                    sampled_s = loop.time()
                    await self._sample()
                next_s += STEP_S
                await asyncio.sleep(max(0.0, next_s - loop.time()))
            await self._sample()
            while self._oldest:
                await self._leave()
            await asyncio.sleep(GONE_S)
            await self._sample()
        finally:
            await self._crowd.close()

    async def _join(self) -> None:
        try:
            self._oldest.append(await self._crowd.join(self._server.agree))
            self._joined += 1
        except (TimeoutError, RuntimeError):
            self._refused += 1

    async def _leave(self) -> None:
        if not self._oldest:
            return
        peer = self._oldest.popleft()
        self._left += 1
        if self._left % 2:
            await self._server.leave(peer)
        self._crowd.drop(peer)

    async def _sample(self) -> None:
        self._each_sample()
        pid = self._server.pid
        found = metrics_of((await self._server.door.ask("GET", "/metrics"))[1]["text"])
        cost = spent(pid)
        made = Sample(
            minute=round((asyncio.get_running_loop().time() - self._begin_s) / 60, 2),
            memory_mb=round(resident_bytes(pid) / 1e6, 2),
            sessions=int(found["tropa_media_sessions"]),
            away=int(found["tropa_media_away"]),
            tasks=int(found["tropa_media_tasks"]),
            descriptors=descriptors(pid),
            cpu_s=round(cost.all_s - cost.children_s, 1),
            joined=self._joined,
            refused=self._refused,
        )
        self.samples.append(made)
        print(made, flush=True)


def judge(samples: Sequence[Sample]) -> dict:
    """Compare the end of the coming and going with minute five, and the empty room with a room of nobody."""
    busy, empty = samples[:-1], samples[-1]
    last = busy[-1]
    reference = min(busy, key=lambda sample: abs(sample.minute - min(REFERENCE_MINUTE, last.minute / 2)))
    seconds = (last.minute - reference.minute) * 60
    return {
        "minutes": last.minute,
        "joined": last.joined,
        "refused": last.refused,
        "memory_mb_at_reference": reference.memory_mb,
        "reference_minute": reference.minute,
        "memory_mb_at_the_end": last.memory_mb,
        "memory_growth_percent": round((last.memory_mb / reference.memory_mb - 1) * 100, 2),
        "percent_of_a_core": round((last.cpu_s - reference.cpu_s) / max(seconds, 1) * 100, 1),
        "sessions_in_the_empty_room": empty.sessions,
        "tasks_busy_and_empty": [last.tasks, empty.tasks],
        "descriptors_busy_and_empty": [last.descriptors, empty.descriptors],
    }

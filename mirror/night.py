"""The mirror at work: decides (mirror/action.py), then asks, fetches, reports or waits; one thread, one folder."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from mirror import action, quota, receipts, shapes
from mirror.action import Do, Facts, Step
from mirror.folder import Busy, DiskFull, Folder
from mirror.origin import Origin, OriginError, Refused
from mirror.pacing import Bucket
from mirror.partial import Inconsistent, Partial
from mirror.shapes import BadDocument, Manifest, Offer, Subscription
from mirror.state import State
from mirror.texts import _l
from rules import nightwindow

log = logging.getLogger("mirror")

SAVE_EVERY_S = 2.0
# A chunk that comes damaged so often is damaged at the origin, not on the way.
MOST_DAMAGED = 5
# How long a file that cannot be had is left alone.
FORGIVE_S = 3600.0
# What is answered for a file that was made anew, or taken away, since the list was asked for.
CHANGED = (404, 412, 416)
DISK_FULL = _l("this computer's disk is full; make room, everything goes on by itself then")


class Stopped(Exception):
    """A transfer ends for a good reason: the window closes, the month is used up, an import wants the folder."""


class Night:
    """Everything that `run` does beside serving pages: `step` is one turn of the loop, `run` turns until stopped."""

    def __init__(
        self,
        folder: Folder,
        origin_url: str,
        token: str,
        *,
        local_now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Take the folder over; the clocks and `wait` (returns whether to stop) are given by tests."""
        self.folder = folder
        self.state = State.load(folder)
        self.origin = Origin(origin_url, token, self._count)
        self._local_now, self._monotonic = local_now, monotonic
        self._stop = stop or threading.Event()
        self._wait = wait or self._stop.wait
        self._bucket = Bucket(None)
        self._failures = 0
        self._not_before_s = 0.0
        self._refreshed_s: float | None = None
        self._saved_s, self._saved_do = 0.0, ""
        self._counted_bytes = 0  # what the disk says; see quota.AHEAD_BYTES
        self._forgiven: dict[str, float] = {}

    def run(self) -> None:
        """Work until stopped; whatever breaks is told, waited off and tried again."""
        while not self._stop.is_set():
            try:
                step = self.step()
            except Exception:  # the boundary of the thread: pages go on being served, and the work is tried again
                log.exception("the night's work broke")
                self._failed(_l("a fault in the program; the log tells more"))
                step = Step(Do.PAUSE, 60.0)
            if step.wait_s:
                self._wait(step.wait_s)
        self._write(self.state.usage.wire_bytes)
        self.origin.close()

    def step(self) -> Step:
        """Do the next thing; returns it, with how long to wait afterwards."""
        if self.folder.is_import_waiting():
            return Step(Do.PAUSE, 0.5)
        subscription = self.state.subscription
        choice = self._next_file(subscription)
        step = action.decide(self._facts(subscription, choice))
        self.state.doing(step.do, choice[0] if choice and step.do in (Do.FETCH, Do.DISK) else None)
        if step.wait_s:
            self.origin.close()
            self._save(is_resting=True)
            return step
        try:
            with self.folder.changing():
                self._do(step.do, choice)
        except OriginError as error:
            if isinstance(error, Refused) and error.status in CHANGED:
                self._refreshed_s = None  # the file is another one by now, or gone: the list tells
            self._failed(error.text, str(error))
        except BadDocument as error:
            self._failed(_l("what the server says cannot be true; nothing of it was taken"), str(error))
        except DiskFull:
            self._failed(DISK_FULL)
        except OSError as error:
            self._failed(_l("the folder of the lessons cannot be read or written"), str(error))
        except Busy:
            return Step(Do.PAUSE, 1.0)
        except Stopped:
            self.origin.close()
        else:
            self._failures, self.state.trouble = 0, ""
        self._save()
        return Step(step.do)

    def _do(self, what: Do, choice: tuple[Offer, int] | None) -> None:
        if what is Do.REFRESH:
            self._refresh()
        elif what is Do.REPORT:
            self._report(self._said(choice))
        elif what is Do.FETCH and choice is not None:
            self._fetch(choice[0])

    def _facts(self, subscription: Subscription | None, choice: tuple[Offer, int] | None) -> Facts:
        now = self.state.clock.now(self._local_now())
        is_open, change_s = True, None
        if subscription is not None:
            zone = subscription.zone
            is_open = nightwindow.is_open(subscription.window, now, zone)
            change_s = nightwindow.seconds_until_change(subscription.window, now, zone)
            turned = quota.turned(self.state.usage, quota.month_of(now, zone))
            if turned != self.state.usage:
                self.state.usage, self._counted_bytes = turned, 0
        refreshed = None if self._refreshed_s is None else self._monotonic() - self._refreshed_s
        return Facts(
            is_open=is_open,
            change_s=change_s,
            left_bytes=self._left(),
            refreshed_ago_s=refreshed,
            pause_s=self._not_before_s - self._monotonic(),
            reports=receipts.due(self.folder, self.state, self._said(choice)),
            next_bytes=choice[1] if choice else None,
            free_bytes=self.folder.free_bytes(),
        )

    def _said(self, choice: tuple[Offer, int] | None) -> str:
        """Say what the school's people should hear of, who may not look at this computer for weeks."""
        is_full = choice is not None and choice[1] + action.SPARE_BYTES > self.folder.free_bytes()
        return DISK_FULL if is_full else ""

    def _left(self) -> int | None:
        subscription = self.state.subscription
        return quota.left(self.state.usage, subscription.monthly_mb) if subscription is not None else None

    def _next_file(self, subscription: Subscription | None) -> tuple[Offer, int] | None:
        """Choose the file to fetch, with the bytes that it still needs on the disk."""
        if subscription is None:
            return None
        now_s = self._monotonic()
        offers = [one for one in subscription.files if self._forgiven.get(one.id, 0.0) <= now_s]
        rows = []
        for one in offers:
            begun = 0 if self.folder.has(one) else min(one.bytes, self.folder.begun_bytes(one))
            # A file that is all on the disk and not in its place was not verified yet: it counts as missing.
            missing = 0 if self.folder.has(one) else max(1, one.bytes - begun)
            rows.append((one.id, missing, begun))
        found = action.next_file(rows, self._left())
        return next(((one, row[1]) for one, row in zip(offers, rows, strict=True) if one.id == found), None)

    def _refresh(self) -> None:
        """Ask what the school takes; the answer's date puts a wrong clock right."""
        answer = self.origin.get_json("/api/v1/mirror", self.state.etag)
        local = self._local_now()
        if answer.date is not None:
            self.state.clock = self.state.clock.told(local, answer.date)
        if answer.status == 200:
            self.state.subscribe(self.folder, shapes.subscription(answer.document), answer.document, answer.etag)
        subscription = self.state.subscription
        if subscription is None:
            raise Refused(0, _l("the server's answer cannot be understood; is its address right?"))
        self.state.contact(self.state.clock.now(local))
        month = quota.month_of(self.state.clock.now(local), subscription.zone)
        self.state.usage = quota.corrected(self.state.usage, month)
        self._refreshed_s = self._monotonic()
        receipts.missing(self.folder, subscription.files, self.state)

    def _report(self, said: str) -> None:
        """Tell the origin what has arrived; receipts are kept until it has said that it keeps them."""
        document, names = receipts.report(self.folder, self.state, said)
        answer = self.origin.post_json("/api/v1/mirror/report", document)
        told = [*answer.document.get("kept", []), *answer.document.get("unknown", [])]
        receipts.told(self.folder, names & {one for one in told if isinstance(one, str)}, self.state, said)

    def _fetch(self, offer: Offer) -> None:
        """Fetch a file, or what of it is possible now. Raises Stopped, OriginError, DiskFull."""
        manifest = self.folder.kept_manifest(offer) or self._get_manifest(offer)
        partial = Partial(self.folder, manifest)
        subscription = self.state.subscription
        rate = subscription.rate_kbps if subscription is not None else None
        self._bucket = Bucket(None if rate is None else rate * 1000)
        log.info("fetching %s: %d of %d bytes are missing", offer.lesson.title, partial.missing, partial.size)
        try:
            self._fetch_runs(partial)
        finally:
            partial.close()
        log.info("arrived and verified: %s, %d bytes", offer.lesson.title, offer.bytes)
        receipts.add(self.folder, offer, "net", self.state.clock.now(self._local_now()))
        self.folder.remove_older(offer)

    def _fetch_runs(self, partial: Partial) -> None:
        offer = partial.manifest.offer
        while True:
            run = partial.next_run()
            if run is None:
                if not self._finished(partial):
                    continue
                return
            at = run.start
            path = f"/api/v1/mirror/files/{offer.id}"
            # Closed at once when this loop ends by an exception: the connection must not go on taking bytes.
            with contextlib.closing(self.origin.read_file(path, offer.sha256, offer.bytes, run, self._most)) as pieces:
                for piece in pieces:
                    partial.feed(at, piece)
                    at += len(piece)
                    self._failures = 0
                    self.state.progress(partial.size - partial.missing, partial.size)
            if max(partial.damaged.values(), default=0) >= MOST_DAMAGED:
                self._forgive(offer)
                raise Refused(0, _l("a piece of a file comes damaged every time; it is tried again later"))

    def _finished(self, partial: Partial) -> bool:
        try:
            return not partial.finish()
        except Inconsistent:
            self._forgive(partial.manifest.offer)
            raise Refused(0, _l("a manifest contradicts itself; its file is tried again later")) from None

    def _forgive(self, offer: Offer) -> None:
        self._forgiven[offer.id] = self._monotonic() + FORGIVE_S

    def _get_manifest(self, offer: Offer) -> Manifest:
        document = self.origin.get_json(f"/api/v1/mirror/files/{offer.id}/manifest").document
        found = shapes.manifest(document)
        if (found.offer.id, found.chunks.sha256, found.offer.bytes) != (offer.id, offer.sha256, offer.bytes):
            self._refreshed_s = None  # the file was made anew since the list was asked for
            raise BadDocument("the manifest is that of another file")
        return found

    def _most(self) -> int:
        """Wait until a read is due and say how much it may be. Raises Stopped."""
        while True:
            self._check_open()
            now_s = self._monotonic()
            wait_s = self._bucket.wait_s(now_s)
            if wait_s <= 0:
                return self._bucket.read_bytes(now_s)
            if self._wait(min(wait_s, 1.0)):
                raise Stopped

    def _check_open(self) -> None:
        subscription = self.state.subscription
        now = self.state.clock.now(self._local_now())
        if subscription is not None and not nightwindow.is_open(subscription.window, now, subscription.zone):
            raise Stopped
        left = self._left()
        if self._stop.is_set() or (left is not None and left <= 0) or self.folder.is_import_waiting():
            raise Stopped
        self._save()

    def _count(self, wire_bytes: int) -> None:
        self._bucket.spend(wire_bytes)
        self.state.usage = quota.Usage(self.state.usage.month, self.state.usage.wire_bytes + wire_bytes)
        if self.state.usage.wire_bytes > self._counted_bytes:
            self._counted_bytes = self.state.usage.wire_bytes + quota.AHEAD_BYTES
            self._write(self._counted_bytes)

    def _failed(self, text: str, detail: str = "") -> None:
        self._failures += 1
        self._not_before_s = self._monotonic() + action.pause_s(self._failures)
        if text != self.state.trouble:
            log.warning("%s", detail or text)
        self.state.trouble = text

    def _save(self, *, is_resting: bool = False) -> None:
        """Write the state every few seconds; with the exact count, and at once, when something else goes on now."""
        if is_resting and self.state.do != self._saved_do:
            self._counted_bytes = self.state.usage.wire_bytes
        elif is_resting or self._monotonic() - self._saved_s < SAVE_EVERY_S:
            return  # whoever sleeps changes nothing
        self._write(max(self._counted_bytes, self.state.usage.wire_bytes))

    def _write(self, counted_bytes: int) -> None:
        with contextlib.suppress(DiskFull):  # the count is in memory, and written when there is room
            self.state.save(self.folder, counted_bytes)
        self._saved_s, self._saved_do = self._monotonic(), self.state.do

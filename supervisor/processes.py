"""Start, watch, restart and stop the parts of one PC."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from supervisor.backoff import Backoff
from supervisor.guardian import Guardian, kill_group

PR_SET_PDEATHSIG = 1  # prctl(2)
LONGEST_LINE = 16_384
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when its parent is gone (prctl(2), Linux alone)."""
    _libc.prctl(PR_SET_PDEATHSIG, number)


def _begin(niceness: int) -> None:
    """Prepare a part's process between fork and exec."""
    die_with_parent()
    os.nice(niceness)


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep alive: how it is started, when it counts as ready, how it is stopped."""

    name: str
    argv: Sequence[str]
    stdin: bytes = field(default=b"", repr=False)
    ready: Callable[[], Awaitable[None]] | None = None
    stop_grace_s: float = 5.0
    longest_pause_s: float = 30.0
    once: bool = False  # its end is no death
    niceness: int = 0
    chatter: tuple[str, ...] = ()  # lines with one of these are not shown
    follows: str = ""  # restarted whenever the part of this name was restarted


class Supervisor:
    """Keeps stages of parts alive: a stage starts when the one before is ready, and stops before it."""

    def __init__(self, stages: Sequence[Sequence[Part]], environment: Mapping[str, str], guardian: Guardian) -> None:
        """Take the stages in starting order and the environment that every part gets."""
        self._stages = stages
        self._environment = dict(environment)
        self._guardian = guardian
        self._width = max(len(part.name) for stage in stages for part in stage)
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()

    def ask_to_stop(self) -> None:
        """Begin the orderly stop; asked twice, stop at once."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    async def run(self) -> None:
        """Start everything, keep it alive until asked to stop, then stop it all."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.ask_to_stop)
        try:
            for stage in self._stages:
                await self._start(stage)
            await self._stopping.wait()
        finally:
            self._stopping.set()
            await self._stop()

    async def _start(self, stage: Sequence[Part]) -> None:
        for part in stage:
            if not self._stopping.is_set():
                self._keepers[part.name] = asyncio.create_task(self._keep(part), name=part.name)
        waits = [part.ready() for part in stage if part.ready is not None]
        if waits:
            await self._until_stopping(asyncio.gather(*waits))

    async def _keep(self, part: Part) -> None:
        """Start one part again and again; the only place where its process is waited for."""
        backoff = Backoff(part.longest_pause_s)
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._live(part)
            if self._stopping.is_set() or (part.once and code == 0):
                return
            pause_s, backoff = backoff.after_death(time.monotonic() - started)
            again = f"starting it again in {pause_s:.0f} s" if pause_s else "starting it again"
            self.say("tropa", f"{part.name} ended ({describe(code)}); {again}")
            await self._until_stopping(asyncio.sleep(pause_s))

    async def _live(self, part: Part) -> int:
        """Run one part from start to end and return its exit code; what it left behind is killed.

        The pipes are our own: with those of asyncio the wait for the part would last until the last of its orphans
        has closed its standard output.
        """
        reading, writing = os.pipe()
        stdin = _filled_pipe(part.stdin) if part.stdin else os.open(os.devnull, os.O_RDONLY)
        try:
            process = await asyncio.create_subprocess_exec(
                *part.argv,
                stdin=stdin,
                stdout=writing,
                stderr=writing,
                env=self._environment,
                # A group of its own keeps the terminal's Ctrl-C away from it: the order of stopping is decided here.
                start_new_session=True,
                preexec_fn=partial(_begin, part.niceness),
            )
        except OSError as error:
            os.close(reading)
            self.say("tropa", f"{part.name} could not be started: {error}")
            return 127
        finally:
            os.close(writing)
            os.close(stdin)
        self._guardian.add(process.pid)
        self._processes[part.name] = process
        self._restart_followers(part.name)
        log = asyncio.create_task(self._relay(part, reading))
        try:
            return await process.wait()
        finally:
            del self._processes[part.name]
            kill_group(process.pid, signal.SIGKILL)
            self._guardian.remove(process.pid)
            await log

    def _restart_followers(self, name: str) -> None:
        for stage in self._stages:
            for part in stage:
                if part.follows == name and part.name in self._processes:
                    kill_group(self._processes[part.name].pid, signal.SIGKILL)

    async def _relay(self, part: Part, reading: int) -> None:
        """Print what a part says, line by line; a line without end is cut, not collected."""
        stream = asyncio.StreamReader(limit=LONGEST_LINE)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", buffering=0)
        )
        rest = b""
        while chunk := await stream.read(LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                text = line.decode("utf-8", "replace").rstrip("\r")
                if text.strip() and not any(words in text for words in part.chatter):
                    self.say(part.name, text)
            if len(rest) > LONGEST_LINE:
                self.say(part.name, rest.decode("utf-8", "replace"))
                rest = b""
        if rest:
            self.say(part.name, rest.decode("utf-8", "replace"))

    def say(self, name: str, line: str) -> None:
        """Print one line under a part's name."""
        try:
            print(f"{name:<{self._width}} | {line}", flush=True)
        except OSError:
            # The terminal or pipe behind standard output is gone, and the person with it.
            sys.stdout = None
            self._stopping.set()

    async def _until_stopping(self, work: Awaitable[object]) -> None:
        """Wait for some work, but no longer than the service runs."""
        tasks = {asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stop(self) -> None:
        """Stop the last stage first; whoever does not stop in time is killed."""
        for stage in reversed(self._stages):
            await asyncio.gather(*(self._end(part) for part in stage if part.name in self._keepers))

    async def _end(self, part: Part) -> None:
        keeper = self._keepers[part.name]
        process = self._processes.get(part.name)
        if process is not None:
            if part.stop_grace_s and not self._hurry.is_set():
                # To the leader alone: a worker's pool must finish its task, and hears of the stop from its leader.
                process.terminate()
                hurry = asyncio.create_task(self._hurry.wait())
                await asyncio.wait({keeper, hurry}, timeout=part.stop_grace_s, return_when=asyncio.FIRST_COMPLETED)
                hurry.cancel()
            if not keeper.done():
                kill_group(process.pid, signal.SIGKILL)
        await keeper


def _filled_pipe(content: bytes) -> int:
    """Return the reading end of a pipe that holds some bytes (fewer than PIPE_BUF, so that writing cannot block)."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading


def describe(code: int) -> str:
    """Return in words how a process ended; negative codes are signals (subprocess convention)."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"

"""Check the link emulator itself: `python -m bench.linkaccuracy`: rate within 1 %, delay within 2 ms, loss as asked.

Sends UDP through real TUN devices between two namespaces and compares what comes out with what was asked for. On a
busy machine the delay's tail says how busy; the median is the emulator's own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench import linkspace
from bench.linkspace import SERVER_IP, Seat

PORT = 22190
SINK = """
import json, socket, struct, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
sock.bind(("0.0.0.0", int(sys.argv[1])))
print("there", flush=True)
sock.settimeout(float(sys.argv[2]))
seen = []
try:
    while True:
        data = sock.recv(2048)
        number, sent = struct.unpack_from("!Id", data)
        if number == 0xFFFFFFFF:
            break
        seen.append((number, sent, time.monotonic(), len(data) + 28))
except TimeoutError:
    pass
print(json.dumps(seen))
"""
SOURCE = """
import socket, struct, sys, time
host, port, count, size, gap = sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start = time.monotonic()
for number in range(int(count)):
    time.sleep(max(0.0, start + number * gap - time.monotonic()))
    sock.sendto(struct.pack("!Id", number, time.monotonic()).ljust(int(size) - 28, b"x"), (host, port))
"""


def send(seat: Seat, count: int, size: int, gap_s: float, *, up: bool = False, silence_s: float = 3.0) -> list[list]:
    """Send UDP packets of a size (IP level) through a link; return [number, sent_s, received_s, size] as they came."""
    sink = [sys.executable, "-c", SINK, str(PORT), str(silence_s)]
    target = SERVER_IP if up else seat.address
    source = [sys.executable, "-c", SOURCE, target, str(PORT), str(count), str(size), str(gap_s)]
    if up:
        source = seat.command(*source)
    else:
        sink = seat.command(*sink)
    with subprocess.Popen(sink, stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout is not None
        listening.stdout.readline()
        subprocess.run(source, check=True)
        return json.loads(listening.stdout.read())


def measured_rate_bps(seen: list[list]) -> float:
    """Return the rate at which a saturated link let packets out."""
    return sum(size for *_rest, size in seen[1:]) * 8 / (seen[-1][2] - seen[0][2])


def main() -> int:
    """Measure and print; 1 when something is beyond its limit."""
    linkspace.enter("bench.linkaccuracy", sys.argv[1:])
    bad = False
    for rate_kbps, size in ((64, 300), (512, 1200), (1000, 1200)):
        with Seat(1, f"rate={rate_kbps},queue=60000", f"rate={rate_kbps}") as seat:
            count = rate_kbps * 1000 * 6 // (size * 8)
            seen = send(seat, count, size, size * 8 / (rate_kbps * 1200))
        rate = measured_rate_bps(seen)
        error = rate / (rate_kbps * 1000) - 1
        bad |= abs(error) > 0.01 or len(seen) != count
        print(f"rate {rate_kbps} kbit/s: {rate / 1000:.2f} ({error:+.2%}), {len(seen)} of {count} packets")
    for delay_ms in (40, 300):
        with Seat(1, f"rate=100000,delay={delay_ms}", "rate=100000") as seat:
            seen = send(seat, 200, 200, 0.01)
        late_ms = sorted((got - sent) * 1000 - delay_ms for _number, sent, got, _size in seen)
        middle, worst = statistics.median(late_ms), late_ms[int(len(late_ms) * 0.95)]
        bad |= middle > 2
        print(f"delay {delay_ms} ms: late by {middle:.2f} ms in the middle, {worst:.2f} at the 95th percentile")
    with Seat(1, "rate=100000,loss=2,burst=3", "rate=100000") as seat:
        count = 5000
        got = len(send(seat, count, 100, 0.0005))
    print(f"loss 2 % in bursts of 3: {1 - got / count:.2%} of {count} packets")
    print(f"load of the machine meanwhile: {Path('/proc/loadavg').read_text().split()[0]} at {time.strftime('%H:%M')}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

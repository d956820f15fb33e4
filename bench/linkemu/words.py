"""Pure: links in words: "rate=64,delay=40,loss=2,burst=3,queue=400" and back to a value; also changes in mid-run."""

from __future__ import annotations

from collections.abc import Callable

from bench.linkemu.link import LinkSpec
from bench.linkemu.loss import Loss
from bench.linkemu.trace import parse_trace

HELP = (
    "rate=KBIT/S or trace=FILE, delay=MS, jitter=MS, loss=PERCENT, burst=PACKETS (mean), queue=MS or queue_bytes=BYTES,"
    " block=udp|none"
)


class WordsError(ValueError):
    """Words that name no link; the text says which."""


def parse_fields(words: str, read_file: Callable[[str], str]) -> dict[str, object]:
    """Turn words into fields of LinkSpec, only those that were named. Raises WordsError, TraceError, OSError."""
    fields: dict[str, object] = {}
    loss: dict[str, float] = {}
    for word in filter(None, words.split(",")):
        name, _, value = word.partition("=")
        if name == "trace":
            fields["trace"] = parse_trace(read_file(value))
        elif name == "block" and value in ("udp", "none"):
            fields["udp_blocked"] = value == "udp"
        elif name in ("loss", "burst"):
            loss[name] = _number(word, value)
        else:
            fields.update(_measure(name, word, value))
    if loss:
        fields["loss"] = Loss(loss.get("loss", 0.0) / 100, loss.get("burst", 1.0))
    return fields


def parse_link(words: str, read_file: Callable[[str], str]) -> LinkSpec:
    """Turn words into a link. Raises WordsError, TraceError, OSError, ValueError."""
    return LinkSpec(**parse_fields(words, read_file))


def _measure(name: str, word: str, value: str) -> dict[str, object]:
    number = _number(word, value)
    match name:
        case "rate":
            return {"rate_bps": number * 1000}
        case "delay":
            return {"delay_s": number / 1000}
        case "jitter":
            return {"jitter_s": number / 1000}
        case "queue":
            return {"queue_s": number / 1000}
        case "queue_bytes":
            return {"queue_bytes": int(number)}
    raise WordsError(f"{word!r} is unknown; use {HELP}")


def _number(word: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise WordsError(f"{word!r} needs a number; use {HELP}") from None

"""A podcast feed of lessons: RSS 2.0 with enclosures and the tags that podcast programs read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from feedgen.feed import FeedGenerator


@dataclass(frozen=True, slots=True)
class Episode:
    """One file as podcast programs show it; `guid` never changes, `duration_s` is None where unknown."""

    guid: str
    title: str
    description: str
    author: str
    page_url: str
    file_url: str
    bytes: int
    content_type: str
    published_at: datetime
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Channel:
    """What the feed as a whole says of itself; `begun_at` is when its address was made."""

    title: str
    description: str
    url: str
    self_url: str
    language: str
    begun_at: datetime


def rss(channel: Channel, episodes: list[Episode]) -> bytes:
    """Write the feed, the episodes in the order given. It is a person's own: directories are asked to leave it out."""
    feed = FeedGenerator()
    feed.load_extension("podcast")
    feed.title(_printable(channel.title))
    feed.link(href=channel.self_url, rel="self", type="application/rss+xml")
    feed.link(href=channel.url, rel="alternate")
    feed.description(_printable(channel.description))
    feed.language(channel.language)
    feed.generator("Tropa")
    feed.podcast.itunes_author(_printable(channel.title))
    feed.podcast.itunes_category("Education")
    feed.podcast.itunes_explicit("no")
    feed.podcast.itunes_block(True)
    # Not the present moment, so that an unchanged feed stays the same to the byte and costs a 304.
    feed.lastBuildDate(max((episode.published_at for episode in episodes), default=channel.begun_at))
    for episode in episodes:
        _add(feed, episode)
    return feed.rss_str(pretty=False)


def _add(feed: FeedGenerator, episode: Episode) -> None:
    entry = feed.add_entry(order="append")
    entry.guid(episode.guid, permalink=False)
    entry.title(_printable(episode.title))
    entry.description(_printable(episode.description))
    entry.link(href=episode.page_url)
    entry.pubDate(episode.published_at)
    # RSS knows a type without parameters: audio/ogg, not audio/ogg; codecs=opus.
    entry.enclosure(episode.file_url, str(episode.bytes), episode.content_type.partition(";")[0])
    entry.podcast.itunes_author(_printable(episode.author))
    if episode.duration_s is not None:
        whole = round(episode.duration_s)
        entry.podcast.itunes_duration(f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}")


def _printable(text: str) -> str:
    """Leave out what XML 1.0 cannot hold; a title typed long ago must not cost the whole feed."""
    return "".join(char for char in text if char in "\n\t" or (ord(char) >= 32 and char not in "\ufffe\uffff")) or " "

"""Sessions without processes: FLV files played into them on a clock that the test steps, and what they published."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from config.session import Message, SessionSpec
from packager.playlists import media_playlist
from packager.presentation import Presentation
from packager.records import decode_record
from transcode.flv import TAG_AUDIO, FlvReader, FlvTag
from transcode.session import Session
from transcode.source import SessionClock

EDGE_ID = "lse_" + "e" * 26
SESSION_ID = "se_" + "s" * 26


class SteppedClock(SessionClock):
    """Session time is what the test says it is."""

    def __init__(self, *, correct_drift: bool) -> None:
        super().__init__(correct_drift=correct_drift)
        self.at_s = 0.0

    def now_s(self) -> float:
        return self.at_s

    def go_to(self, session_s: float) -> None:
        """It is this late now."""
        self.at_s = max(self.at_s, session_s)


class FastClock(SessionClock):
    """Session time that runs faster than ours, for sessions that work on threads of their own."""

    def __init__(self, speed: float) -> None:
        super().__init__(correct_drift=True)
        self._speed = speed
        self._began_s = time.monotonic()

    def now_s(self) -> float:
        return (time.monotonic() - self._began_s) * self._speed

    def seconds_until(self, session_s: float) -> float:
        return (session_s - self.now_s()) / self._speed

    def go_to(self, session_s: float) -> None:
        """Wait until it is this late."""
        time.sleep(max(0.0, self.seconds_until(session_s)))


def session_spec(media_dir: Path, quality: str, window_s: float = 600.0, slate_image: str = "") -> SessionSpec:
    """A stream with the default durations."""
    return SessionSpec(
        stream_id="ls_" + "s" * 26,
        edge_id=EDGE_ID,
        session_id=SESSION_ID,
        quality=quality,
        low_latency=True,
        media_dir=str(media_dir),
        segment_s=2.0,
        part_s=0.333,
        window_s=window_s,
        slate_image=slate_image,
    )


Change = Callable[[FlvTag], FlvTag | None]
"""What becomes of a tag on its way; None leaves it out."""


def tags_of(path: Path) -> list[FlvTag]:
    """The tags of a file, in the order of their timestamps."""
    tags = list(FlvReader().feed(path.read_bytes()))
    return sorted(tags, key=lambda tag: tag.timestamp_ms)


def moved(by_ms: int) -> Change:
    """Every timestamp this much later, modulo 2^32."""
    return lambda tag: replace(tag, timestamp_ms=(tag.timestamp_ms + by_ms) % (1 << 32))


def without_sound(tag: FlvTag) -> FlvTag | None:
    """Pictures only."""
    return None if tag.kind == TAG_AUDIO else tag


FILE_HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"


def tag_bytes(tag: FlvTag) -> bytes:
    """A tag as it is in a file."""
    size, at = len(tag.body).to_bytes(3, "big"), tag.timestamp_ms.to_bytes(4, "big")
    header = bytes([tag.kind]) + size + at[1:] + at[:1] + bytes(3)
    return header + tag.body + (11 + len(tag.body)).to_bytes(4, "big")


class Player:
    """Plays tags into a session, each when it is due."""

    def __init__(self, session: Session, clock: SteppedClock | FastClock) -> None:
        self._session = session
        self.clock = clock
        self._due_s = 0.0

    def connect(self) -> None:
        """A new encoder connection."""
        self._session.connected("flv")
        self._session.feed(memoryview(FILE_HEADER))

    def play(self, path: Path, seconds: float, from_s: float = 0.0, change: Change = lambda tag: tag) -> None:
        """So many seconds of a file, over the current connection."""
        start_s = self._due_s
        for tag in tags_of(path):
            due_s = tag.timestamp_ms / 1000 - from_s
            if due_s >= seconds or (due_s < 0 and not is_configuration(tag)):
                continue
            self.clock.go_to(start_s + due_s)
            if (changed := change(tag)) is not None:
                self._session.feed(memoryview(tag_bytes(changed)))
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        """Nothing is sent for so long."""
        self._due_s += seconds
        self.clock.go_to(self._due_s)

    def drop(self, away_s: float) -> None:
        """The connection is gone, and nobody is there for so long."""
        self._session.disconnected()
        self.wait(away_s)


def is_configuration(tag: FlvTag) -> bool:
    """Whether a tag holds a decoder configuration (AVC, AAC)."""
    return tag.body[:1] in (b"\x17", b"\xaf") and tag.body[1:2] == b"\0"


@dataclass(frozen=True, slots=True)
class Published:
    """What a session has left in its directory."""

    directory: Path
    presentation: Presentation

    def playlist(self, name: str) -> str:
        """The media playlist of a rendition."""
        return media_playlist(self.presentation, name)

    def names(self) -> set[str]:
        """The renditions."""
        return set(self.presentation.renditions)

    def runs(self, name: str) -> Iterator[bytes]:
        """The media of a rendition, from init segment to init segment."""
        init, data = "", b""
        for segment in self.presentation.renditions[name].segments:
            if segment.init != init:
                if data:
                    yield data
                init, data = segment.init, (self.directory / name / segment.init).read_bytes()
            if not segment.gap:
                data += (self.directory / name / f"{segment.msn}.m4s").read_bytes()
        yield data

    def video(self, name: str) -> Iterator[VideoFrame]:
        """Every picture, decoded."""
        for run in self.runs(name):
            with av.open(io.BytesIO(run), "r") as container:
                yield from container.decode(video=0)

    def audio(self) -> list[AudioFrame]:
        """Every audio frame, decoded."""
        return [frame for run in self.runs("audio") for frame in _decode_audio(run)]


def _decode_audio(data: bytes) -> list[AudioFrame]:
    with av.open(io.BytesIO(data), "r") as container:
        return list(container.decode(audio=0))


def published(media_dir: Path) -> Published:
    """What the session has published so far."""
    directory = media_dir / EDGE_ID / SESSION_ID
    presentation = Presentation()
    presentation.feed(decode_record(line) for line in (directory / "journal.jsonl").read_bytes().splitlines())
    return Published(directory, presentation)


def published_since(media_dir: Path, msn: int) -> tuple[Published, int]:
    """What the session has published in whole segments after this one, and the last of them."""
    found = published(media_dir)
    renditions = found.presentation.renditions.values()
    last = min(max((s.msn for s in rendition.segments if s.complete), default=msn) for rendition in renditions)
    for rendition in renditions:
        kept = [segment for segment in rendition.segments if msn < segment.msn <= last]
        rendition.segments.clear()
        rendition.segments.extend(kept)
    return found, last


def ignore(message: Message) -> None:
    """A report that nobody hears."""

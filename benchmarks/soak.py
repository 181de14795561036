"""Half an hour of a stream whose encoder drops all the time, in a few minutes: memory, files and sync must stay flat.

A real session worker, with one thing replaced: its session clock runs faster than ours. Encoders of several shapes, as
FLV and as MPEG-TS, come and go at random. Every half minute of session time the worker's memory and open files are
noted, and flashes and tones are looked for in everything that it has published since.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.report import Figure, print_figures
from config.session import Connect, Container, End, Open, decode_message, encode_message
from tests.av_sync import flashing_clip, offsets_s
from tests.clips import FFMPEG
from tests.transcode.sessions import (
    FILE_HEADER,
    SESSION_ID,
    FastClock,
    moved,
    published_since,
    session_spec,
    tag_bytes,
    tags_of,
)

SPEED = 5.0
LONGEST_S = 20.0
_LOOK_EVERY_S = 30.0
_CLIP_S = 25.0
_PACKET_BYTES = 188 * 7
SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"size": "256x144", "fps": "25", "gop_frames": 25},
    {"size": "320x240", "audio_rate_hz": 44_100},
    {"fps": "60", "gop_frames": 60, "audio_rate_hz": 22_050},
    {"size": "180x320", "fps": "24", "gop_frames": 24},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found after so much session time."""

    at_s: float
    drops: int
    rss_mb: float
    fds: int
    offsets_ms: list[float]

    @property
    def worst_ms(self) -> float:
        """The offset of sound and picture that is farthest from none."""
        return max(self.offsets_ms, key=abs, default=0.0)


def _worker(control: socket.socket, speed: float) -> None:
    """The real session worker on a faster clock."""
    from transcode import ladder_session, worker

    setattr(ladder_session, "SessionClock", lambda correct_drift: FastClock(speed))  # noqa: B010
    worker.main(control)


def clips(directory: Path, seconds: float = _CLIP_S) -> list[Path]:
    """The sources: one FLV file of each shape, and the first as MPEG-TS."""
    found = [flashing_clip(directory / f"{index}.flv", seconds=seconds, **shape) for index, shape in enumerate(SHAPES)]
    stream = directory / "0.ts"
    subprocess.run([FFMPEG, "-v", "error", "-i", str(found[0]), "-c", "copy", str(stream)], check=True)
    return [*found, stream]


class Soak:
    """One session in a worker of its own. Times are session times."""

    def __init__(self, directory: Path, speed: float, seed: int) -> None:
        self._media_dir = directory / "media"
        self._clips = clips(directory)
        self._random = random.Random(seed)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_worker, args=(theirs, speed), daemon=True)
        self._process.start()
        theirs.close()
        self._seen_msn = -1
        self.drops = 0
        self._send(Open(spec=session_spec(self._media_dir, "standard", window_s=120.0)))
        self._clock = FastClock(speed)

    def run(self, seconds: float, longest_s: float) -> list[Look]:
        """Play for so long, with drops; what was seen on the way. No connection lasts longer than `longest_s`."""
        looks: list[Look] = []
        until_s = self._clock.now_s() + seconds
        while (now_s := self._clock.now_s()) < until_s:
            self._play(self._random.choice(self._clips), min(self._random.uniform(0.5, longest_s), until_s - now_s))
            self.drops += 1
            self._clock.go_to(self._clock.now_s() + self._random.choice([0.0, 0.1, 0.5, 1.0, 3.0, 8.0]))
            if now_s - (looks[-1].at_s if looks else 0.0) >= _LOOK_EVERY_S:
                looks.append(self._look())
                print(row(looks[-1]), flush=True)
        return [*looks, self._look()]

    def close(self) -> None:
        """End the session, and the worker with it."""
        self._send(End(session_id=SESSION_ID))
        while decode_message(self._control.recv(1 << 16)).type != "ended":
            pass
        self._control.close()
        self._process.join(10)

    def _play(self, clip: Path, seconds: float) -> None:
        """One connection; its socket is closed in the middle of whatever it sends."""
        container: Container = "mpegts" if clip.suffix == ".ts" else "flv"
        ours, theirs = socket.socketpair()
        message = Connect(session_id=SESSION_ID, connection_id=str(self.drops), container=container)
        socket.send_fds(self._control, [encode_message(message)], [theirs.fileno()])
        theirs.close()
        start_s = self._clock.now_s()
        with ours:
            if container == "flv":
                ours.sendall(FILE_HEADER)
                change = moved(self._random.randrange(1 << 32))
                pieces = [(tag.timestamp_ms / 1000, tag_bytes(change(tag) or tag)) for tag in tags_of(clip)]
            else:
                data = clip.read_bytes()
                steps = range(0, len(data), _PACKET_BYTES)
                pieces = [(at / len(data) * _CLIP_S, data[at : at + _PACKET_BYTES]) for at in steps]
            for due_s, piece in pieces:
                if due_s >= seconds:
                    break
                self._clock.go_to(start_s + due_s)
                ours.sendall(piece)

    def _look(self) -> Look:
        process = psutil.Process(self._process.pid)
        found, self._seen_msn = published_since(self._media_dir, self._seen_msn)
        sound = found.audio()
        names = found.names() - {"audio"}
        offsets = [offset for name in names for _at, offset in offsets_s(found.video(name), sound)]
        return Look(
            at_s=self._clock.now_s(),
            drops=self.drops,
            rss_mb=process.memory_info().rss / 1e6,
            fds=process.num_fds(),
            offsets_ms=[offset * 1000 for offset in offsets],
        )

    def _send(self, message: Open | End) -> None:
        self._control.send(encode_message(message))


def row(look: Look) -> str:
    """A line of the table."""
    bar = "#" * round(look.rss_mb / 4)
    minutes = look.at_s / 60
    return (
        f"{minutes:6.1f} min  {look.drops:4d} drops  {look.fds:3d} files  {len(look.offsets_ms):3d} flashes  "
        f"{look.worst_ms:+6.1f} ms  {look.rss_mb:6.1f} MB {bar}"
    )


def figures(looks: list[Look]) -> list[Figure]:
    """What must be flat: the last third against the second."""
    third = max(1, len(looks) // 3)
    middle, last = looks[third : 2 * third] or looks[:1], looks[-third:]
    grown_mb = median(look.rss_mb for look in last) - median(look.rss_mb for look in middle)
    offsets_ms = [offset for look in looks for offset in look.offsets_ms]
    worst_ms = max(abs(offset) for offset in offsets_ms)
    more_fds = max(look.fds for look in last) - max(look.fds for look in middle)
    return [
        Figure(
            name="sound and picture apart at most",
            value=worst_ms,
            unit="ms",
            at_most=40.0,
            note=f"{len(offsets_ms)} flashes",
        ),
        Figure(name="memory grown", value=grown_mb, unit="MB", at_most=4.0, note="last third against the second"),
        Figure(name="open files grown", value=more_fds, unit="", at_most=2.0),
        Figure(name="drops", value=looks[-1].drops, unit=""),
    ]


def soak(
    directory: Path, minutes: float, speed: float = SPEED, seed: int = 1, longest_s: float = LONGEST_S
) -> list[Look]:
    """Everything that was seen, every half minute and at the end."""
    run = Soak(directory, speed, seed)
    try:
        return run.run(minutes * 60, longest_s)
    finally:
        run.close()


def main() -> None:
    """Exits with 1 when something is not flat."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="session time (default %(default)s)")
    parser.add_argument("--speed", type=float, default=SPEED, help="of the session's clock (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the drops (default %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="antlive-soak-") as directory:
        looks = soak(Path(directory), options.minutes, options.speed, options.seed)
    found = figures(looks)
    print_figures(found)
    sys.exit(any(figure.verdict == "short" for figure in found))


if __name__ == "__main__":
    main()

"""Mutated uploads: real FLV and MPEG-TS of ffmpeg's, cut, flipped, repeated, reordered and spliced by a seed."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from config.session import Container
from tests.clips import FFMPEG

SOURCES: dict[str, tuple[Container, tuple[str, ...]]] = {
    "avc-aac.flv": ("flv", ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac")),
    "avc-mp3.flv": ("flv", ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "libmp3lame", "-ar", "44100")),
    "hevc-aac.flv": (
        "flv",
        ("-c:v", "libx265", "-x265-params", "log-level=error", "-c:a", "aac"),
    ),
    "vp9-opus.flv": ("flv", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")),
    "avc-aac.ts": ("mpegts", ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac")),
    "hevc-ac3.ts": ("mpegts", ("-c:v", "libx265", "-x265-params", "log-level=error", "-c:a", "ac3")),
    "avc-opus.ts": ("mpegts", ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "libopus")),
    "avc-mp2.ts": ("mpegts", ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "mp2")),
}
TS_PACKET_BYTES = 188


@dataclass(frozen=True, slots=True)
class Upload:
    """What an encoder might send. `name` says how to make it again."""

    name: str
    container: Container
    data: bytes


def originals(directory: Path) -> list[Upload]:
    """Two seconds of a small picture with sound, in every kind of upload."""
    found = []
    for name, (container, options) in SOURCES.items():
        path = directory / name
        if not path.is_file():
            command = [FFMPEG, "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10"]
            command += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "2", "-pix_fmt", "yuv420p"]
            command += ["-g", "10", *options, "-f", container, str(path)]
            subprocess.run(command, check=True, timeout=60)
        found.append(Upload(name, container, path.read_bytes()))
    return found


def mutated(uploads: list[Upload], count: int, seed: int = 1) -> Iterator[Upload]:
    """`count` mutations, the same for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        upload = uploads[number % len(uploads)]
        how = chance.choice(list(_MUTATIONS))
        pieces = _tags(upload.data) if upload.container == "flv" else _packets(upload.data)
        data = _MUTATIONS[how](chance, pieces)
        yield Upload(f"{upload.name} #{number} {how}", upload.container, data)


def _tags(data: bytes) -> list[bytes]:
    """The header and the tags of an FLV file, each with its trailing size."""
    pieces, at = [data[:13]], 13
    while at + 11 <= len(data):
        end = at + 11 + int.from_bytes(data[at + 1 : at + 4], "big") + 4
        pieces.append(data[at:end])
        at = end
    return pieces


def _packets(data: bytes) -> list[bytes]:
    return [data[at : at + TS_PACKET_BYTES] for at in range(0, len(data), TS_PACKET_BYTES)]


def _flip(chance: random.Random, pieces: list[bytes]) -> bytes:
    data = bytearray(b"".join(pieces))
    for _ in range(chance.randint(1, 60)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def _flip_in_headers(chance: random.Random, pieces: list[bytes]) -> bytes:
    """Where a parser looks: the first bytes of a tag or packet, and of what is in it."""
    changed = list(pieces)
    for _ in range(chance.randint(1, 20)):
        index = chance.randrange(len(changed))
        piece = bytearray(changed[index])
        if piece:
            piece[chance.randrange(min(len(piece), 24))] = chance.randrange(256)
        changed[index] = bytes(piece)
    return b"".join(changed)


def _truncate(chance: random.Random, pieces: list[bytes]) -> bytes:
    data = b"".join(pieces)
    return data[: chance.randrange(1, len(data))]


def _drop(chance: random.Random, pieces: list[bytes]) -> bytes:
    return pieces[0] + b"".join(piece for piece in pieces[1:] if chance.random() > 0.2)


def _repeat(chance: random.Random, pieces: list[bytes]) -> bytes:
    return pieces[0] + b"".join(piece * chance.choice((1, 1, 1, 2, 5)) for piece in pieces[1:])


def _shuffle(chance: random.Random, pieces: list[bytes]) -> bytes:
    rest = pieces[1:]
    for _ in range(chance.randint(1, 12)):
        one, other = chance.randrange(len(rest)), chance.randrange(len(rest))
        rest[one], rest[other] = rest[other], rest[one]
    return pieces[0] + b"".join(rest)


def _splice(chance: random.Random, pieces: list[bytes]) -> bytes:
    """Noise in the middle, or a piece of the upload where it does not belong."""
    data = b"".join(pieces)
    at = chance.randrange(len(data))
    start = chance.randrange(len(data))
    size_bytes = chance.randint(1, 400)
    noise = chance.randbytes(size_bytes) if chance.random() < 0.5 else data[start : start + size_bytes]
    return data[:at] + noise + data[at:]


def _shorten(chance: random.Random, pieces: list[bytes]) -> bytes:
    """Pieces that end early; for a tag with the sizes put right, so that what is inside is what is wrong."""
    changed = list(pieces)
    for _ in range(chance.randint(1, 10)):
        index = chance.randrange(1, len(changed))
        piece = changed[index]
        if len(piece) > 16 and len(piece) != TS_PACKET_BYTES:
            body = piece[11 : 11 + chance.randrange(len(piece) - 15)]
            changed[index] = (
                piece[:1] + len(body).to_bytes(3, "big") + piece[4:11] + body + struct.pack(">I", 11 + len(body))
            )
        else:
            changed[index] = piece[: chance.randrange(len(piece) + 1)]
    return b"".join(changed)


def _move_in_time(chance: random.Random, pieces: list[bytes]) -> bytes:
    """Timestamps that jump anywhere; in MPEG-TS, bytes where they lie."""
    changed = list(pieces)
    for _ in range(chance.randint(1, 10)):
        index = chance.randrange(1, len(changed))
        piece = bytearray(changed[index])
        places = range(4, 8) if len(piece) != TS_PACKET_BYTES else range(12, 24)
        for place in places:
            if place < len(piece):
                piece[place] = chance.randrange(256)
        changed[index] = bytes(piece)
    return b"".join(changed)


_MUTATIONS: dict[str, Callable[[random.Random, list[bytes]], bytes]] = {
    "flip": _flip,
    "flip in headers": _flip_in_headers,
    "truncate": _truncate,
    "drop": _drop,
    "repeat": _repeat,
    "shuffle": _shuffle,
    "splice": _splice,
    "shorten": _shorten,
    "move in time": _move_in_time,
}

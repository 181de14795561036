"""A moving test picture with a clock that people and programs can read.

The clock stands in the picture twice: as digits, and as a strip of black and white cells along the bottom that holds
the Unix time in milliseconds (48 bits, most significant first, then their parity bit). A program that sees the
picture anywhere behind the encoder reads the strip and knows how old the picture is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

CLOCK_BITS = 48
STRIP_CELLS = CLOCK_BITS + 1
STRIP_HEIGHT_SHARE = 12
"""The strip is 1/12 of the picture's height."""
_BLACK, _WHITE = 16, 235
# Which of the seven segments (top, top right, bottom right, bottom, bottom left, top left, middle) each digit lights.
_SEGMENTS = (
    "1111110",
    "0110000",
    "1101101",
    "1111001",
    "0110011",
    "1011011",
    "1011111",
    "1110000",
    "1111111",
    "1111011",
)


class TestPattern:
    """Draws frames of one size into yuv420p planes."""

    __test__ = False

    def __init__(self, width_px: int, height_px: int, frames_per_s: int) -> None:
        self._width_px = width_px
        self._height_px = height_px
        self._frames_per_s = frames_per_s
        self._bars = _colour_bars(width_px, height_px)
        columns = np.arange(width_px)
        rows = np.arange(height_px)[:, None]
        self._texture = ((columns * 3 + rows * 5) % 64 + 96).astype(np.uint8)

    def frame(self, index: int, unix_ms: int) -> NDArray[np.uint8]:
        """Frame number `index` as an array of shape (height * 3 / 2, width): the planes of yuv420p in one piece."""
        height, width = self._height_px, self._width_px
        picture = self._bars.copy()
        luma = picture[:height]
        # Detail that moves by a few pixels each frame, as a panning camera would.
        band = slice(height // 3, height * 2 // 3)
        luma[band] = np.roll(self._texture[band], index * max(1, width // 320), axis=1)
        self._ball(luma, index)
        self._digits(luma, unix_ms)
        self._strip(luma, unix_ms)
        return picture

    def _ball(self, luma: Plane, index: int) -> None:
        size = self._height_px // 8
        span_x, span_y = self._width_px - size, self._height_px // 3 - size // 2
        x = abs((index * self._width_px // (4 * self._frames_per_s)) % (2 * span_x) - span_x)
        y = self._height_px // 3 + abs((index * 3) % max(1, 2 * (span_y - size)) - (span_y - size))
        luma[y : y + size, x : x + size] = _WHITE

    def _digits(self, luma: Plane, unix_ms: int) -> None:
        seconds, ms = divmod(unix_ms % 86_400_000, 1000)
        text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
        size = max(8, self._height_px // 12)
        x, y = size // 2, size // 2
        luma[y - size // 4 : y + size + size // 4, x // 2 : x + int(len(text) * size * 0.75)] = _BLACK
        for character in text:
            if character.isdigit():
                _seven_segments(luma, x, y, size, _SEGMENTS[int(character)])
                x += int(size * 0.8)
            else:
                dot = max(2, size // 8)
                luma[y + size - dot : y + size, x : x + dot] = _WHITE
                if character == ":":
                    luma[y + size // 3 : y + size // 3 + dot, x : x + dot] = _WHITE
                x += int(size * 0.35)

    def _strip(self, luma: Plane, unix_ms: int) -> None:
        top = self._height_px - self._height_px // STRIP_HEIGHT_SHARE
        bits = [unix_ms >> (CLOCK_BITS - 1 - place) & 1 for place in range(CLOCK_BITS)]
        bits.append(sum(bits) & 1)
        edges = np.linspace(0, self._width_px, STRIP_CELLS + 1).astype(int)
        for bit, left, right in zip(bits, edges, edges[1:], strict=False):
            luma[top:, left:right] = _WHITE if bit else _BLACK


def read_clock(luma: Plane) -> int | None:
    """The Unix time in milliseconds of a picture's clock strip, or None when the strip is not readable."""
    height, width = luma.shape
    row = luma[height - height // STRIP_HEIGHT_SHARE // 2]
    cells = [int(row[int((cell + 0.5) * width / STRIP_CELLS)] > 125) for cell in range(STRIP_CELLS)]
    if sum(cells[:-1]) & 1 != cells[-1] or not any(cells):  # a black picture is no clock
        return None
    return int("".join(map(str, cells[:-1])), 2)


def beep(second_sample: int, count: int, sample_rate_hz: int) -> NDArray[np.float32]:
    """`count` samples of the sound, stereo (2, count): 100 ms of 1 kHz at the start of every second, else silence."""
    at = np.arange(second_sample, second_sample + count)
    tone = 0.2 * np.sin(2 * np.pi * 1000 * at / sample_rate_hz) * ((at % sample_rate_hz) < sample_rate_hz // 10)
    return np.stack([tone, tone]).astype(np.float32)


def _colour_bars(width_px: int, height_px: int) -> NDArray[np.uint8]:
    """Eight colour bars (ITU-R BT.601, 75 %) as one yuv420p array."""
    y = (180, 162, 131, 112, 84, 65, 35, 16)
    u = (128, 44, 156, 72, 184, 100, 212, 128)
    v = (128, 142, 44, 58, 198, 212, 114, 128)
    chroma_w, chroma_h = width_px // 2, height_px // 2
    luma = np.repeat(_bar_row(y, width_px), height_px, axis=0)
    planes = [luma.reshape(-1)]
    for values in (u, v):
        chroma = np.repeat(_bar_row(values, chroma_w), chroma_h, axis=0)
        # No colour under the clock, so that black is black and white is white there.
        chroma[-(chroma_h // STRIP_HEIGHT_SHARE + 1) :] = 128
        chroma[: chroma_h // 6, : chroma_w // 2] = 128
        planes.append(chroma.reshape(-1))
    return np.concatenate(planes).reshape(height_px * 3 // 2, width_px)


def _bar_row(values: tuple[int, ...], width_px: int) -> NDArray[np.uint8]:
    return np.array([[values[x * len(values) // width_px] for x in range(width_px)]], dtype=np.uint8)


def _seven_segments(luma: Plane, x: int, y: int, size: int, lit: str) -> None:
    w, half, t = int(size * 0.55), size // 2, max(2, size // 8)
    boxes = (
        (0, 0, w, t), (w - t, 0, w, half), (w - t, half, w, size), (0, size - t, w, size),
        (0, half, t, size), (0, 0, t, half), (0, half - t // 2, w, half - t // 2 + t),
    )  # fmt: skip
    for (left, top, right, bottom), on in zip(boxes, lit, strict=True):
        if on == "1":
            luma[y + top : y + bottom, x + left : x + right] = _WHITE

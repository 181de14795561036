"""The video of a ladder session, on a thread of its own: measure the rate, decode, place on the grid, encode."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.frame import VideoFrame

from transcode.frame_rate import enough_to_measure, grid_rate
from transcode.grid import FrameGrid
from transcode.ladder import Ladder
from transcode.meter import SessionMeter
from transcode.picture import displayed_size
from transcode.source import SessionClock, TimedVideo
from transcode.units import Hints, VideoConfig
from transcode.video import VideoDecoder

HOLD_S = 0.5
"""A frame this late is missing: the frame before it is repeated instead. Nobody waits for an encoder that is gone."""
BEHIND_S = 0.75
"""A session this far behind its source repeats frames, which costs little, until it has caught up."""
CAUGHT_UP_S = 0.25
FAR_BEHIND_S = 3.0
"""A session this far behind skips to the next keyframe without decoding."""
MEASURE_AT_MOST_S = 1.0
SLATE_AFTER_S = 2.0
"""A source that has been away for this long is not blinking: viewers see the slate instead of its last frame."""


class NewConnection:
    """An encoder has (re)connected: nothing decodes before its configuration and its first keyframe."""


class Disconnected:
    """The encoder is gone: the grid goes on without waiting for late frames, until there is one of its successor."""


@dataclass(frozen=True, slots=True)
class GoingOn:
    """A session that another worker has begun: its grid, its ladder, and the picture that its viewers see."""

    grid: FrameGrid
    ladder: Ladder
    picture: VideoFrame
    is_slate: bool
    """Whether there is none, so that viewers see the slate from the start."""


VideoUnit = VideoConfig | TimedVideo | Hints | NewConnection | Disconnected
BuildLadder = Callable[[tuple[int, int], Fraction, float, VideoFrame], Ladder]
"""Called once with the source's displayed size, the grid's rate, its origin in session time, and the first frame."""


class VideoThread:
    """Owns the grid of its session. `on_tick(media_s, now_s)` says how far it has come."""

    def __init__(
        self,
        clock: SessionClock,
        build_ladder: BuildLadder,
        on_tick: Callable[[float, float], None],
        on_error: Callable[[BaseException], None],
        meter: SessionMeter,
        slate_image: str = "",
        going_on: GoingOn | None = None,
    ) -> None:
        self._clock = clock
        self._slate_image = slate_image
        self._last_frame: VideoFrame | None = None
        self._last_aspect = Fraction(1)
        self._last_shown_s = 0.0
        self._slate_shown = False
        self._build_ladder = build_ladder
        self._on_tick = on_tick
        self._on_error = on_error
        self._meter = meter
        self._inbox: queue.Queue[VideoUnit | None] = queue.Queue()
        self._decoder: VideoDecoder | None = None
        self._rate_hint: float | None = None
        self._measuring: list[TimedVideo] = []
        self._awaiting_keyframe = True
        self._rate: Fraction | None = None
        self._grid: FrameGrid | None = None
        self._ladder: Ladder | None = None
        self._behind = False
        self._away = False
        if going_on is not None:
            self._go_on(going_on)
        self._thread = threading.Thread(target=self._run, name="video", daemon=True)
        self._thread.start()

    def put(self, unit: VideoUnit) -> None:
        """Hand on a unit. Never blocks; the caller watches `backlog`."""
        self._inbox.put(unit)

    @property
    def backlog(self) -> int:
        """How many units wait."""
        return self._inbox.qsize()

    def close(self) -> None:
        """Flush and stop. Returns when the last sample of every rendition is published."""
        self._inbox.put(None)
        self._thread.join()

    def _go_on(self, begun: GoingOn) -> None:
        self._grid, self._ladder, self._rate = begun.grid, begun.ladder, begun.grid.rate
        self._last_frame, self._last_shown_s = begun.picture, self._clock.now_s()
        if begun.is_slate:
            self._show_slate(begun.ladder)
        else:
            begun.ladder.show(begun.picture, Fraction(1), tick=0)

    def _run(self) -> None:
        try:
            while True:
                try:
                    unit = self._inbox.get(timeout=self._seconds_to_fill())
                except queue.Empty:
                    self._fill()
                    continue
                if unit is None:
                    break
                self._handle(unit)
                if self._inbox.empty():
                    self._fill()
            self._flush_decoder()
        except BaseException as error:
            self._on_error(error)
            while self._inbox.get() is not None:
                pass
        finally:
            if self._ladder is not None:
                self._ladder.close()

    def _handle(self, unit: VideoUnit) -> None:
        if isinstance(unit, VideoConfig):
            self._flush_decoder()
            self._decoder = VideoDecoder(unit)
            self._awaiting_keyframe = True
        elif isinstance(unit, Disconnected):
            self._flush_decoder()
            self._away = True
        elif isinstance(unit, Hints):
            self._rate_hint = unit.frame_rate
        elif isinstance(unit, NewConnection):
            self._awaiting_keyframe = True
            self._measuring.clear()
        elif self._rate is None:
            self._measure(unit)
        else:
            self._decode(unit)

    def _flush_decoder(self) -> None:
        if self._decoder is not None:
            if self._rate is not None:
                self._frames(self._decoder.flush(), self._clock.now_s())
            self._decoder = None

    def _measure(self, unit: TimedVideo) -> None:
        if not self._measuring and not unit.keyframe:
            return
        held = self._measuring
        held.append(unit)
        times_s = [picture.dts_s for picture in held]
        if enough_to_measure(times_s) or unit.arrival_s - held[0].arrival_s > MEASURE_AT_MOST_S:
            self._rate = grid_rate(times_s, self._rate_hint)
            self._measuring = []
            for picture in held:
                self._decode(picture)

    def _decode(self, unit: TimedVideo) -> None:
        behind_s = self._clock.now_s() - unit.arrival_s
        self._meter.observe("queue", behind_s)
        if behind_s > FAR_BEHIND_S:
            self._awaiting_keyframe = True
        if self._decoder is None or (self._awaiting_keyframe and not unit.keyframe):
            self._meter.count("frames_dropped")
            return
        self._awaiting_keyframe = False
        begun_s = time.monotonic()
        frames = self._decoder.decode(unit.data, round(unit.dts_s * 1e6), round(unit.pts_s * 1e6), unit.keyframe)
        self._meter.observe("decode", time.monotonic() - begun_s)
        self._frames(frames, unit.arrival_s)

    def _frames(self, frames: list[VideoFrame], arrival_s: float) -> None:
        for frame in frames:
            if frame.pts is not None and not frame.is_corrupt:
                self._frame(frame, frame.pts / 1e6, arrival_s)

    def _frame(self, frame: VideoFrame, media_s: float, arrival_s: float) -> None:
        assert self._decoder is not None and self._rate is not None
        aspect = self._decoder.sample_aspect
        if self._grid is None:
            self._grid = FrameGrid(self._rate, media_s)
            self._ladder = self._build_ladder(displayed_size(frame, aspect), self._rate, media_s, frame)
        assert self._ladder is not None
        ticks = self._grid.place(media_s)
        if ticks is None:
            self._meter.count("frames_dropped")
            return
        self._away = False
        for tick in ticks[:-1]:
            self._ladder.encode(tick)
        self._meter.count("frames_repeated", len(ticks) - 1)
        behind_s = self._clock.now_s() - arrival_s
        self._behind = behind_s > (CAUGHT_UP_S if self._behind else BEHIND_S)
        arrived_s: float | None = None
        if self._behind and ticks[-1] > 0:
            self._meter.count("frames_dropped")
        elif self._show(self._ladder, frame, aspect, ticks[-1]):
            arrived_s = time.monotonic() - behind_s
        self._ladder.encode(ticks[-1], arrived_s)
        self._on_tick(self._grid.end_s, self._clock.now_s())

    def _show(self, ladder: Ladder, frame: VideoFrame, aspect: Fraction, tick: int) -> bool:
        begun_s = time.monotonic()
        try:
            ladder.show(frame, aspect, tick)
        except av.FFmpegError:
            self._meter.count("frames_dropped")
            return False
        self._meter.observe("scale", time.monotonic() - begun_s)
        self._last_frame, self._last_aspect = frame, aspect
        self._last_shown_s, self._slate_shown = self._clock.now_s(), False
        return True

    def _show_slate(self, ladder: Ladder) -> None:
        # Drawing loads an imaging library, which a source that stays never needs.
        from transcode.slate import make_slate

        assert self._last_frame is not None
        ladder.show(make_slate(self._last_frame, self._slate_image), self._last_aspect, tick=0)
        self._slate_shown = True

    @property
    def _hold_s(self) -> float:
        return 0.0 if self._away else HOLD_S

    def _seconds_to_fill(self) -> float:
        if self._grid is None:
            return 3600.0
        due_s = self._grid.end_s + self._clock.lag.lag_s + self._hold_s + float(1 / self._grid.rate)
        return max(0.005, self._clock.seconds_until(due_s))

    def _fill(self) -> None:
        if self._grid is None or self._ladder is None:
            return
        now_s = self._clock.now_s()
        ticks = self._grid.fill(now_s - self._clock.lag.lag_s - self._hold_s)
        if not ticks:
            return
        if self._last_frame is not None and not self._slate_shown and now_s - self._last_shown_s > SLATE_AFTER_S:
            self._show_slate(self._ladder)
        for tick in ticks:
            self._ladder.encode(tick)
        self._meter.count("frames_repeated", len(ticks))
        self._meter.spend("frozen", float(len(ticks) / self._grid.rate))
        self._on_tick(self._grid.end_s, now_s)

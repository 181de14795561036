"""A ladder over reconnects and over changes of its source: the same encoders go on, without a seam, in sync."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from config.session import Failed, Message
from tests.av_sync import flashing_clip, offsets_s
from tests.e2e.viewer import fragment_times, timescale_hz
from tests.transcode.sessions import FastClock, Player, Published, moved, published, session_spec, without_sound
from transcode.flv import TAG_VIDEO, FlvTag
from transcode.ladder_session import LadderSession

SPEED = 3.0
Clips = Callable[..., Path]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Flashing clips of 4 s, each made once."""
    directory = tmp_path_factory.mktemp("ladder-clips")

    def clip(name: str, **how: Any) -> Path:
        path = directory / f"{name}.flv"
        return path if path.is_file() else flashing_clip(path, seconds=4.2, **how)

    return clip


@dataclass(slots=True)
class Show:
    """A session at three times the speed of ours, and an encoder connected to it."""

    session: LadderSession
    player: Player
    media_dir: Path
    failures: list[Failed]
    ended_s: float = 0.0

    def reconnect(self, away_s: float) -> None:
        self.player.drop(away_s)
        self.player.connect()

    def end(self) -> Published:
        self.session.end()
        self.ended_s = self.player.clock.now_s()
        assert self.failures == []
        return published(self.media_dir)

    def check_length(self, length_s: float, seconds: float) -> None:
        """All that was played is there, and no more than there was time for: a busy machine is late with the end."""
        assert seconds - 0.6 <= length_s <= max(seconds, self.ended_s) + 0.6, (length_s, seconds, self.ended_s)


@pytest.fixture
def show(tmp_path: Path) -> Show:
    return begin(tmp_path)


def begin(tmp_path: Path, slate_image: str = "") -> Show:
    """A session with an encoder that has sent nothing yet."""
    failures: list[Failed] = []

    def report(message: Message) -> None:
        if isinstance(message, Failed):
            failures.append(message)

    clock = FastClock(SPEED)
    session = LadderSession(session_spec(tmp_path, "standard", slate_image=slate_image), report, clock=clock)
    player = Player(session, clock)
    player.connect()
    return Show(session, player, tmp_path, failures)


def end_and_check(show: Show, seconds: float, flashes: int) -> None:
    """One init segment and no discontinuity; every rendition continuous to the tick; sound and picture together."""
    found = show.end()
    sound = found.audio()
    for name in found.names():
        text = found.playlist(name)
        assert "DISCONTINUITY" not in text and "GAP" not in text and text.count("#EXT-X-MAP") == 1
        (run,) = found.runs(name)
        scale_hz = timescale_hz(run)
        times = fragment_times(run)
        assert all(earlier[0] + earlier[1] == later[0] for earlier, later in itertools.pairwise(times)), name
        show.check_length((times[-1][0] + times[-1][1] - times[0][0]) / scale_hz, seconds)
        if name != "audio":
            offsets = offsets_s(found.video(name), sound)
            assert len(offsets) >= flashes, offsets
            assert max(abs(offset_s) for _at_s, offset_s in offsets) <= 0.040, (name, offsets)


def test_twenty_reconnects_leave_no_seam_and_keep_sound_and_picture_together(show: Show, clips: Clips) -> None:
    sources = [
        clips("first"),
        clips("smaller", size="256x144", fps="25", gop_frames=25),
        clips("44k", audio_rate_hz=44_100, size="320x240"),
        clips("60", fps="60", gop_frames=60, audio_rate_hz=22_050),
        clips("24", fps="24", gop_frames=24, size="180x320"),
    ]
    away_s = [0.02, 0.3, 0.7, 1.1]
    seconds = 1.7
    show.player.play(sources[0], seconds)
    for index in range(20):
        show.reconnect(away_s[index % len(away_s)])
        show.player.play(sources[index % len(sources)], seconds, change=moved(index * 777_777))
        seconds = 1.2 + 0.037 * index
    total_s = 1.7 + 5 * sum(away_s) + 1.7 + sum(1.2 + 0.037 * index for index in range(19))
    end_and_check(show, seconds=total_s, flashes=14)


def test_while_the_encoder_is_away_there_is_its_last_picture_then_a_slate_with_silence(
    show: Show, clips: Clips
) -> None:
    show.player.play(clips("white", extra_filters=",negate"), 2.0)
    show.player.drop(6.0)
    found = show.end()
    brightness = {frame.time or 0.0: frame.to_ndarray(format="gray").mean() for frame in found.video("180p")}
    start_s = min(brightness)
    brightness = {at_s - start_s: value for at_s, value in brightness.items()}
    held = [value for at_s, value in brightness.items() if 2.2 < at_s < 3.8]
    slate = [value for at_s, value in brightness.items() if 4.6 < at_s < 7.0]
    assert min(held) > 200, "the last picture for two seconds"
    assert max(slate) < 120, "then the slate"
    (run,) = found.runs("180p")
    show.check_length(sum(length for _start, length in fragment_times(run)) / timescale_hz(run), 8.0)
    loud_s = [frame.time or 0 for frame in found.audio() if np.abs(frame.to_ndarray()).max() > 0.05]
    assert max(loud_s) < start_s + 2.2, "sound from nobody"


def test_the_slate_may_be_a_picture_of_one_s_own(tmp_path: Path, clips: Clips) -> None:
    image = tmp_path / "slate.png"
    Image.new("RGB", (320, 180), (0, 0, 255)).save(image)
    show = begin(tmp_path, str(image))
    show.player.play(clips("first"), 2.0)
    show.player.drop(5.0)
    *_, last = show.end().video("180p")
    red, _green, blue = last.to_ndarray(format="rgb24").mean(axis=(0, 1))
    assert blue > 200 and red < 40


CHANGES: dict[str, dict[str, Any]] = {
    "resolution": {"size": "640x480"},
    "frame rate": {"fps": "25", "gop_frames": 25},
    "audio rate": {"audio_rate_hz": 32_000},
    "codec profile": {"video": ("-preset", "medium", "-profile:v", "high", "-bf", "2")},
    "codec": {"video": ("-c:v", "libx265", "-x265-params", "log-level=error:keyint=30")},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_that_changes_in_mid_stream_goes_on(show: Show, clips: Clips, change: str) -> None:
    show.player.play(clips("first"), 3.0)
    show.player.play(clips(change.replace(" ", "-"), **CHANGES[change]), 4.0, change=moved(3_000))
    end_and_check(show, seconds=7.0, flashes=4)


def test_sound_that_appears_in_mid_stream_is_heard(show: Show, clips: Clips) -> None:
    show.player.play(clips("first"), 3.0, change=without_sound)
    show.player.play(clips("first"), 4.0, change=moved(3_000))
    end_and_check(show, seconds=7.0, flashes=3)


def test_sound_that_vanishes_in_mid_stream_is_silence(show: Show, clips: Clips) -> None:
    show.player.play(clips("first"), 3.0)
    show.player.play(clips("first"), 4.0, change=lambda tag: without_sound(moved(3_000)(tag) or tag))
    end_and_check(show, seconds=7.0, flashes=2)


@pytest.mark.parametrize(
    ("base_ms", "jump_ms"),
    [
        pytest.param((1 << 32) - 3_000, 0, id="2^32 ms"),
        pytest.param(0, 3_600_000, id="an hour forward"),
        pytest.param(0, 1_500, id="a little forward"),
        pytest.param(3_600_000, -3_600_000, id="back to zero"),
        pytest.param(3_600_000, -1_500, id="a little back"),
    ],
)
def test_timestamps_that_wrap_or_jump_are_not_seen(show: Show, clips: Clips, base_ms: int, jump_ms: int) -> None:
    clip = clips("first")
    show.player.play(clip, 2.0, change=moved(base_ms))
    show.player.play(clip, 2.0, from_s=2.0, change=moved(base_ms + jump_ms))
    show.player.play(clip, 3.0, change=moved(base_ms + jump_ms + 4_000))
    end_and_check(show, seconds=7.0, flashes=4)


def test_a_picture_that_is_broken_costs_itself_only(show: Show, clips: Clips) -> None:
    def broken(tag: FlvTag) -> FlvTag | None:
        if tag.kind == TAG_VIDEO and 1_000 <= tag.timestamp_ms < 1_300 and tag.body[1] == 1:
            return FlvTag(tag.kind, tag.timestamp_ms, tag.body[:9] + bytes(len(tag.body) - 9))
        return tag

    show.player.play(clips("first"), 4.0, change=broken)
    end_and_check(show, seconds=4.0, flashes=1)

"""Passthrough over several connections, and over changes within one: what players get is continuous."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tests.av_sync import offsets_s
from tests.e2e.viewer import fragment_times, timescale_hz
from tests.transcode.sessions import (
    Player,
    Published,
    SteppedClock,
    ignore,
    moved,
    published,
    session_spec,
    without_sound,
)
from transcode.passthrough_session import PassthroughSession


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(correct_drift=False)


@pytest.fixture
def session(tmp_path: Path, clock: SteppedClock) -> PassthroughSession:
    return PassthroughSession(session_spec(tmp_path, "passthrough"), ignore, clock=clock)


@pytest.fixture
def player(session: PassthroughSession, clock: SteppedClock) -> Player:
    player = Player(session, clock)
    player.connect()
    return player


def check(found: Published, discontinuities: int, seconds: float) -> None:
    """Both renditions go on without a hole, with sound and picture together, and their durations keep their bounds."""
    for name in ("source", "audio"):
        times_s: list[tuple[float, float]] = []
        for run in found.runs(name):
            scale_hz = timescale_hz(run)
            times_s += [(start / scale_hz, (start + length) / scale_hz) for start, length in fragment_times(run)]
        steps_s = [later[0] - earlier[1] for earlier, later in itertools.pairwise(times_s)]
        # Audio of two configurations meets within half a packet.
        most_s = 0.011 if name == "audio" and discontinuities else 0.001
        assert max(map(abs, steps_s)) <= most_s, steps_s
        assert times_s[-1][1] - times_s[0][0] == pytest.approx(seconds, abs=0.1)
        text = found.playlist(name)
        assert text.count("#EXT-X-DISCONTINUITY\n") == discontinuities, text
        assert "GAP" not in text
        (target_s,) = map(float, re.findall(r"PART-TARGET=([\d.]+)", text))
        parts_s = [float(value) for value in re.findall(r"PART:DURATION=([\d.]+)", text)]
        assert parts_s and max(parts_s) <= target_s
    starts = [[segment.msn for segment in found.presentation.renditions[name].segments] for name in ("source", "audio")]
    assert starts[0] == starts[1]
    marks = [
        [segment.msn for segment in found.presentation.renditions[name].segments if segment.discontinuity]
        for name in ("source", "audio")
    ]
    assert marks[0] == marks[1]


def check_sync(found: Published, flashes: int) -> None:
    offsets = offsets_s(found.video("source"), found.audio())
    assert len(offsets) >= flashes
    assert max(abs(offset_s) for _at_s, offset_s in offsets) <= 0.040, offsets


def test_the_same_encoder_goes_on_where_it_ended(
    session: PassthroughSession, player: Player, tmp_path: Path, flashes: Path
) -> None:
    for away_s in (0.0, 0.4, 3.0, 40.0):
        player.play(flashes, 3.3, change=moved(12_345))
        player.drop(away_s)
        player.connect()
    player.play(flashes, 3.0)
    session.end()
    found = published(tmp_path)
    check(found, discontinuities=0, seconds=4 * 3.3 + 3.0)
    check_sync(found, flashes=12)
    assert found.playlist("source").count("#EXT-X-MAP") == 1


def test_another_encoder_is_a_discontinuity_in_both_renditions(
    session: PassthroughSession, player: Player, tmp_path: Path, flashes: Path, other_flashes: Path
) -> None:
    player.play(flashes, 3.3)
    player.drop(5.0)
    player.connect()
    player.play(other_flashes, 4.0)
    player.drop(1.0)
    player.connect()
    player.play(flashes, 3.0)
    session.end()
    found = published(tmp_path)
    check(found, discontinuities=2, seconds=10.3)
    check_sync(found, flashes=7)
    for name in ("source", "audio"):
        assert re.findall('#EXT-X-MAP:URI="(.*)"', found.playlist(name)) == ["init-0.mp4", "init-1.mp4", "init-2.mp4"]


def test_sound_of_another_configuration_alone_is_a_discontinuity_in_both_renditions(
    session: PassthroughSession, player: Player, tmp_path: Path, flashes: Path, sound_of_44_khz: Path
) -> None:
    player.play(flashes, 3.3)
    player.drop(2.0)
    player.connect()
    player.play(sound_of_44_khz, 4.0)
    session.end()
    found = published(tmp_path)
    check(found, discontinuities=1, seconds=7.3)
    check_sync(found, flashes=5)
    assert "init-1.mp4" in found.playlist("audio")


def test_sound_that_vanishes_and_returns_leaves_silence(
    session: PassthroughSession, player: Player, tmp_path: Path, flashes: Path
) -> None:
    player.play(flashes, 3.3)
    player.drop(1.0)
    player.connect()
    player.play(flashes, 3.0, change=without_sound)
    player.play(flashes, 4.0, from_s=3.0, change=moved(0))
    session.end()
    found = published(tmp_path)
    check(found, discontinuities=0, seconds=10.3)
    check_sync(found, flashes=5)


@pytest.mark.parametrize("jump_ms", [3_600_000, -1_000_000_000, -500, -2_000, 1_500])
def test_timestamps_that_jump_are_no_discontinuity(
    session: PassthroughSession, player: Player, tmp_path: Path, flashes: Path, jump_ms: int
) -> None:
    base_ms = 1 << 31
    player.play(flashes, 4.0, change=moved(base_ms))
    player.play(flashes, 4.0, from_s=4.0, change=moved(base_ms + jump_ms))
    session.end()
    found = published(tmp_path)
    check(found, discontinuities=0, seconds=8.0)
    check_sync(found, flashes=6)


def test_a_source_that_sends_nothing_for_long_has_no_long_part(
    session: PassthroughSession, player: Player, tmp_path: Path, flashes: Path
) -> None:
    player.play(flashes, 4.0)
    player.wait(9.0)
    player.play(flashes, 4.0, from_s=4.0, change=moved(9_000))
    session.end()
    found = published(tmp_path)
    check(found, discontinuities=0, seconds=8.0)
    check_sync(found, flashes=6)

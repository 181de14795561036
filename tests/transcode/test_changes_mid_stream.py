"""An encoder that repeats, empties or changes its configuration while it sends, without a new connection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from config.session import Failed, Message
from tests.transcode.sessions import (
    Player,
    SteppedClock,
    is_configuration,
    moved,
    published,
    session_spec,
    tag_bytes,
    tags_of,
)
from tests.transcode.test_passthrough_session import check, check_sync
from transcode.flv import FlvTag
from transcode.ladder_session import LadderSession
from transcode.passthrough_session import PassthroughSession


class Session:
    """A session with its player, and what it said."""

    def __init__(self, kind: type[PassthroughSession] | type[LadderSession], quality: str, media_dir: Path) -> None:
        clock = SteppedClock(correct_drift=kind is LadderSession)
        self.told: list[Message] = []
        self.session = kind(session_spec(media_dir, quality), self.told.append, clock=clock)
        self.player = Player(self.session, clock)
        self.player.connect()

    def end(self) -> None:
        self.session.disconnected()
        self.session.end()
        assert not [message for message in self.told if isinstance(message, Failed)]


def test_passthrough_follows_a_change_of_size_rate_and_sound(
    tmp_path: Path, flashes: Path, other_flashes: Path
) -> None:
    session = Session(PassthroughSession, "passthrough", tmp_path)
    session.player.play(flashes, 4.0)
    session.player.play(other_flashes, 4.0, change=moved(4000))
    session.end()
    found = published(tmp_path)
    check(found, discontinuities=1, seconds=8.0)
    check_sync(found, flashes=6)
    assert {(frame.width, frame.height) for frame in found.video("source")} == {(320, 180), (480, 270)}
    assert {frame.sample_rate for frame in found.audio()} == {48_000, 44_100}


def test_a_ladder_takes_a_change_of_size_rate_and_sound_into_the_same_renditions(
    tmp_path: Path, flashes: Path, other_flashes: Path
) -> None:
    session = Session(LadderSession, "standard", tmp_path)
    session.player.play(flashes, 4.0)
    session.player.play(other_flashes, 4.0, change=moved(4000))
    session.end()
    found = published(tmp_path)
    (name,) = found.names() - {"audio"}
    frames = list(found.video(name))
    assert {(frame.width, frame.height) for frame in frames} == {(320, 180)}
    assert len(frames) == pytest.approx(8 * 30, abs=6)
    assert found.playlist(name).count("#EXT-X-MAP") == 1 and "DISCONTINUITY\n" not in found.playlist(name)
    sound = np.concatenate([frame.to_ndarray()[0] for frame in found.audio()])
    assert len(sound) == pytest.approx(8 * 48_000, abs=6000)
    assert np.abs(sound[-3 * 48_000 :]).max() > 0.1


@pytest.mark.parametrize("cut_to", [None, 5, 2], ids=["repeated", "cut short", "empty"])
def test_configurations_that_come_again_change_nothing(tmp_path: Path, flashes: Path, cut_to: int | None) -> None:
    configurations = [tag for tag in tags_of(flashes) if is_configuration(tag)]
    assert len(configurations) == 2

    def again(tag: FlvTag) -> FlvTag:
        for each in configurations:
            body = each.body[: cut_to if each.kind == 9 or cut_to is None else 2]
            session.session.feed(memoryview(tag_bytes(FlvTag(each.kind, tag.timestamp_ms, body))))
        return tag

    session = Session(PassthroughSession, "passthrough", tmp_path)
    session.player.play(flashes, 2.0)
    session.player.play(flashes, 4.0, from_s=2.0, change=again)
    session.end()
    found = published(tmp_path)
    check(found, discontinuities=0, seconds=6.0)
    check_sync(found, flashes=4)

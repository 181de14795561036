"""What the origin notices of itself."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from packager.conformance import guard
from packager.conformance.guard import Guard
from packager.cuts import PlannedCuts
from packager.live_sessions import LiveSession
from packager.publication import Part, Publication
from packager.segmenter import RenditionSegmenter
from tests.conformance.test_media_rules import IDR, NO_IDR
from tests.packager.helpers import EDGE_ID, SESSION_ID, new_publication, sample, video_track


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    structlog.reset_defaults()


class Session:
    """A session of one rendition at 30 frames/s with parts of 0.5 s, and a guard that looks at it."""

    def __init__(self, media_dir: Path, share: float = 1.0) -> None:
        self.publication: Publication = new_publication(media_dir, window_s=30)
        starts = [Fraction(index, 2) for index in range(4)]
        cuts = PlannedCuts(starts, Fraction(2), 90_000, Fraction(0))
        self.segmenter = RenditionSegmenter(self.publication, video_track(), cuts)
        self.session = LiveSession(media_dir / EDGE_ID / SESSION_ID)
        self.guard = Guard(share)
        self.session.on_news = self.guard.look
        self._frame = 0

    def parts(self, count: int) -> None:
        for _ in range(count):
            for _ in range(15):
                keyframe = self._frame % 60 == 0
                one = sample(self._frame * 3000, keyframe=keyframe, data=IDR if keyframe else NO_IDR)
                self.segmenter.add(one)
                self._frame += 1
            self.session.refresh()


def test_what_keeps_the_rules_is_passed_in_silence(tmp_path: Path) -> None:
    live = Session(tmp_path)
    with capture_logs() as logs:
        live.parts(100)
    assert logs == [] and not live.guard.violations
    assert live.guard.looked_at == 100


@pytest.mark.parametrize(("share", "looked_at"), [(0, 0), (0.01, 1), (0.25, 25), (1, 100)])
def test_a_share_of_what_is_published_is_looked_at(tmp_path: Path, share: float, looked_at: int) -> None:
    live = Session(tmp_path, share)
    live.parts(100)
    assert live.guard.looked_at == looked_at


def test_a_broken_rule_is_counted_each_time_and_logged_once_with_its_section(tmp_path: Path) -> None:
    live = Session(tmp_path)
    live.parts(5)
    with capture_logs() as logs:
        for _ in range(2):
            # A part that is longer than the part target, of bytes that are no fragment.
            live.publication.write_part("720p", Part(b"nothing", 0.7, independent=False))
            live.session.refresh()
    assert live.guard.violations["parts-are-not-longer-than-the-part-target"] == 3  # one, then both
    said = {entry["rule"] for entry in logs}
    assert said == {"4.4.4.9 parts-are-not-longer-than-the-part-target", "3.1.2 media-are-fragmented-mp4"}
    assert len(logs) == 2 and all(entry["session_id"] == SESSION_ID and entry["detail"] for entry in logs)


def test_a_session_that_is_let_go_is_forgotten(tmp_path: Path) -> None:
    live = Session(tmp_path)
    live.parts(3)
    assert len(live.guard._seen) == 1
    del live.session
    assert len(live.guard._seen) == 0


def test_files_that_are_gone_are_no_matter_of_rules(tmp_path: Path) -> None:
    live = Session(tmp_path)
    live.parts(3)
    live.publication.write_part("720p", Part(b"nothing", 0.5, independent=False))
    for file in (tmp_path / EDGE_ID / SESSION_ID / "720p").iterdir():
        file.unlink()
    with capture_logs() as logs:
        live.session.refresh()
    assert logs == []


def test_a_playlist_that_can_not_be_read_breaks_a_rule_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Session(tmp_path)
    monkeypatch.setattr(guard, "media_playlist", lambda *args, **kwargs: "#EXTM3U\n#EXT-X-TARGETDURATION:two\n")
    live.parts(2)
    assert live.guard.violations == {"playlists-are-readable": 2}

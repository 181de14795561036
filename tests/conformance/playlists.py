"""Playlists that keep every rule, to be broken one rule at a time."""

from __future__ import annotations

from packager.conformance.text import ReadMultivariant, ReadPlaylist, read_playlist

HEAD = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,HOLD-BACK=6,CAN-SKIP-UNTIL=12
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:{first}
"""
MASTER = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="a/media.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=3000,AVERAGE-BANDWIDTH=2000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=30.000,AUDIO="audio",CLOSED-CAPTIONS=NONE
v/media.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1000,AVERAGE-BANDWIDTH=900,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=30.000,AUDIO="audio",CLOSED-CAPTIONS=NONE
w/media.m3u8
"""


def date(segment: int) -> str:
    """The date at which a segment begins."""
    return f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:{segment * 2 // 60:02}:{segment * 2 % 60:02}.000Z\n"


def parts(segment: int, count: int = 4) -> str:
    """The first parts of a segment."""
    return "".join(
        f'#EXT-X-PART:DURATION=0.5,URI="{segment}.{part}.m4s"{",INDEPENDENT=YES" if part == 0 else ""}\n'
        for part in range(count)
    )


def good(first: int = 10, last: int = 20, open_parts: int = 2, *, ended: bool = False) -> str:
    """A live playlist: segments of 2 s from `first` to before `last`, then an open one with so many parts."""
    text = HEAD.format(first=first)
    for segment in range(first, last):
        text += '#EXT-X-MAP:URI="init-0.mp4"\n' if segment == first else ""
        listed = segment * 2 + 2 >= last * 2 + open_parts * 0.5 - 6
        text += date(segment) + (parts(segment) if listed else "") + f"#EXTINF:2,\n{segment}.m4s\n"
    if ended:
        return text + "#EXT-X-ENDLIST\n"
    if open_parts:
        text += "" if first < last else '#EXT-X-MAP:URI="init-0.mp4"\n'
        text += date(last) + parts(last, open_parts)
    text += f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{last}.{open_parts}.m4s"\n'
    report = (last, open_parts - 1) if open_parts else (last - 1, 3)
    return text + f'#EXT-X-RENDITION-REPORT:URI="../a/media.m3u8",LAST-MSN={report[0]},LAST-PART={report[1]}\n'


def delta(first: int = 10, last: int = 20, open_parts: int = 2, skipped: int = 3) -> str:
    """The delta update of a `good` playlist."""
    text = good(first, last, open_parts)
    at = text.index(f"{first + skipped - 1}.m4s\n") + len(f"{first + skipped - 1}.m4s\n")
    head = HEAD.format(first=first).replace("VERSION:6", "VERSION:9")
    return head + f'#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n#EXT-X-MAP:URI="init-0.mp4"\n' + text[at:]


def media(text: str) -> ReadPlaylist:
    """A media playlist, read."""
    found = read_playlist(text)
    assert isinstance(found, ReadPlaylist)
    return found


def multivariant(text: str) -> ReadMultivariant:
    """A multivariant playlist, read."""
    found = read_playlist(text)
    assert isinstance(found, ReadMultivariant)
    return found


def changed(text: str, old: str, new: str) -> str:
    """The text with one thing replaced, which must be there."""
    assert old in text, old
    return text.replace(old, new)

"""What a reader needs that comes to an encoder's connection in the middle: kept here, for a new session worker."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.admission import Buffer

_AUDIO_TAG, _VIDEO_TAG, _SCRIPT_TAG = 8, 9, 18
_AVC, _HEVC = 7, 12
_AAC, _ENHANCED_AUDIO = 10, 9
_ENHANCED_VIDEO = 0x80
_SEQUENCE_START = 0
_MULTITRACK = {_AUDIO_TAG: 5, _VIDEO_TAG: 6}
_MAX_TAGS = 16
_MAX_TAG_BYTES = 64 * 1024


class FlvPreamble:
    """The file header, the latest metadata and the latest decoder configuration of each track, as they came.

    Sources: Adobe Flash Video File Format Specification 10.1, Annex E; Enhanced RTMP v2.
    """

    def __init__(self) -> None:
        self._header = b""
        self._tags: dict[tuple[int, bytes], bytes] = {}

    def note(self, buffers: Sequence[Buffer]) -> None:
        """Look at what is handed on: the file header, or tags of three buffers each."""
        if len(buffers) == 1:
            self._header = bytes(buffers[0])
        elif len(buffers) == 3:
            self._note_tag(buffers)
        else:
            for start in range(0, len(buffers), 3):
                self._note_tag(buffers[start : start + 3])

    def _note_tag(self, buffers: Sequence[Buffer]) -> None:
        body = buffers[1]
        if len(body) < 2 or len(body) > _MAX_TAG_BYTES:
            return
        tag_type = buffers[0][0]
        if tag_type == _VIDEO_TAG:
            first = body[0]
            if first & _ENHANCED_VIDEO:
                self._note_enhanced(tag_type, buffers)
            elif body[1] == _SEQUENCE_START and first & 0x0F in (_AVC, _HEVC):
                self._keep(tag_type, b"", buffers)
        elif tag_type == _AUDIO_TAG:
            sound_format = body[0] >> 4
            if sound_format == _ENHANCED_AUDIO:
                self._note_enhanced(tag_type, buffers)
            elif sound_format == _AAC and body[1] == _SEQUENCE_START:
                self._keep(tag_type, b"", buffers)
        elif tag_type == _SCRIPT_TAG:
            self._keep(tag_type, b"", buffers)

    def data(self) -> bytes:
        """What a new reader gets before the next tag."""
        return b"".join((self._header, *self._tags.values()))

    def _note_enhanced(self, tag_type: int, buffers: Sequence[Buffer]) -> None:
        body = buffers[1]
        packet_type = body[0] & 0x0F
        if packet_type == _SEQUENCE_START:
            self._keep(tag_type, b"", buffers)
        elif packet_type == _MULTITRACK[tag_type] and body[1] & 0x0F == _SEQUENCE_START:
            self._keep(tag_type, bytes(body[1:7]), buffers)  # kind of multitrack, codec and track id

    def _keep(self, tag_type: int, track: bytes, buffers: Sequence[Buffer]) -> None:
        key = (tag_type, track)
        if key in self._tags or len(self._tags) < _MAX_TAGS:
            self._tags[key] = b"".join(map(bytes, buffers))

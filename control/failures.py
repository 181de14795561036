"""Why a stream is in state `error`, in words for its owner."""

from __future__ import annotations

from typing import Final

from control.schemas import StreamError
from streams.model import Stream
from streams.state import State

MESSAGES: Final = {
    "no_usable_media": "no picture that can be decoded came within 15 s; check source and keyframe interval",
    "unsupported_codec": "the encoder sends a codec that is not supported; use H.264 video and AAC audio",
    "bad_media": "what the encoder sends can't be read as FLV or MPEG-TS",
    "pipeline_failed": "the encoding failed and did not recover; publish again",
    "worker_died": "the process that encodes the stream ended again and again; publish again",
    "worker_not_started": "the node could not start the process that encodes the stream; publish again",
}
_OTHER: Final = "the session could not go on; publish again"


def error_of(stream: Stream) -> StreamError | None:
    """What the stream object says of its error; None in every other state."""
    if stream.state is not State.ERROR:
        return None
    code = stream.reason or "unknown"
    return StreamError(code=code, message=MESSAGES.get(code, _OTHER))

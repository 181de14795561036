"""The status codes that an encoder gets for each refusal and each cut. Data only.

`NetStream.Publish.BadName` makes encoders stop; after `NetStream.Failed` they try again.
"""

from __future__ import annotations

from ingest.admission import Refusal

BAD_NAME = "NetStream.Publish.BadName"
FAILED = "NetStream.Failed"

REFUSALS: dict[Refusal, str] = {
    Refusal.WRONG_KEY: BAD_NAME,
    Refusal.ALREADY_PUBLISHING: BAD_NAME,
    Refusal.FULL: FAILED,
    Refusal.UNKNOWN_QUALITY: FAILED,
    Refusal.TRY_AGAIN: FAILED,
}

CUTS: dict[str, tuple[str, str]] = {
    "key_rotated": (BAD_NAME, "the stream key is no longer valid"),
    "shutdown": ("NetConnection.Connect.AppShutdown", "the server goes down; connect again"),
    "drain": ("NetConnection.Connect.AppShutdown", "this node takes no streams any more; connect again"),
    "unsupported_codec": (BAD_NAME, "the stream uses a codec that is not supported; see the server's log"),
    "taken_over": (BAD_NAME, "another encoder has taken over this stream"),
    "no_usable_media": (FAILED, "no video that can be decoded arrived"),
    "overflow": (FAILED, "the server cannot keep up with this stream"),
    "bitrate_too_high": (BAD_NAME, "the stream has more than three times the bitrate that its quality can use"),
    "no_media": (FAILED, "no audio or video arrived"),
    "publish_timeout": (FAILED, "no publish in time"),
    "admission_timeout": (FAILED, "the server could not decide in time; try again"),
    "internal_error": (FAILED, "internal error; try again"),
}
"""By reason: code and description. Other reasons get `OTHER_CUT`."""

OTHER_CUT = (FAILED, "the server ended this stream")

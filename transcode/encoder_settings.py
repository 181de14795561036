"""The x264 settings of every rung."""

from __future__ import annotations

_X264_PARAMS = {
    "annexb": "0",
    "scenecut": "0",
    "open-gop": "0",
    "bframes": "1",
    "b-adapt": "0",
    "rc-lookahead": "0",
    "sync-lookahead": "0",
    "sliced-threads": "0",
    "mbtree": "0",
    "force-cfr": "1",
}


def x264_options(bitrate_bps: int) -> dict[str, str]:
    """libx264 options for a rung of this bitrate, which its BANDWIDTH may rely on (VBV of about one second)."""
    return {
        "preset": "superfast",
        "g": "100000",
        "forced-idr": "1",
        "maxrate": str(int(bitrate_bps * 1.07)),
        "bufsize": str(bitrate_bps),
        "x264-params": ":".join(f"{name}={value}" for name, value in _X264_PARAMS.items()),
    }

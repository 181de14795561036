"""The x264 settings of every rung, chosen by measurement: see docs/benchmarks.md."""

from __future__ import annotations

_X264_PARAMS = {
    # Length-prefixed NAL units and an avcC record: straight into CMAF.
    "annexb": "0",
    # IDR frames come where the grid says, on every rung alike, and nowhere else.
    "scenecut": "0",
    "open-gop": "0",
    # Not a frame of delay.
    "bframes": "0",
    "rc-lookahead": "0",
    "sync-lookahead": "0",
    "sliced-threads": "0",
    "mbtree": "0",
    "force-cfr": "1",
    # Measured: these give back in quality what the lookahead would, at a fraction of its cost.
    "aq-strength": "0.3",
    "qcomp": "0.7",
    "deblock": "-1,-1",
    "deadzone-inter": "15",
    "deadzone-intra": "8",
    "partitions": "i8x8,i4x4",
}
_SMALL_PARTITIONS = {"partitions": "p8x8,i8x8,i4x4"}
_SMALL_PARTITIONS_FROM_PX = 720
_MAXRATE_SHARE = 1.1
_BUFFER_S = 1.0


def x264_options(bitrate_bps: int, short_side_px: int) -> dict[str, str]:
    """libx264 options for a rung of this bitrate, which its BANDWIDTH may rely on."""
    params = _X264_PARAMS | (_SMALL_PARTITIONS if short_side_px >= _SMALL_PARTITIONS_FROM_PX else {})
    return {
        "preset": "superfast",
        "g": "100000",
        "forced-idr": "1",
        "maxrate": str(int(bitrate_bps * _MAXRATE_SHARE)),
        "bufsize": str(int(bitrate_bps * _BUFFER_S)),
        "x264-params": ":".join(f"{name}={value}" for name, value in params.items()),
    }

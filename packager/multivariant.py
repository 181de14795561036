"""The multivariant playlist as text. Rules by draft-pantos-hls-rfc8216bis (section numbers below)."""

from __future__ import annotations

from collections.abc import Sequence

from packager.playlists import MEDIA_PLAYLIST, PLAYLIST_VERSION, session_of
from packager.presentation import Presentation
from packager.records import RenditionRecord

AUDIO_GROUP = "audio"


def multivariant_playlist(presentation: Presentation) -> str:
    """The multivariant playlist (4.4.6). URIs are relative to `/live/{edgeId}/master.m3u8`.

    The tallest rendition whose bitrate a phone network carries comes first, because many players start with the first
    one they see: that is the middle of the ladder.
    """
    session = session_of(presentation)
    infos = [rendition.info for rendition in presentation.renditions.values()]
    independent = not any(presentation.renditions[info.name].dependent for info in infos if info.kind == "video")
    return multivariant_text(infos, independent=independent, base=f"{session.session_id}/")


def multivariant_text(infos: Sequence[RenditionRecord], *, independent: bool, base: str) -> str:
    """The multivariant playlist of these renditions, whose URIs begin with `base`.

    `independent` says that all segments of video begin with a keyframe.
    """
    video = [info for info in infos if info.kind == "video"]
    audio = [info for info in infos if info.kind == "audio"]
    video.sort(key=lambda info: -info.bandwidth_bps)
    if len(video) > 2:
        video.insert(0, video.pop(len(video) // 2))
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{PLAYLIST_VERSION}"]
    if independent:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    for info in audio:
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{AUDIO_GROUP}",NAME="Audio",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="{info.channels}",URI="{base}{info.name}/{MEDIA_PLAYLIST}"'
        )
    # NONE is said of all variants or of none (4.4.6.2); pictures that are passed through may carry captions.
    captions = "" if any(info.may_carry_captions for info in video) else ",CLOSED-CAPTIONS=NONE"
    for info in video:
        bandwidth_bps = info.bandwidth_bps + max((other.bandwidth_bps for other in audio), default=0)
        average_bps = info.average_bandwidth_bps + max((other.average_bandwidth_bps for other in audio), default=0)
        codecs = ",".join([info.codecs, *(other.codecs for other in audio[:1])])
        attributes = f'BANDWIDTH={bandwidth_bps},AVERAGE-BANDWIDTH={average_bps},CODECS="{codecs}"'
        attributes += f",RESOLUTION={info.width_px}x{info.height_px}"
        if info.frame_rate:
            attributes += f",FRAME-RATE={info.frame_rate:.3f}"
        if audio:
            attributes += f',AUDIO="{AUDIO_GROUP}"'
        lines += [
            f"#EXT-X-STREAM-INF:{attributes}{captions}",
            f"{base}{info.name}/{MEDIA_PLAYLIST}",
        ]
    return "\n".join(lines) + "\n"

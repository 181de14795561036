"""playbin3 without a window, by the system's Python: it has PyGObject. Nothing of the project is imported here.

Standard input: `switch BITS_PER_SECOND`, `back SECONDS`, `live`. Standard output: `row UNIX_TIME HEIGHT HEX` for each
picture, `error TEXT`.
"""

# mypy: ignore-errors

import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import GLib, Gst, GstApp  # noqa: E402, F401


def main(url):
    Gst.init(None)
    # The strip's row is cut in Python; the picture keeps its height, from which the rendition is told.
    sink = Gst.parse_bin_from_description(
        "videoconvert ! video/x-raw,format=GRAY8 ! appsink name=sink emit-signals=true max-buffers=2 drop=true", True
    )
    player = Gst.ElementFactory.make("playbin3")
    player.set_property("uri", url)
    player.set_property("video-sink", sink)
    player.set_property("audio-sink", Gst.parse_bin_from_description("fakesink sync=true", True))
    demuxers = []

    def on_element(_bin, _parent, element):
        if element.get_factory() is not None and element.get_factory().get_name() in ("hlsdemux", "hlsdemux2"):
            demuxers.append(element)

    def on_sample(appsink):
        sample = appsink.emit("pull-sample")
        shape = sample.get_caps().get_structure(0)
        width, height = shape.get_value("width"), shape.get_value("height")
        stride = (width + 3) // 4 * 4
        at = (height - height // 24) * stride
        row = sample.get_buffer().extract_dup(at, width)
        print("row", time.time(), height, row.hex(), flush=True)
        return Gst.FlowReturn.OK

    def range_s():
        query = Gst.Query.new_seeking(Gst.Format.TIME)
        if not player.query(query):
            return None
        _, seekable, start, stop = query.parse_seeking()
        return (start / Gst.SECOND, stop / Gst.SECOND) if seekable else None

    def seek(to_s):
        if not player.seek_simple(
            Gst.Format.TIME, Gst.SeekFlags.FLUSH | Gst.SeekFlags.KEY_UNIT, int(to_s * Gst.SECOND)
        ):
            print("error", "seek refused", flush=True)

    def commands():
        for line in sys.stdin:
            word, *values = line.split()
            if word == "switch":
                for demuxer in demuxers:
                    demuxer.set_property("connection-bitrate", int(values[0]))
            elif word == "back":
                seek(player.query_position(Gst.Format.TIME)[1] / Gst.SECOND - float(values[0]))
            elif (span := range_s()) is not None:
                seek(span[1])

    def on_message(_bus, message):
        if message.type == Gst.MessageType.ERROR:
            print("error", message.parse_error()[0].message.replace("\n", " "), flush=True)
        elif message.type == Gst.MessageType.EOS:
            print("error", "end of stream", flush=True)

    player.connect("deep-element-added", on_element)
    sink.get_by_name("sink").connect("new-sample", on_sample)
    bus = player.get_bus()
    bus.add_signal_watch()
    bus.connect("message", on_message)
    player.set_state(Gst.State.PLAYING)
    threading.Thread(target=commands, daemon=True).start()
    GLib.MainLoop().run()


main(sys.argv[1])

#!/usr/bin/env python3
"""GStreamer's webrtcbin as one end of a call: VP8 and Opus, with the test signal."""

import asyncio
import re
import threading
import time

import gi

for name in ["Gst", "GstApp", "GstSdp", "GstWebRTC"]:
    gi.require_version(name, "1.0")
gi.require_version("Nice", "0.1")
from gi.repository import Gst, GstApp, GstSdp, GstWebRTC, Nice  # noqa: E402, F401

from peer import FPS, HEIGHT, WIDTH, Peer, options  # noqa: E402
from test_signal import SAMPLE_RATE, Pattern, Tone, rows_to_read, unix_ms  # noqa: E402

Gst.init(None)
for name in "webrtcbin nicesrc dtlsdec srtpdec opusenc vp8enc rtpvp8pay appsink audioresample".split():
    if not Gst.ElementFactory.find(name):
        raise ImportError(f"GStreamer has no {name}")

BLOCK_SAMPLES = SAMPLE_RATE // 50
# Numbers that an offer of ours gives the formats; an answer takes the offer's.
PAYLOAD_TYPES = {"OPUS": 111, "VP8": 96}

SOURCES = {
    "OPUS": "appsrc name=audio is-live=true format=time caps=audio/x-raw,format=S16LE,layout=interleaved,"
    f"rate={SAMPLE_RATE},channels=1 ! queue ! opusenc ! rtpopuspay pt={{pt}} ! "
    "capsfilter caps=application/x-rtp,media=audio,encoding-name=OPUS,payload={pt}",
    "VP8": "appsrc name=video is-live=true format=time caps=video/x-raw,format=I420,"
    f"width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! queue ! "
    "vp8enc deadline=1 cpu-used=8 end-usage=cbr target-bitrate=500000 keyframe-max-dist=3000 ! "
    "rtpvp8pay pt={pt} ! "
    "capsfilter caps=application/x-rtp,media=video,encoding-name=VP8,payload={pt},rtcp-fb-nack-pli=true",
}
SINKS = {
    "OPUS": "queue ! rtpopusdepay ! opusdec ! audioconvert ! audioresample ! "
    f"appsink name=sink emit-signals=true sync=false caps=audio/x-raw,format=S16LE,rate={SAMPLE_RATE},channels=1",
    "VP8": "queue ! rtpvp8depay ! vp8dec ! videoconvert ! "
    "appsink name=sink emit-signals=true sync=false caps=video/x-raw,format=I420",
}


class Connection:
    """A pipeline around a webrtcbin."""

    def __init__(self, peer):
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._pipeline = Gst.Pipeline.new()
        bus = self._pipeline.get_bus()
        bus.enable_sync_message_emission()
        bus.connect("sync-message::error", self._on_error)
        self._webrtc = Gst.ElementFactory.make("webrtcbin")
        self._webrtc.set_property("bundle-policy", peer.options.bundle)
        self._webrtc.connect("on-ice-candidate", self._on_candidate)
        self._webrtc.connect("notify::connection-state", self._on_state)
        self._webrtc.connect("pad-added", self._on_pad)
        self._pipeline.add(self._webrtc)
        # libnice gathers no address of loopback by itself.
        loopback = Nice.Address()
        loopback.set_from_string("127.0.0.1")
        self._ice = self._webrtc.get_property("ice-agent")
        self._ice.get_property("agent").add_local_address(loopback)
        self._sending = {}
        self._sent = {"OPUS": threading.Event(), "VP8": threading.Event()}
        self._closed = threading.Event()
        self._pipeline.set_state(Gst.State.PLAYING)

    async def offer(self):
        self._add_sources(PAYLOAD_TYPES)
        return await self._make("offer")

    async def answer(self, sdp):
        await self._describe("remote", "offer", sdp)
        self._add_sources(payload_types(sdp))
        return await self._make("answer")

    async def accept(self, sdp):
        await self._describe("remote", "answer", sdp)

    async def add_candidate(self, candidate):
        index = candidate.get("sdpMLineIndex") or 0
        self._webrtc.emit("add-ice-candidate", index, candidate["candidate"])

    def send_audio(self, on):
        _switch(self._sent["OPUS"], on)

    def send_video(self, on):
        _switch(self._sent["VP8"], on)

    async def close(self):
        self._closed.set()
        for thread in self._sending.values():
            thread.join()
        self._pipeline.set_state(Gst.State.NULL)

    def _add_sources(self, payload_types):
        wanted = {"OPUS": self._peer.options.audio, "VP8": self._peer.options.video}
        for codec, payload_type in payload_types.items():
            if wanted[codec] and codec not in self._sending:
                self._add_source(codec, payload_type)

    def _add_source(self, codec, payload_type):
        source = Gst.parse_bin_from_description(SOURCES[codec].format(pt=payload_type), True)
        self._pipeline.add(source)
        source.link(self._webrtc)
        source.sync_state_with_parent()
        self._sent[codec].set()
        run = self._send_sound if codec == "OPUS" else self._send_pictures
        app = source.get_by_name("audio" if codec == "OPUS" else "video")
        self._sending[codec] = threading.Thread(target=run, args=[app], daemon=True)
        self._sending[codec].start()

    def _send_sound(self, app):
        tone = Tone(BLOCK_SAMPLES)
        for at in self._ticks(BLOCK_SAMPLES / SAMPLE_RATE):
            block = tone.block()
            self._push(app, block if self._sent["OPUS"].is_set() else bytes(len(block)), at)

    def _send_pictures(self, app):
        pattern = Pattern(WIDTH, HEIGHT)
        for counter, at in enumerate(self._ticks(1 / FPS)):
            # Off is nothing sent at all.
            if self._sent["VP8"].is_set():
                self._push(app, pattern.draw(counter, unix_ms()), at)

    def _ticks(self, period):
        """Gives the running time of every `period` in seconds, when it has come, until the call is over."""
        clock, base = self._pipeline.get_clock(), self._pipeline.get_base_time()
        at = (clock.get_time() - base) / Gst.SECOND
        while not self._closed.is_set():
            time.sleep(max(0, at - (clock.get_time() - base) / Gst.SECOND))
            yield round(at * Gst.SECOND)
            at += period

    def _push(self, app, data, at):
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts = at
        app.emit("push-buffer", buffer)

    async def _make(self, kind):
        reply = await self._promised(f"create-{kind}", None)
        description = reply.get_value(kind)
        await self._promised("set-local-description", description)
        return description.sdp.as_text()

    async def _describe(self, side, kind, sdp):
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        kind = GstWebRTC.WebRTCSDPType.OFFER if kind == "offer" else GstWebRTC.WebRTCSDPType.ANSWER
        description = GstWebRTC.WebRTCSessionDescription.new(kind, message)
        await self._promised(f"set-{side}-description", description)

    async def _promised(self, signal, argument):
        done = self._loop.create_future()

        def changed(promise):
            reply = promise.get_reply()
            error = reply and reply.has_field("error") and reply.get_value("error")
            self._loop.call_soon_threadsafe(done.set_result, (reply, error))

        self._webrtc.emit(signal, argument, Gst.Promise.new_with_change_func(changed))
        reply, error = await done
        if error:
            raise RuntimeError(f"{signal}: {error.message}")
        return reply

    def _on_candidate(self, _, index, candidate):
        candidate = {"candidate": candidate, "sdpMLineIndex": index}
        self._loop.call_soon_threadsafe(self._peer.send, {"type": "ice-candidate", "candidate": candidate})

    def _on_state(self, webrtc, _):
        match webrtc.get_property("connection-state"):
            case GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
                self._loop.call_soon_threadsafe(self._peer.connected)
            case GstWebRTC.WebRTCPeerConnectionState.FAILED:
                self._loop.call_soon_threadsafe(self._peer.failed)

    def _on_pad(self, _, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        codec = pad.get_current_caps().get_structure(0).get_string("encoding-name").upper()
        sink = Gst.parse_bin_from_description(SINKS[codec], True)
        take = self._on_sound if codec == "OPUS" else self._on_picture
        sink.get_by_name("sink").connect("new-sample", take)
        self._pipeline.add(sink)
        pad.link(sink.get_static_pad("sink"))
        sink.sync_state_with_parent()

    def _on_sound(self, app):
        buffer = app.emit("pull-sample").get_buffer()
        self._peer.probe.heard(buffer.extract_dup(0, buffer.get_size()))
        return Gst.FlowReturn.OK

    def _on_picture(self, app):
        sample = app.emit("pull-sample")
        caps, buffer = sample.get_caps().get_structure(0), sample.get_buffer()
        width, height = caps.get_value("width"), caps.get_value("height")
        stride = (width + 3) // 4 * 4
        rows = [buffer.extract_dup(row * stride, width) for row in rows_to_read(height)]
        self._peer.probe.saw(rows, width, height)
        return Gst.FlowReturn.OK

    def _on_error(self, _, message):
        error, debug = message.parse_error()
        self._peer.line.emit("error", message=f"{error.message} ({debug})")


def payload_types(sdp):
    """The numbers of our formats in a description."""
    maps = re.findall(r"^a=rtpmap:(\d+) (opus|VP8)/", sdp, re.IGNORECASE | re.MULTILINE)
    return {name.upper(): int(number) for number, name in reversed(maps)}


def _switch(event, on):
    event.set() if on else event.clear()


async def main():
    # The default of webrtcbin is "none": each section has a connection of its own.
    await Peer(options(bundle=["max-bundle", "none"]), Connection).run()


if __name__ == "__main__":
    asyncio.run(main())

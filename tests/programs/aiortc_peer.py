#!/usr/bin/env python3
"""aiortc as one end of a call: VP8 and Opus, with the test signal."""

import asyncio
import fractions
from array import array

import aioice.ice
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame, VideoFrame

from peer import FPS, HEIGHT, WIDTH, Peer, options
from test_signal import SAMPLE_RATE, Pattern, Tone, rows_to_read, unix_ms

BLOCK_SAMPLES = SAMPLE_RATE // 50
VIDEO_CLOCK_HZ = 90000
# A flood of NACKs: FLOOD_HZ a second, each for the last FLOOD_PACKETS packets.
FLOOD_HZ, FLOOD_PACKETS = 200, 1000
COUNT_SECONDS = 0.5

# It gathers no address of loopback by itself.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class Ticks:
    """Waits for one instant of an even grid after the other."""

    def __init__(self, period):
        self._period = period
        self._next = asyncio.get_running_loop().time()

    async def wait(self):
        await asyncio.sleep(self._next - asyncio.get_running_loop().time())
        self._next += self._period


class Microphone(MediaStreamTrack):
    kind = "audio"

    def __init__(self):
        super().__init__()
        self.muted = False
        self._tone = Tone(BLOCK_SAMPLES)
        self._ticks = Ticks(BLOCK_SAMPLES / SAMPLE_RATE)
        self._blocks = 0

    async def recv(self):
        await self._ticks.wait()
        block = self._tone.block()
        frame = AudioFrame(format="s16", layout="mono", samples=BLOCK_SAMPLES)
        frame.planes[0].update(bytes(len(block)) if self.muted else block)
        frame.sample_rate, frame.time_base = SAMPLE_RATE, fractions.Fraction(1, SAMPLE_RATE)
        frame.pts = self._blocks * BLOCK_SAMPLES
        self._blocks += 1
        return frame


class Camera(MediaStreamTrack):
    kind = "video"

    def __init__(self):
        super().__init__()
        self._pattern = Pattern(WIDTH, HEIGHT)
        self._ticks = Ticks(1 / FPS)
        self._counter = 0

    async def recv(self):
        await self._ticks.wait()
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        drawn, start = self._pattern.draw(self._counter, unix_ms()), 0
        for plane in frame.planes:
            assert plane.line_size == plane.width, "no padding at this size"
            plane.update(drawn[start : start + plane.buffer_size])
            start += plane.buffer_size
        frame.time_base = fractions.Fraction(1, VIDEO_CLOCK_HZ)
        frame.pts = self._counter * VIDEO_CLOCK_HZ // FPS
        self._counter += 1
        return frame


class Connection:
    """An RTCPeerConnection. It does not trickle: its descriptions have all candidates."""

    def __init__(self, peer):
        self._peer = peer
        self._rtc = RTCPeerConnection()
        self._microphone = Microphone() if peer.options.audio else None
        self._camera = Camera() if peer.options.video else None
        self._listening = []
        self._rtc.on("track", self._on_track)
        self._rtc.on("connectionstatechange", self._on_state)

    async def offer(self):
        self._add_tracks()
        await self._rtc.setLocalDescription(await self._rtc.createOffer())
        return self._rtc.localDescription.sdp

    async def answer(self, sdp):
        await self._rtc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        self._add_tracks()
        await self._rtc.setLocalDescription(await self._rtc.createAnswer())
        return self._rtc.localDescription.sdp

    async def accept(self, sdp):
        await self._rtc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def add_candidate(self, candidate):
        parsed = candidate_from_sdp(candidate["candidate"].removeprefix("candidate:"))
        parsed.sdpMid, parsed.sdpMLineIndex = candidate.get("sdpMid"), candidate.get("sdpMLineIndex")
        await self._rtc.addIceCandidate(parsed)

    def send_audio(self, on):
        self._microphone.muted = not on

    def send_video(self, on):
        # Off is nothing sent at all.
        self._video_sender.replaceTrack(self._camera if on else None)

    def flood_nacks(self):
        """Asks for every packet of video again, all the time."""
        self._listening.append(asyncio.create_task(self._flood_nacks()))

    async def close(self):
        for task in self._listening:
            task.cancel()
        await self._rtc.close()

    def _add_tracks(self):
        sending = [sender.track for sender in self._rtc.getSenders()]
        if self._microphone and self._microphone not in sending:
            self._rtc.addTrack(self._microphone)
        if self._camera and self._camera not in sending:
            self._video_sender = self._rtc.addTrack(self._camera)

    def _on_track(self, track):
        receive = self._hear if track.kind == "audio" else self._see
        self._listening.append(asyncio.create_task(receive(track)))

    async def _hear(self, track):
        async for frame in frames(track):
            # Two channels, of which both are the same.
            self._peer.probe.heard(array("h", bytes(frame.planes[0]))[: 2 * frame.samples : 2].tobytes())

    async def _see(self, track):
        async for frame in frames(track):
            luma = memoryview(frame.planes[0])
            starts = [row * frame.planes[0].line_size for row in rows_to_read(frame.height)]
            rows = [luma[start : start + frame.width] for start in starts]
            self._peer.probe.saw(rows, frame.width, frame.height)

    async def _flood_nacks(self):
        receiver = next(receiver for receiver in self._rtc.getReceivers() if receiver.track.kind == "video")
        ticks = Ticks(1 / FLOOD_HZ)
        while True:
            await ticks.wait()
            newest = receiver._RTCRtpReceiver__nack_generator.max_seq
            numbers = [(newest - back) % 0x10000 for back in range(FLOOD_PACKETS, 0, -1)]
            for source in receiver.getSynchronizationSources():
                await receiver._send_rtcp_nack(source.source, numbers)

    async def _count(self):
        """Reports what has come through the connection in all."""
        while True:
            stats = next(stat for stat in (await self._rtc.getStats()).values() if stat.type == "transport")
            self._peer.line.emit("received", bytes=stats.bytesReceived, packets=stats.packetsReceived)
            await asyncio.sleep(COUNT_SECONDS)

    def _on_state(self):
        match self._rtc.connectionState:
            case "connected":
                self._peer.connected()
                self._listening.append(asyncio.create_task(self._count()))
            case "failed":
                self._peer.failed()


async def frames(track):
    while True:
        try:
            yield await track.recv()
        except MediaStreamError:
            return


async def main():
    await Peer(options(), Connection).run()


if __name__ == "__main__":
    asyncio.run(main())

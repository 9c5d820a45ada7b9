"""One end of a call that is a program: JSON lines on stdin and stdout, as `ahoy-peer` has them.

It speaks the six messages of Ahoy's signaling and no other, and reports what it sees and hears in `media` events.
The `Connection` of gstreamer.py or aiortc_peer.py is the program's own WebRTC.
"""

import argparse
import asyncio
import json
import sys
import threading
import traceback
import uuid

from test_signal import Ear, read_frame, unix_ms

WIDTH, HEIGHT, FPS = 640, 360, 30
REPORT_SECONDS = 0.25


def options(**more):
    """The command line: the role, which media are sent, and what a program adds to that."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["call", "answer"])
    parser.add_argument("--audio", action="store_true")
    parser.add_argument("--video", action="store_true")
    for name, choices in more.items():
        parser.add_argument("--" + name, choices=choices, default=choices[0])
    return parser.parse_args()


class Line:
    """The line to the test."""

    def __init__(self):
        self._lock = threading.Lock()

    def write(self, **fields):
        with self._lock:
            sys.stdout.write(json.dumps(fields) + "\n")
            sys.stdout.flush()

    def emit(self, event, **fields):
        self.write(event=event, t=round(unix_ms()), **fields)

    async def read(self, handle):
        """Gives each line to `handle`, one at a time, until there are no more."""
        loop = asyncio.get_running_loop()
        lines = asyncio.Queue()

        def read():
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, json.loads(line))
            loop.call_soon_threadsafe(lines.put_nowait, None)

        threading.Thread(target=read, daemon=True).start()
        while (line := await lines.get()) is not None:
            await handle(line)


class Probe:
    """What arrives. Its methods can be called by any thread."""

    def __init__(self, line):
        self._line = line
        self._lock = threading.Lock()
        self._frames = []
        self._ear = Ear()
        self._seen = self._heard = False

    def saw(self, rows, width, height):
        with self._lock:
            self._frames.append(read_frame(rows, width, height))
            first, self._seen = not self._seen, True
        if first:
            self._line.emit("first-video", width=width, height=height)

    def heard(self, samples):
        with self._lock:
            self._ear.push(samples)
            first, self._heard = not self._heard, True
        if first:
            self._line.emit("first-audio")

    def report(self):
        with self._lock:
            frames, self._frames = self._frames, []
            levels, beeps = self._ear.take()
        self._line.emit("media", frames=frames, levels=levels, beeps=beeps)


class Peer:
    """Holds one call. `connect(peer)` makes the program's connection."""

    def __init__(self, options, connect):
        self.options = options
        self.line = Line()
        self.probe = Probe(self.line)
        self._connect = connect
        self._connection = None
        self._channel = str(uuid.uuid4()) if options.role == "call" else None
        self._seq = 0
        self._ended = asyncio.Event()
        self._early = []
        self._described = False

    async def run(self):
        if self.options.role == "call":
            media = {"audio": self.options.audio, "video": self.options.video}
            self.send({"type": "call-request", "media": media})
        reading = asyncio.create_task(self.line.read(self._on_line))
        reporting = asyncio.create_task(self._report())
        ended = asyncio.create_task(self._ended.wait())
        done, _ = await asyncio.wait([reading, reporting, ended], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if self._connection:
            await self._connection.close()

    def send(self, payload):
        self._seq += 1
        self.line.write(v=1, channel=self._channel, seq=self._seq, payload=payload)

    def connected(self):
        self.line.emit("connected")

    def failed(self):
        self._hang_up("failed")

    async def _report(self):
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            if self._connection:
                self.probe.report()

    async def _on_line(self, line):
        try:
            if "cmd" in line:
                await self._on_command(line["cmd"])
            elif "payload" in line:
                await self._on_envelope(line["channel"], line["payload"])
        except Exception:
            # What went wrong here is for the test to see.
            self.line.emit("error", message=traceback.format_exc())
            raise

    async def _on_command(self, command):
        match command:
            case "mute" | "unmute":
                self._connection.send_audio(command == "unmute")
            case "camera-off" | "camera-on":
                self._connection.send_video(command == "camera-on")
            case "flood-nacks":
                self._connection.flood_nacks()
            case "hangup":
                self._hang_up("hangup")
            case _:
                raise ValueError(f"no command {command}")

    async def _on_envelope(self, channel, payload):
        kind = payload["type"]
        if kind == "call-request" and self.options.role == "answer" and not self._connection:
            self._channel = channel
            self._connection = self._connect(self)
            self.line.emit("ringing")
            self.send({"type": "call-ack"})
        elif channel != self._channel:
            return
        elif kind == "call-ack" and self.options.role == "call" and not self._connection:
            self._connection = self._connect(self)
            self.line.emit("accepted")
            self.send({"type": "call-offer", "sdp": await self._connection.offer()})
        elif kind == "call-hangup":
            self._end(payload.get("reason", "hangup"))
        elif kind == "call-offer":
            answer = await self._connection.answer(payload["sdp"])
            self.send({"type": "call-answer", "sdp": answer})
            await self._is_described()
        elif kind == "call-answer":
            await self._connection.accept(payload["sdp"])
            await self._is_described()
        elif kind == "ice-candidate":
            await self._on_candidate(payload.get("candidate") or {})

    async def _is_described(self):
        self._described = True
        early, self._early = self._early, []
        for candidate in early:
            await self._on_candidate(candidate)

    async def _on_candidate(self, candidate):
        if not candidate.get("candidate"):
            return
        if self._described:
            await self._connection.add_candidate(candidate)
        else:
            self._early.append(candidate)

    def _hang_up(self, reason):
        self.send({"type": "call-hangup", "reason": reason})
        self._end(reason)

    def _end(self, reason):
        if not self._ended.is_set():
            self.line.emit("ended", reason=reason)
            self._ended.set()

import type { Stats } from '../ipc/types';

/** Counters of one report, from which the next report's stats are computed. */
export interface Counters {
  at: number;
  inBytes: number;
  outBytes: number;
  received: number;
  lost: number;
  recovered: number;
  freezes: number;
  concealed: number;
  bufferDelay: number;
  bufferCount: number;
}

const sum = (values: unknown[]) => values.reduce((all: number, value) => all + (Number(value) || 0), 0);

/** The webview's report (W3C webrtc-stats) in the shape of the engine's stats: since the report before, if there was one. */
export function toStats(report: Iterable<Record<string, unknown>>, before: Counters | null): [Stats, Counters] {
  const all = [...report];
  const of = (type: string) => all.filter((entry) => entry.type === type);
  const inbound = of('inbound-rtp');
  const outbound = of('outbound-rtp');
  const inVideo = inbound.find(({ kind }) => kind === 'video') ?? {};
  const inAudio = inbound.find(({ kind }) => kind === 'audio') ?? {};
  const outVideo = outbound.find(({ kind }) => kind === 'video') ?? {};
  const pair = of('candidate-pair').find(({ nominated, state }) => nominated && state === 'succeeded');
  const at = Number(all[0]?.timestamp ?? 0);

  const now: Counters = {
    at,
    inBytes: sum(inbound.map(({ bytesReceived }) => bytesReceived)),
    outBytes: sum(outbound.map(({ bytesSent }) => bytesSent)),
    received: sum(inbound.map(({ packetsReceived }) => packetsReceived)),
    lost: sum(inbound.map(({ packetsLost }) => packetsLost)),
    recovered: Number(inVideo.retransmittedPacketsReceived) || 0,
    freezes: Number(inVideo.freezeCount) || 0,
    concealed: Number(inAudio.concealedSamples) || 0,
    bufferDelay: Number(inAudio.jitterBufferDelay) || 0,
    bufferCount: Number(inAudio.jitterBufferEmittedCount) || 0,
  };
  const last = before ?? now;
  const ms = Math.max(1, now.at - last.at);
  const lost = Math.max(0, now.lost - last.lost);
  const packets = lost + Math.max(0, now.received - last.received);
  const emitted = now.bufferCount - last.bufferCount;
  const kbps = (bytes: number) => Math.max(0, Math.round((bytes * 8) / ms));
  const rtt = pair?.currentRoundTripTime;
  const available = pair?.availableOutgoingBitrate;

  const stats: Stats = {
    at,
    rttMs: typeof rtt === 'number' ? rtt * 1000 : null,
    lossPercent: packets > 0 ? (100 * lost) / packets : 0,
    out: {
      kbps: kbps(now.outBytes - last.outBytes),
      fps: Number(outVideo.framesPerSecond) || 0,
      width: Number(outVideo.frameWidth) || 0,
      height: Number(outVideo.frameHeight) || 0,
    },
    in: {
      kbps: kbps(now.inBytes - last.inBytes),
      fps: Number(inVideo.framesPerSecond) || 0,
      width: Number(inVideo.frameWidth) || 0,
      height: Number(inVideo.frameHeight) || 0,
      lost,
      recovered: Math.max(0, now.recovered - last.recovered),
      freezes: Math.max(0, now.freezes - last.freezes),
      jitterBufferMs: emitted > 0 ? (1000 * (now.bufferDelay - last.bufferDelay)) / emitted : 0,
      // At Opus's 48 kHz.
      concealedMs: Math.max(0, now.concealed - last.concealed) / 48,
      skewMs: null,
    },
    targetKbps: typeof available === 'number' ? Math.round(available / 1000) : null,
  };
  return [stats, now];
}

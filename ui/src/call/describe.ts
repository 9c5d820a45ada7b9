import type { Key } from '../i18n/i18n.svelte';
import type { Call, CallPhase, NetworkReason, Quality, Route, Unheard } from '../ipc/types';

export const QUALITY_TEXT: Record<Quality, Key> = {
  good: 'quality.good',
  fair: 'quality.fair',
  poor: 'quality.poor',
  lost: 'quality.lost',
};
export const ROUTE_TEXT: Record<Route, Key> = { direct: 'route.direct', relayed: 'route.relayed' };

const PHASE_TEXT: Record<Exclude<CallPhase, 'held' | 'ended'>, Key> = {
  calling: 'phase.calling',
  ringing: 'phase.ringing',
  incoming: 'phase.incoming',
  connecting: 'phase.connecting',
  active: 'phase.active',
  reconnecting: 'phase.reconnecting',
};

/** Ends that are told in the user's language; for any other the shell's text stands. */
const END_TEXT: Record<string, Key> = {
  hangup: 'end.hangup',
  declined: 'end.declined',
  busy: 'end.busy',
  timeout: 'end.timeout',
  failed: 'end.failed',
};

/** The reason in a few words for the quality mark, and in a sentence. */
interface NetworkText {
  short: Key;
  long: Key;
}

const inBothDirections = (text: NetworkText) => ({ sending: text, receiving: text });

const REASON_TEXT: Record<NetworkReason, Record<'sending' | 'receiving', NetworkText>> = {
  loss: {
    sending: { short: 'network.loss', long: 'network.loss-sending' },
    receiving: { short: 'network.loss', long: 'network.loss-receiving' },
  },
  delay: {
    sending: { short: 'network.delay', long: 'network.delay-about' },
    receiving: { short: 'network.late', long: 'network.late-about' },
  },
  bandwidth: {
    sending: { short: 'network.slow', long: 'network.slow-about' },
    receiving: { short: 'network.slow-there', long: 'network.slow-there-about' },
  },
  processor: inBothDirections({ short: 'network.busy', long: 'network.busy-about' }),
  outage: inBothDirections({ short: 'network.outage', long: 'network.outage-about' }),
};

/** Why the call does not go well, and what was adapted to it; null where there is nothing to tell. */
export function networkText(call: Call): NetworkText | null {
  if (!isConnected(call)) return null;
  if (call.adapted === 'paused') return { short: 'network.paused-here', long: 'network.paused-here-about' };
  if (!call.trouble || call.quality === 'good') return null;
  const { reason, flow } = call.trouble;
  if (call.adapted === 'smaller' && flow === 'sending') {
    if (reason === 'bandwidth') return { short: 'network.slow-smaller', long: 'network.slow-smaller-about' };
    if (reason === 'processor') return { short: 'network.busy-smaller', long: 'network.busy-smaller-about' };
  }
  return REASON_TEXT[reason][flow ?? 'sending'];
}

/** Whether the own video is on, and is not sent because the connection is slow. */
export function isPausedHere(call: Call): boolean {
  return call.adapted === 'paused' && call.phase === 'active' && call.wanted.video;
}

/** How far the call is, in words: what a screen reader says when it changes. */
export function phaseText(call: Call): Key {
  if (call.phase === 'ended') return END_TEXT[call.end?.reason ?? 'hangup'] ?? 'end.other';
  if (call.phase === 'held') return call.heldHere ? 'phase.held-here' : 'phase.held-there';
  return PHASE_TEXT[call.phase];
}

/** The shell's own words, where ours say less. */
export function endDetail(call: Call): string | null {
  const { end } = call;
  if (!end) return null;
  return end.reason === 'failed' || !(end.reason in END_TEXT) ? end.text : null;
}

const UNHEARD_TEXT: Record<Unheard, { icon: 'mic-off' | 'speaker' | 'warning'; what: Key; todo: Key }> = {
  'no-microphone': { icon: 'mic-off', what: 'unheard.you', todo: 'unheard.no-microphone' },
  'silent-microphone': { icon: 'mic-off', what: 'unheard.you', todo: 'unheard.silent-microphone' },
  'on-the-way': { icon: 'warning', what: 'unheard.you', todo: 'unheard.on-the-way' },
  there: { icon: 'speaker', what: 'unheard.them', todo: 'unheard.there' },
};

/** Who cannot be heard, why and what to do; null where it does not matter. */
export function unheardText(call: Call) {
  const why = isLive(call) ? call.unheard : null;
  // Who is muted does not want to be heard.
  if (!why || (why !== 'there' && !call.wanted.audio)) return null;
  return { why, ...UNHEARD_TEXT[why] };
}

export function isLive(call: Call | null): call is Call {
  return call !== null && call.phase !== 'ended';
}

/** Whether media can flow, or could a moment ago. */
export function isConnected({ phase }: Call): boolean {
  return phase === 'active' || phase === 'held' || phase === 'reconnecting';
}

/** 0:07, 12:34, 1:02:03. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** The corner of its box that the own picture was dropped nearest to, so that it never lies in the way. */
export type Corner = 'top-left' | 'top-right' | 'bottom-left' | 'bottom-right';

export function nearestCorner(x: number, y: number, width: number, height: number): Corner {
  return `${y < height / 2 ? 'top' : 'bottom'}-${x < width / 2 ? 'left' : 'right'}`;
}

/** Where an arrow key moves it; null: the key is none. */
export function moved(corner: Corner, key: string): Corner | null {
  const [vertical, horizontal] = corner.split('-') as ['top' | 'bottom', 'left' | 'right'];
  switch (key) {
    case 'ArrowUp':
      return `top-${horizontal}`;
    case 'ArrowDown':
      return `bottom-${horizontal}`;
    case 'ArrowLeft':
      return `${vertical}-left`;
    case 'ArrowRight':
      return `${vertical}-right`;
    default:
      return null;
  }
}

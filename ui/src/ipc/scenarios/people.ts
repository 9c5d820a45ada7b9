import type { Contact, ContactRequest, Devices, HistoryEntry, Nearby, Stats } from '../types';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

function contact(id: string, name: string, more: Partial<Contact> = {}): Contact {
  return { id: `${id}7f3c9ad1e05b48c26a91d47be8f0c35d`, name, ownName: null, presence: 'online', blocked: false, echo: false, lastSeen: null, ...more };
}

export const ECHO = contact('echo', 'Echo (test call)', { echo: true });
export const AMELIE = contact('a1', 'Amélie Durand');

export const people = (now: number): Contact[] => [
  ECHO,
  AMELIE,
  contact('b2', 'Jonas Weber'),
  contact('c3', 'Priya Raman', { presence: 'in-call' }),
  contact('d4', 'Mum', { presence: 'away' }),
  contact('e5', 'Sofia Lindqvist', { presence: 'do-not-disturb' }),
  contact('f6', 'Studio North', { presence: 'no-calls' }),
  contact('09', 'דוד כהן', { presence: 'busy' }),
  contact('18', 'Tomás Ferreira', { presence: 'offline', lastSeen: now - 3 * DAY }),
  contact('27', 'Workshop', { presence: 'offline', ownName: 'Workshop (ground floor)', lastSeen: now - 40 * MINUTE }),
  contact('36', 'cheap loans!!', { blocked: true }),
];

/** Names as nobody should have them. */
export const hostile = (): Contact[] => [
  ECHO,
  contact('aa', 'W'.repeat(10_000)),
  contact('bb', '<img src=x onerror="document.title=1"><b>bold</b>'),
  contact('cc', '\u202eecila\u0000\u0007\n\nnew line'),
  contact('dd', '\u2066\u2067 مرحبا (call) 123 \u202e'),
  contact('ee', '   \u200b  '),
  contact('ff', 'Z̸̢̛̤͓̾ą̷͖̈́l̶͍̈́g̵͉̀o̷̰͝'.repeat(20)),
];

export const requests = (now: number): ContactRequest[] => [
  { id: '5a5a77', name: 'Lena Hoffmann', text: 'We met at the meetup on Thursday. I have the slides you asked about.', at: now - 25 * MINUTE },
];

export const nearby: Nearby[] = [
  { id: '8c8c01', name: 'Kitchen tablet' },
  { id: '8c8c02', name: 'Marek' },
];

export function history(now: number): HistoryEntry[] {
  const all = people(now);
  const entry = (id: number, who: number, ago: number, more: Partial<HistoryEntry>): HistoryEntry => {
    const { id: peer, name: peerName } = all[who] as Contact;
    const startedAt = now - ago;
    return { id, peer, peerName, direction: 'outgoing', video: true, startedAt, answeredAt: startedAt + 6000, endedAt: startedAt + 14 * MINUTE, outcome: 'answered', reason: null, seen: true, ...more };
  };
  const unanswered = { answeredAt: null } as const;
  return [
    entry(9, 2, 35 * MINUTE, { direction: 'incoming', video: false, outcome: 'missed', seen: false, ...unanswered }),
    entry(8, 1, 3 * 60 * MINUTE, { direction: 'incoming' }),
    entry(7, 0, 4 * 60 * MINUTE, { endedAt: now - 4 * 60 * MINUTE + 48_000 }),
    entry(6, 4, DAY + 20 * MINUTE, { video: false, endedAt: now - DAY + 52 * MINUTE }),
    entry(5, 3, DAY + 90 * MINUTE, { outcome: 'busy', ...unanswered }),
    entry(4, 5, DAY + 5 * 60 * MINUTE, { outcome: 'no-answer', ...unanswered }),
    entry(3, 8, 4 * DAY, { direction: 'incoming', outcome: 'interrupted', endedAt: now - 4 * DAY + 3 * MINUTE }),
    entry(2, 1, 4 * DAY + 60 * MINUTE, { video: false, direction: 'incoming', outcome: 'declined', ...unanswered }),
  ];
}

export const devices: Devices = {
  cameras: [
    { id: 'cam0', name: 'Integrated Camera', isDefault: true, formats: ['1280x720@30 MJPEG', '640x480@30 YUYV'] },
    { id: 'pattern', name: 'Test pattern', isDefault: false, formats: [] },
  ],
  microphones: [
    { id: 'mic0', name: 'Built-in microphone', isDefault: true, formats: [] },
    { id: 'mic1', name: 'USB headset', isDefault: false, formats: [] },
    { id: 'tone', name: 'Test tone', isDefault: false, formats: [] },
  ],
  speakers: [
    { id: 'out0', name: 'Built-in speakers', isDefault: true, formats: [] },
    { id: 'out1', name: 'USB headset', isDefault: false, formats: [] },
  ],
};

/** Believable stats of the second `index`. */
export function stats(index: number, now: number): Stats {
  const wave = (period: number, size: number) => Math.sin((index / period) * Math.PI * 2) * size + Math.sin(index * 1.7) * size * 0.3;
  const bad = index % 60 > 34 && index % 60 < 40;
  return {
    at: now,
    rttMs: 24 + wave(22, 4) + (bad ? 30 : 0),
    lossPercent: bad ? 3.2 + wave(3, 1) : 0,
    out: { kbps: Math.round(1480 + wave(17, 90)), fps: 30, width: 1280, height: 720 },
    in: {
      kbps: Math.round(1390 + wave(13, 140) - (bad ? 400 : 0)),
      fps: bad ? 26 : 30,
      width: 1280,
      height: 720,
      lost: 1,
      recovered: 1,
      freezes: 0,
      jitterBufferMs: 21 + wave(19, 4) + (bad ? 22 : 0),
      concealedMs: 10,
      skewMs: -8 + wave(11, 5),
    },
    targetKbps: 1500,
  };
}

// What page and shell say to each other. The shell's Rust structs are the source of truth; these are their equals.

/** What happened and what to do about it. Told apart by `code`, never by its text. */
export interface Notice {
  code: string;
  what: string;
  todo: string;
}

export interface MediaState {
  audio: boolean;
  video: boolean;
}

export type Presence = 'offline' | 'online' | 'away' | 'busy' | 'in-call' | 'do-not-disturb' | 'no-calls';

/** What a person can choose to be seen as. */
export type OwnPresence = 'online' | 'away' | 'do-not-disturb';

export interface Contact {
  id: string;
  /** The name that the contact gave itself: hostile until shown otherwise. */
  name: string;
  /** The name that the user gave the contact. */
  ownName: string | null;
  presence: Presence;
  blocked: boolean;
  /** The built-in test contact. */
  echo: boolean;
  /** Unix time in ms. */
  lastSeen: number | null;
}

export interface ContactRequest {
  id: string;
  name: string;
  text: string;
  /** Unix time in ms. */
  at: number;
}

export interface Nearby {
  id: string;
  name: string;
}

export type CallPhase =
  | 'calling'
  | 'ringing'
  | 'incoming'
  | 'connecting'
  | 'active'
  | 'reconnecting'
  | 'held'
  | 'ended';

export type Direction = 'outgoing' | 'incoming';
export type Route = 'direct' | 'relayed';
export type Quality = 'good' | 'fair' | 'poor';

export interface CallEnd {
  reason: string;
  text: string;
}

export type CallMode = 'native' | 'browser';
/** Who cannot be heard: this end by the other, or the other by this one. */
export type Unheard = 'here' | 'there';

export interface Call {
  id: string;
  peer: string;
  peerName: string;
  direction: Direction;
  phase: CallPhase;
  /** What the user wants to send. */
  wanted: MediaState;
  /** What is being sent. */
  sending: MediaState;
  receiving: MediaState;
  heldHere: boolean;
  heldThere: boolean;
  /** When media began to flow, unix time in ms. */
  startedAt: number | null;
  remoteStream: string | null;
  localStream: string | null;
  route: Route | null;
  quality: Quality | null;
  unheard: Unheard | null;
  mode: CallMode;
  notices: Notice[];
  end: CallEnd | null;
}

export type Outcome =
  | 'answered'
  | 'missed'
  | 'declined'
  | 'busy'
  | 'no-answer'
  | 'failed'
  | 'interrupted'
  | 'cancelled';

export interface HistoryEntry {
  id: number;
  peer: string;
  peerName: string;
  direction: Direction;
  video: boolean;
  /** Unix times in ms. */
  startedAt: number;
  answeredAt: number | null;
  endedAt: number | null;
  outcome: Outcome;
  reason: string | null;
  seen: boolean;
}

export interface DeviceInfo {
  id: string;
  name: string;
  isDefault: boolean;
  formats: string[];
}

export interface Devices {
  cameras: DeviceInfo[];
  microphones: DeviceInfo[];
  speakers: DeviceInfo[];
}

export type DeviceKind = 'camera' | 'microphone' | 'speaker' | 'ringer';

export type Language = 'system' | 'en' | 'de' | 'fr';
export type Theme = 'system' | 'light' | 'dark';

export interface IceServer {
  url: string;
  user: string;
  credential: string;
}

export interface Settings {
  name: string;
  /** Calls run natively; off: in the webview's own WebRTC. */
  experimentalCalls: boolean;
  /** Takes no calls, and contacts are told so. */
  videoDisabled: boolean;
  doNotDisturb: boolean;
  visibleNearby: boolean;
  autostart: boolean;
  closeToTray: boolean;
  language: Language;
  theme: Theme;
  camera: string | null;
  microphone: string | null;
  speaker: string | null;
  ringer: string | null;
  echoCancellation: boolean;
  noiseSuppression: boolean;
  automaticGain: boolean;
  relayUrl: string | null;
  iceServers: IceServer[];
  relayOnly: boolean;
  firstRunDone: boolean;
}

export type MediaModeReason = 'setting' | 'webview-cannot' | 'calls-disabled';

export interface MediaMode {
  mode: CallMode;
  why: MediaModeReason;
  canBrowser: boolean;
}

export interface StatsOut {
  kbps: number;
  fps: number;
  width: number;
  height: number;
}

export interface StatsIn extends StatsOut {
  lost: number;
  recovered: number;
  freezes: number;
  jitterBufferMs: number;
  concealedMs: number;
  /** How far the picture is behind its sound. */
  skewMs: number | null;
}

export interface Stats {
  /** Unix time in ms. */
  at: number;
  rttMs: number | null;
  lossPercent: number;
  out: StatsOut;
  in: StatsIn;
  targetKbps: number | null;
}

export interface Me {
  id: string;
  name: string;
}

export interface Start {
  me: Me;
  settings: Settings;
  contacts: Contact[];
  requests: ContactRequest[];
  nearby: Nearby[];
  call: Call | null;
  history: HistoryEntry[];
  mediaMode: MediaMode;
  notices: Notice[];
}

export interface Invite {
  link: string;
  qrSvg: string;
  /** Unix time in ms. */
  expiresAt: number;
}

/** Whether media can flow on the page's own connection. */
export type LinkState = 'connected' | 'lost';

/** A signaling payload that the page's own WebRTC makes or takes; and from the page alone, how its connection is. */
export type SignalPayload =
  | { type: 'link'; state: LinkState }
  | { type: 'call-offer'; sdp: string }
  | { type: 'call-answer'; sdp: string }
  | { type: 'ice-candidate'; candidate: RTCIceCandidateInit };

/** What the page is asked to bring forward. */
export type View = 'call' | 'contacts' | 'invite';

export type AppEvent =
  | { type: 'contacts'; contacts: Contact[] }
  | { type: 'requests'; requests: ContactRequest[] }
  | { type: 'nearby'; nearby: Nearby[] }
  | { type: 'call'; call: Call }
  | { type: 'history'; entries: HistoryEntry[] }
  | { type: 'settings'; settings: Settings; mediaMode: MediaMode }
  | { type: 'devices'; devices: Devices }
  | { type: 'level'; kind: DeviceKind; peak: number }
  | { type: 'stats'; stats: Stats }
  | { type: 'notice'; notice: Notice }
  | { type: 'signal'; call: string; payload: SignalPayload }
  | { type: 'open'; view: View; link: string | null };

// What page and shell say to each other: made of the shell's Rust structs (src-tauri/src/api), by one name each.

import type { Presence } from './generated/Presence';

export type { Adapted } from './generated/Adapted';
export type { AppEvent } from './generated/AppEvent';
export type { Call } from './generated/Call';
export type { CallEnd } from './generated/CallEnd';
export type { CallMode } from './generated/CallMode';
export type { CallPhase } from './generated/CallPhase';
export type { Contact } from './generated/Contact';
export type { ContactRequest } from './generated/ContactRequest';
export type { DeviceInfo } from './generated/DeviceInfo';
export type { DeviceKind } from './generated/DeviceKind';
export type { Devices } from './generated/Devices';
export type { Direction } from './generated/Direction';
export type { Flow } from './generated/Flow';
export type { HistoryEntry } from './generated/HistoryEntry';
export type { Hole } from './generated/Hole';
export type { IceServer } from './generated/IceServer';
export type { Invite } from './generated/Invite';
export type { Language } from './generated/Language';
export type { LinkState } from './generated/LinkState';
export type { Me } from './generated/Me';
export type { MediaMode } from './generated/MediaMode';
export type { MediaModeReason } from './generated/MediaModeReason';
export type { MediaState } from './generated/MediaState';
export type { Nearby } from './generated/Nearby';
export type { NetworkReason } from './generated/NetworkReason';
export type { NetworkTrouble } from './generated/NetworkTrouble';
export type { Notice } from './generated/Notice';
export type { Outcome } from './generated/Outcome';
export type { PictureNews } from './generated/PictureNews';
export type { Presence } from './generated/Presence';
export type { Quality } from './generated/Quality';
export type { Route } from './generated/Route';
export type { Settings } from './generated/Settings';
export type { SignalPayload } from './generated/SignalPayload';
export type { Start } from './generated/Start';
export type { Stats } from './generated/Stats';
export type { StatsIn } from './generated/StatsIn';
export type { StatsOut } from './generated/StatsOut';
export type { Theme } from './generated/Theme';
export type { Unheard } from './generated/Unheard';
export type { VideoQuality } from './generated/VideoQuality';
export type { View } from './generated/View';

/** What a person can choose to be seen as. */
export type OwnPresence = Extract<Presence, 'online' | 'away' | 'do-not-disturb'>;

import type { LinkState, MediaState, Route, SignalPayload } from '../ipc/types';
import { scaleDown, type VideoLimit } from './video-limit';

export type Link = LinkState | 'closed';

export interface BrowserCallOptions {
  /** The callee is the polite side of perfect negotiation (RFC 8829): it gives way when offers collide. */
  polite: boolean;
  iceServers: RTCIceServer[];
  relayOnly: boolean;
  send(payload: SignalPayload): void;
  /** Opens a camera or a microphone. */
  open(kind: 'audio' | 'video'): Promise<MediaStreamTrack>;
  onRemote(stream: MediaStream): void;
  /** The own picture, or null while the camera is off. */
  onLocal(stream: MediaStream | null): void;
  onLink(link: Link): void;
  onRoute(route: Route): void;
  /** What is really sent, after devices were opened or not. */
  onSending(sending: MediaState): void;
  onError(what: 'audio' | 'video' | 'negotiation', error: unknown): void;
  connect?(configuration: RTCConfiguration): RTCPeerConnection;
}

type Kind = 'audio' | 'video';
const KINDS: readonly Kind[] = ['audio', 'video'];

/**
 * The media of one call in the webview's own WebRTC, with the same offers, answers and candidates that the native engine
 * speaks. Signaling is done one after the other, so a candidate never overtakes the description it belongs to; devices are
 * opened in a line of their own, so that a camera that takes a second, or asks first, holds up no connection.
 */
export class BrowserCall {
  readonly #options: BrowserCallOptions;
  readonly #connection: RTCPeerConnection;
  readonly #remote = new MediaStream();
  readonly #tracks: Partial<Record<Kind, MediaStreamTrack>> = {};
  #signaling: Promise<void> = Promise.resolve();
  #media: Promise<void> = Promise.resolve();
  #wanted: MediaState = { audio: false, video: false };
  #limit: VideoLimit | null = null;
  #offering = false;
  #ignoringOffer = false;
  #negotiated = false;
  #early: RTCIceCandidateInit[] = [];
  #closed = false;

  constructor(options: BrowserCallOptions) {
    this.#options = options;
    const configuration: RTCConfiguration = {
      iceServers: options.iceServers,
      iceTransportPolicy: options.relayOnly ? 'relay' : 'all',
    };
    const connection = options.connect?.(configuration) ?? new RTCPeerConnection(configuration);
    this.#connection = connection;
    connection.onicecandidate = ({ candidate }) => {
      if (candidate) options.send({ type: 'ice-candidate', candidate: candidate.toJSON() });
    };
    connection.ontrack = ({ track, transceiver }) => {
      this.#remote.addTrack(track);
      options.onRemote(this.#remote);
      this.#watchRoute(transceiver);
    };
    connection.onconnectionstatechange = () => this.#onConnectionState();
    connection.onnegotiationneeded = () => {
      // The first offer is the caller's, once the callee has accepted; later ones are made by whoever needs them.
      if (this.#negotiated) void this.#signal(() => this.#sendOffer());
    };
  }

  /** The caller's part, once the callee has accepted. Both kinds are offered, so that a camera can come later. */
  offer(): Promise<void> {
    return this.#signal(async () => {
      for (const kind of KINDS) this.#connection.addTransceiver(kind, { direction: 'sendrecv' });
      this.#negotiated = true;
      await this.#sendOffer();
      // What was opened meanwhile has its sender now.
      void this.#applyWanted();
    });
  }

  handle(payload: SignalPayload): Promise<void> {
    return this.#signal(async () => {
      switch (payload.type) {
        case 'call-offer':
          return this.#onOffer(payload.sdp);
        case 'call-answer':
          // An answer to an offer that was rolled back is nobody's.
          if (this.#connection.signalingState !== 'have-local-offer') return;
          return this.#setRemoteDescription({ type: 'answer', sdp: payload.sdp });
        case 'ice-candidate':
          return this.#onCandidate(payload.candidate);
        case 'link':
        // Said by the page, never to it.
      }
    });
  }

  /**
   * Sends these media from now on, and none that is not among them: off is a stopped camera, and no packet from the
   * microphone, not one of silence.
   */
  send(wanted: MediaState): Promise<void> {
    if (wanted.audio === this.#wanted.audio && wanted.video === this.#wanted.video) return this.#media;
    this.#wanted = wanted;
    return this.#applyWanted();
  }

  /** Opens another device in place of the one in use. */
  reopen(kind: Kind): Promise<void> {
    this.#media = this.#media.then(() => this.#stop(kind));
    return this.#applyWanted();
  }

  /** Sends no more than this of the camera from now on. */
  limitVideo(limit: VideoLimit): Promise<void> {
    this.#limit = limit;
    this.#media = this.#media
      .then(() => (this.#closed ? undefined : this.#applyLimit()))
      .catch((error: unknown) => this.#failed(error));
    return this.#media;
  }

  stats(): Promise<RTCStatsReport> {
    return this.#connection.getStats();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const kind of KINDS) this.#stop(kind);
    this.#connection.close();
    this.#options.onLink('closed');
  }

  #signal(step: () => Promise<void>): Promise<void> {
    this.#signaling = this.#signaling
      .then(() => (this.#closed ? undefined : step()))
      .catch((error: unknown) => this.#failed(error));
    return this.#signaling;
  }

  #applyWanted(): Promise<void> {
    this.#media = this.#media
      .then(() => (this.#closed ? undefined : this.#sendWanted()))
      .catch((error: unknown) => this.#failed(error));
    return this.#media;
  }

  #failed(error: unknown): void {
    if (!this.#closed) this.#options.onError('negotiation', error);
  }

  async #sendOffer(): Promise<void> {
    // Whatever was needed is in the offer that is out, or will be asked for again once that is answered.
    if (this.#connection.signalingState !== 'stable') return;
    this.#offering = true;
    try {
      await this.#connection.setLocalDescription();
      const description = this.#connection.localDescription;
      if (description) this.#options.send({ type: 'call-offer', sdp: description.sdp });
    } finally {
      this.#offering = false;
    }
  }

  async #onOffer(sdp: string): Promise<void> {
    const collision = this.#offering || this.#connection.signalingState !== 'stable';
    this.#ignoringOffer = collision && !this.#options.polite;
    if (this.#ignoringOffer) return;
    await this.#setRemoteDescription({ type: 'offer', sdp });
    // What the other side offers is taken in both directions, whether or not there is something to send yet.
    for (const transceiver of this.#connection.getTransceivers()) {
      if (transceiver.direction === 'recvonly') transceiver.direction = 'sendrecv';
    }
    await this.#connection.setLocalDescription();
    const description = this.#connection.localDescription;
    if (description) this.#options.send({ type: 'call-answer', sdp: description.sdp });
    this.#negotiated = true;
    void this.#applyWanted();
  }

  async #setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    await this.#connection.setRemoteDescription(description);
    for (const candidate of this.#early.splice(0)) await this.#onCandidate(candidate);
  }

  async #onCandidate(candidate: RTCIceCandidateInit): Promise<void> {
    if (!this.#connection.remoteDescription) {
      this.#early.push(candidate);
      return;
    }
    try {
      await this.#connection.addIceCandidate(candidate);
    } catch (error) {
      // One bad candidate is one way fewer, not the end of the call; those of an ignored offer fit nothing.
      if (!this.#ignoringOffer) console.warn('a candidate of the other side cannot be used', error);
    }
  }

  async #sendWanted(): Promise<void> {
    for (const kind of KINDS) {
      if (this.#wanted[kind]) await this.#start(kind);
      else await this.#pause(kind);
    }
    const sending = (kind: Kind) => this.#wanted[kind] && this.#tracks[kind] !== undefined;
    this.#options.onSending({ audio: sending('audio'), video: sending('video') });
  }

  async #start(kind: Kind): Promise<void> {
    let track = this.#tracks[kind];
    if (!track) {
      try {
        track = await this.#options.open(kind);
      } catch (error) {
        this.#options.onError(kind, error);
        return;
      }
      // The device prompt may have outlived the call, or the wish.
      if (this.#closed || !this.#wanted[kind]) {
        track.stop();
        return;
      }
      this.#tracks[kind] = track;
      if (kind === 'video') this.#options.onLocal(new MediaStream([track]));
    }
    track.enabled = true;
    await this.#sender(kind)?.replaceTrack(track);
    if (kind === 'video') await this.#applyLimit();
  }

  async #applyLimit(): Promise<void> {
    const [limit, track] = [this.#limit, this.#tracks.video];
    const sender = limit && track && this.#sender('video');
    if (!sender) return;
    const parameters = sender.getParameters();
    const [encoding] = parameters.encodings ?? [];
    // Before the first answer some webviews have none yet; it is set with the track that is sent then.
    if (!encoding) return;
    encoding.maxBitrate = limit.bitrate;
    encoding.scaleResolutionDownBy = scaleDown(limit, track.getSettings());
    await sender.setParameters(parameters);
  }

  /** Nothing is sent. The microphone stays open, so that unmuting is instant; the camera's light goes out. */
  async #pause(kind: Kind): Promise<void> {
    const track = this.#tracks[kind];
    if (track) track.enabled = false;
    await this.#sender(kind)?.replaceTrack(null);
    if (kind === 'video') this.#stop(kind);
  }

  #stop(kind: Kind): void {
    const track = this.#tracks[kind];
    if (!track) return;
    track.stop();
    delete this.#tracks[kind];
    if (kind === 'video') this.#options.onLocal(null);
  }

  #sender(kind: Kind): RTCRtpSender | undefined {
    const found = this.#connection.getTransceivers().find(({ receiver }) => receiver.track.kind === kind);
    // The other side's offer did not have this kind: ours, which the new transceiver asks for, will.
    if (!found && this.#negotiated) return this.#connection.addTransceiver(kind, { direction: 'sendrecv' }).sender;
    return found?.sender;
  }

  #onConnectionState(): void {
    switch (this.#connection.connectionState) {
      case 'connected':
        return this.#options.onLink('connected');
      case 'disconnected':
        return this.#options.onLink('lost');
      case 'failed':
        this.#options.onLink('lost');
        // Makes negotiation needed: a new offer with a new ICE generation goes out.
        return this.#connection.restartIce();
      case 'new':
      case 'connecting':
      case 'closed':
    }
  }

  #watchRoute({ sender }: RTCRtpTransceiver): void {
    const ice = sender.transport?.iceTransport;
    if (!ice) return;
    const tell = () => {
      const pair = ice.getSelectedCandidatePair?.();
      const relayed = pair?.local?.type === 'relay' || pair?.remote?.type === 'relay';
      if (pair) this.#options.onRoute(relayed ? 'relayed' : 'direct');
    };
    ice.onselectedcandidatepairchange = tell;
    tell();
  }
}

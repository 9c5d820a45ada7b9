// One call of a peer that knows the six messages of Ahoy's signaling and nothing else:
// call-request, call-ack, call-offer, call-answer, ice-candidate, call-hangup.
// Negotiation is the "perfect" one of RFC 8829: the callee is the polite side.

export class Call {
  #connection = new RTCPeerConnection();
  #options;
  #offering = false;
  #ignoringOffer = false;
  #mediaAdded = false;
  #earlyCandidates = [];

  // tracks: what is sent; receives: kinds that are wanted though nothing of the kind is sent; bitrateKbps:
  // where the video's bitrate starts and stops; ceilingKbps: where it stops; polite: gives way when offers
  // collide; send: takes a payload; emit: an event's name and fields; onTrack: a remote track.
  constructor(options) {
    this.#options = options;
    const { send, emit, onTrack } = options;
    const connection = this.#connection;
    connection.onicecandidate = ({ candidate }) => {
      if (candidate) send({ type: 'ice-candidate', candidate: candidate.toJSON() });
    };
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === 'connected') emit('connected');
      if (connection.connectionState === 'failed') this.hangUp('failed');
    };
    connection.ontrack = ({ track }) => onTrack(track);
  }

  // The caller's part, once the callee has accepted.
  offer() {
    this.#connection.onnegotiationneeded = () => this.#sendOffer();
    this.#addTracks();
    const sent = this.#options.tracks.map(({ kind }) => kind);
    for (const kind of this.#options.receives) {
      if (!sent.includes(kind)) this.#connection.addTransceiver(kind, { direction: 'recvonly' });
    }
  }

  async handle(payload) {
    // Messages of the other side cross its own hang-up.
    if (this.#connection.signalingState === 'closed') return;
    switch (payload.type) {
      case 'call-offer':
        return this.#onOffer(payload.sdp);
      case 'call-answer':
        return this.#setRemoteDescription({ type: 'answer', sdp: payload.sdp });
      case 'ice-candidate':
        return this.#onCandidate(payload.candidate);
      case 'call-hangup':
        return this.#end(payload.reason ?? 'hangup');
      default: // A newer peer says more than we know.
    }
  }

  hangUp(reason = 'hangup') {
    this.#options.send({ type: 'call-hangup', reason });
    this.#end(reason);
  }

  // Off is nothing sent at all; a disabled track would send black frames.
  async sendVideo(on) {
    const video = this.#connection.getTransceivers().find(({ receiver }) => receiver.track.kind === 'video');
    const track = this.#options.tracks.find(({ kind }) => kind === 'video');
    await video?.sender.replaceTrack(on ? track : null);
    // Firefox sends the last frame again, once a second, of a track that was taken away.
    const parameters = video?.sender.getParameters();
    if (!parameters?.encodings?.length) return;
    for (const encoding of parameters.encodings) encoding.active = on;
    await video.sender.setParameters(parameters);
  }

  // Holds the call, or takes it back: 'inactive', 'recvonly', 'sendonly' or 'sendrecv' for all media.
  async direct(direction) {
    for (const transceiver of this.#connection.getTransceivers()) transceiver.direction = direction;
    await this.#sendOffer();
  }

  // Another track in the running call: a medium that it did not send, or a second one of a kind.
  async add(track) {
    this.#connection.addTrack(track, new MediaStream([track]));
    await this.#sendOffer();
  }

  stats() {
    return this.#connection.getStats();
  }

  #addTracks() {
    this.#mediaAdded = true;
    const stream = new MediaStream(this.#options.tracks);
    for (const track of this.#options.tracks) this.#connection.addTrack(track, stream);
  }

  async #sendOffer() {
    this.#offering = true;
    try {
      await this.#connection.setLocalDescription();
      this.#options.send({ type: 'call-offer', sdp: this.#connection.localDescription.sdp });
    } finally {
      this.#offering = false;
    }
  }

  async #onOffer(sdp) {
    const collision = this.#offering || this.#connection.signalingState !== 'stable';
    this.#ignoringOffer = collision && !this.#options.polite;
    if (this.#ignoringOffer) return;
    await this.#setRemoteDescription({ type: 'offer', sdp });
    // addTrack takes the transceivers that the offer made; a track whose kind was not offered stays out of
    // the answer.
    if (!this.#mediaAdded) this.#addTracks();
    await this.#connection.setLocalDescription();
    this.#options.send({ type: 'call-answer', sdp: this.#connection.localDescription.sdp });
  }

  async #setRemoteDescription({ type, sdp }) {
    await this.#connection.setRemoteDescription({ type, sdp: withBitrate(sdp, this.#options) });
    for (const candidate of this.#earlyCandidates.splice(0)) await this.#onCandidate(candidate);
  }

  async #onCandidate(candidate) {
    if (!this.#connection.remoteDescription) {
      this.#earlyCandidates.push(candidate);
      return;
    }
    try {
      await this.#connection.addIceCandidate(candidate);
    } catch (error) {
      if (!this.#ignoringOffer) throw error;
    }
  }

  #end(reason) {
    if (this.#connection.signalingState === 'closed') return;
    this.#connection.close();
    this.#options.emit('ended', { reason });
  }
}

// Chromium reads where to start and where to stop from the codec parameters of the other side's description.
function withBitrate(sdp, { bitrateKbps, ceilingKbps }) {
  const limits = [
    bitrateKbps && `x-google-start-bitrate=${bitrateKbps}`,
    (bitrateKbps || ceilingKbps) && `x-google-max-bitrate=${bitrateKbps || ceilingKbps}`,
  ].filter(Boolean);
  if (!limits.length) return sdp;
  const vp8 = sdp.match(/^a=rtpmap:(\d+) VP8\/90000\r\n/m);
  if (!vp8) return sdp;
  const parameters = `a=fmtp:${vp8[1]} ${limits.join(';')}\r\n`;
  return sdp.replace(vp8[0], vp8[0] + parameters);
}

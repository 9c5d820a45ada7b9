import type { DeviceInfo } from '../ipc/types';

/** The webview's device that is the chosen one of the shell's: their ids differ, their names are the system's. */
export function sameDevice(devices: MediaDeviceInfo[], kind: MediaDeviceKind, chosen: DeviceInfo): string | undefined {
  const name = chosen.name.toLowerCase();
  const ofKind = devices.filter((device) => device.kind === kind);
  const exact = ofKind.find(({ label }) => label.toLowerCase() === name);
  const like = ofKind.find(({ label }) => {
    const other = label.toLowerCase();
    return other !== '' && (other.includes(name) || name.includes(other));
  });
  return (exact ?? like)?.deviceId;
}

export interface Processing {
  echoCancellation: boolean;
  noiseSuppression: boolean;
  automaticGain: boolean;
}

/** Opens a camera or a microphone of the webview: the chosen one, if the webview knows it too. */
export async function openTrack(
  kind: 'audio' | 'video',
  chosen: DeviceInfo | undefined,
  { echoCancellation, noiseSuppression, automaticGain }: Processing,
  { width, height }: { width: number; height: number },
): Promise<MediaStreamTrack> {
  const { mediaDevices } = navigator;
  const all = chosen ? await mediaDevices.enumerateDevices() : [];
  const id = chosen && sameDevice(all, kind === 'audio' ? 'audioinput' : 'videoinput', chosen);
  const device: MediaTrackConstraints = id ? { deviceId: { ideal: id } } : {};
  const stream = await mediaDevices.getUserMedia(
    kind === 'audio'
      ? { audio: { ...device, echoCancellation, noiseSuppression, autoGainControl: automaticGain } }
      : { video: { ...device, width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } } },
  );
  const [track] = stream.getTracks();
  if (!track) throw new Error(`the webview gave no ${kind} track`);
  return track;
}

import type { VideoQuality } from '../ipc/types';

/** The most that is sent of the camera, as src-tauri/src/core/choice.rs has it for the engine. */
export interface VideoLimit {
  /** Bits a second. */
  bitrate: number;
  width: number;
  height: number;
}

export const VIDEO_LIMIT: Record<VideoQuality, VideoLimit> = {
  'data-saver': { bitrate: 425_000, width: 640, height: 360 },
  standard: { bitrate: 1_500_000, width: 1280, height: 720 },
  high: { bitrate: 4_000_000, width: 1920, height: 1080 },
};

/** What the camera is opened with: smaller video is made of this one, so that no camera has to be opened anew for it. */
export function cameraSize(quality: VideoQuality): { width: number; height: number } {
  const { width, height } = VIDEO_LIMIT[quality === 'high' ? 'high' : 'standard'];
  return { width, height };
}

/** By how much a camera's video is scaled down to have no more pixels than the limit: at least 1. */
export function scaleDown(limit: VideoLimit, camera: { width?: number; height?: number }): number {
  const pixels = (camera.width ?? 0) * (camera.height ?? 0);
  return Math.max(1, Math.sqrt(pixels / (limit.width * limit.height)));
}

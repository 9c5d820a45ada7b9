import { expect, it } from 'vitest';

import { cameraSize, scaleDown, VIDEO_LIMIT } from './video-limit';

it.each([
  ['data-saver', 1280, 720, 2],
  ['data-saver', 320, 240, 1],
  ['standard', 1280, 720, 1],
  ['standard', 1920, 1080, 1.5],
  ['high', 1920, 1080, 1],
] as const)('%s of %i x %i is scaled down by %d', (quality, width, height, by) => {
  expect(scaleDown(VIDEO_LIMIT[quality], { width, height })).toBe(by);
});

it('scales nothing of a camera that does not tell its size', () => {
  expect(scaleDown(VIDEO_LIMIT['data-saver'], {})).toBe(1);
});

it('opens the camera anew only for more than it gives', () => {
  expect(cameraSize('data-saver')).toEqual(cameraSize('standard'));
  expect(cameraSize('high').width).toBe(1920);
});

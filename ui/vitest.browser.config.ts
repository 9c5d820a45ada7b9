import { defineConfig } from 'vitest/config';

// Tests that drive the built page in a real Chromium.
export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    environment: 'node',
    globalSetup: 'tests/build.ts',
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // One browser at a time: machines that run this have few cores.
    fileParallelism: false,
  },
});

import { defineConfig } from 'vitest/config';

// Tests that drive the built page in a real Chromium.
export default defineConfig({
  test: { include: ['tests/**/*.test.ts'], environment: 'node', testTimeout: 60_000, hookTimeout: 120_000, fileParallelism: false },
});

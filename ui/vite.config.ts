import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The bridge to a test backend and the design scenarios are in test builds only: a production page has no way to be
// driven by anything but its shell.
export default defineConfig(({ mode }) => {
  const production = mode === 'production';
  return {
    plugins: [svelte()],
    define: { __TEST_BUILD__: JSON.stringify(!production) },
    // Under Vitest, runes must be the browser's: the server's have no reactions.
    resolve: mode === 'test' && process.env.VITEST ? { conditions: ['browser'] } : {},
    build: {
      outDir: production ? 'dist' : 'dist-test',
      target: ['safari16', 'chrome109'],
      // A page that the shell serves from memory gains nothing by many small files.
      modulePreload: false,
      assetsInlineLimit: 0,
    },
    server: { host: '127.0.0.1', port: 5173, strictPort: true },
    clearScreen: false,
    // The limit is a busy machine's: none of them takes a second.
    test: { include: ['src/**/*.test.ts'], environment: 'node', testTimeout: 60_000 },
  };
});

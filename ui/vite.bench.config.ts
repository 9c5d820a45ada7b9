import { defineConfig } from 'vite';

/** One script that a benchmark can put into a page which is already there. */
export default defineConfig({
  build: {
    outDir: 'dist-bench',
    target: ['safari16', 'chrome109'],
    lib: { entry: 'bench/streams.ts', formats: ['iife'], name: 'ahoyBench', fileName: () => 'streams.js' },
  },
});

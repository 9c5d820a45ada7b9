import { fileURLToPath } from 'node:url';

import { build } from 'vite';

/** Both builds, once for all browser tests; whoever has just made them says so by AHOY_PAGE_BUILT. */
export async function setup(): Promise<void> {
  if (process.env.AHOY_PAGE_BUILT) return;
  const root = fileURLToPath(new URL('..', import.meta.url));
  // Vitest's own mode must not leak into what is built.
  const { VITEST, NODE_ENV } = process.env;
  delete process.env.VITEST;
  try {
    for (const mode of ['production', 'test']) {
      process.env.NODE_ENV = 'production';
      await build({ root, mode, logLevel: 'warn' });
    }
  } finally {
    Object.assign(process.env, { VITEST, NODE_ENV });
  }
}

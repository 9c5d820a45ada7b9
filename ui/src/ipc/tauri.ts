import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';

import { fetchMedia, type Ipc } from './ipc';
import type { AppEvent } from './types';

const EVENT = 'ahoy';

/** The shell that this page runs in. */
export const tauriIpc: Ipc = {
  invoke: (command, args) => invoke(command, args),
  listen: (handle) => listen<AppEvent>(EVENT, ({ payload }) => handle(payload)),
  readMedia: (stream, after, signal) =>
    fetchMedia(new URL(`media://localhost/${encodeURIComponent(stream)}`), after, signal),
};

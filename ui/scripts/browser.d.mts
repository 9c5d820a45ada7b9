import type { IncomingMessage, Server, ServerResponse } from 'node:http';

import type { Browser } from 'playwright-core';

/** Answers a request, and tells whether it did. */
export type Routes = (url: URL, request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

export function chromiumPath(): string | undefined;
export function serve(folder: string, routes?: Routes): Promise<{ origin: string; server: Server; close(): Promise<unknown> }>;
export function launch(): Promise<Browser>;

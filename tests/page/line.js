// The line to the program that drives this page: JSON objects both ways, as on the stdin and stdout of
// ahoy-peer. A page that another server serves finds it by its query.

const host = new URLSearchParams(location.search).get('line') ?? location.host;
const socket = new WebSocket(`ws://${host}/line`);
const opened = new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));

export const unixMs = () => performance.timeOrigin + performance.now();

export async function send(object) {
  await opened;
  socket.send(JSON.stringify(object));
}

export const emit = (event, fields = {}) => send({ event, t: Math.round(unixMs()), ...fields });

export function onLine(handle) {
  socket.addEventListener('message', ({ data }) => handle(JSON.parse(data)));
}

// What went wrong in the page is for the test to see.
export const fail = (error) => emit('error', { message: String(error?.stack ?? error) });
addEventListener('error', ({ error, message }) => fail(error ?? message));
addEventListener('unhandledrejection', ({ reason }) => fail(reason));

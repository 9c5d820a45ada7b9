import './design/tokens.css';
import './design/base.css';

import { mount } from 'svelte';

import { App } from './app/app.svelte';
import Root from './app/Root.svelte';
import { chooseIpc } from './ipc/choose';

const ipc = await chooseIpc(location.search);
const app = new App(ipc, {
  languages: navigator.languages,
  rtcPeerConnection: typeof RTCPeerConnection === 'function',
  visible: () => document.visibilityState === 'visible',
});
const target = document.getElementById('app');
if (!target) throw new Error('the page has no place for the app');
mount(Root, { target, props: { app } });
await app.start();

import type { Ipc } from './ipc';
import { tauriIpc } from './tauri';

/** The way out that this page has. Test builds can be pointed at a bridge or a scripted scenario by the page's query. */
export async function chooseIpc(search: string): Promise<Ipc> {
  if (__TEST_BUILD__) {
    const query = new URLSearchParams(search);
    const bridge = query.get('bridge');
    if (bridge !== null) {
      const address = new URL(bridge);
      const token = query.get('token');
      if (token !== null) address.searchParams.set('token', token);
      return (await import('./bridge')).bridgeIpc(address.href);
    }
    const scenario = query.get('fake');
    if (scenario !== null) return (await import('./scenarios')).scenarioIpc(scenario);
  }
  return tauriIpc;
}

// Whether the suite can be reached. A failed request says it can't; a probe with growing pauses says when it can again.

import { Store } from './store';

export interface Connection {
  online: boolean;
  /** Counts how often the suite came back: whoever shows its data loads again. */
  epoch: number;
}

export const connection = new Store<Connection>({ online: true, epoch: 0 });

/** The suite that the console was loaded from. */
export const base = new URL('/', document.baseURI);

const PAUSES_MS = [1000, 2000, 3000, 5000, 8000, 12_000];
let timer: ReturnType<typeof setTimeout> | undefined;
let failures = 0;

export function lost(): void {
  connection.set((old) => (old.online ? { ...old, online: false } : old));
  schedule();
}

function schedule(): void {
  if (timer !== undefined) return;
  const pause = PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)];
  timer = setTimeout(() => {
    timer = undefined;
    void probe();
  }, pause);
}

/** Asks the suite whether it is there. */
export async function probe(): Promise<void> {
  try {
    const response = await fetch(new URL('api/health', base), { cache: 'no-store', signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(response.statusText);
    failures = 0;
    clearTimeout(timer);
    timer = undefined;
    connection.set((old) => (old.online ? old : { online: true, epoch: old.epoch + 1 }));
  } catch {
    failures += 1;
    lost();
  }
}

addEventListener('online', () => void probe());
addEventListener('offline', lost);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) void probe();
});
setInterval(() => {
  if (!document.hidden && connection.get().online) void probe();
}, 20_000);

// Downloads, followed live. They belong to no page: one that was begun is followed wherever the reader goes.

import { session } from '../api/client';
import { pulls as api } from '../api/endpoints';
import { sseEvents } from '../api/sse';
import type { Pull } from '../api/types';
import { Store } from '../lib/store';

export interface FollowedPull extends Pull {
  /** Bytes a second, smoothed. */
  rate: number | null;
}

export const pulls = new Store<FollowedPull[]>([]);
/** Goes up when a pull ended: lists of models load again. */
export const pullsEnded = new Store(0);
export const runningPulls = new Store(0);

const following = new Map<string, AbortController>();
const samples = new Map<string, { at: number; done: number; stage: string; rate: number | null }>();

export const isRunning = (pull: Pick<Pull, 'state'>) => pull.state === 'queued' || pull.state === 'running';

pulls.subscribe(() => runningPulls.set(pulls.get().filter(isRunning).length));

/** The pulls that the suite knows; those that run are followed. */
export async function loadPulls(signal?: AbortSignal): Promise<void> {
  const { data } = await api.list(signal);
  const known = new Map(pulls.get().map((pull) => [pull.id, pull.rate]));
  pulls.set(data.map((pull) => ({ ...pull, rate: known.get(pull.id) ?? null })));
  for (const pull of data) if (isRunning(pull)) follow(pull.id);
}

export async function startPull(target: string, acceptLicence: boolean, id?: string, licence?: string): Promise<Pull> {
  const pull = await api.start(target, acceptLicence, id, licence);
  take(pull);
  if (isRunning(pull)) follow(pull.id);
  return pull;
}

export async function cancelPull(id: string): Promise<void> {
  await api.cancel(id);
}

/** Ended pulls that the reader has seen enough of. */
export function hidePull(id: string): void {
  pulls.set((old) => old.filter((pull) => pull.id !== id));
}

function take(pull: Pull): void {
  const before = pulls.get().find((old) => old.id === pull.id);
  const next: FollowedPull = { ...pull, rate: isRunning(pull) ? rateOf(pull) : null };
  pulls.set((old) => (before ? old.map((one) => (one.id === pull.id ? next : one)) : [next, ...old]));
  if (!isRunning(pull)) {
    samples.delete(pull.id);
    if (!before || isRunning(before)) pullsEnded.set((count) => count + 1);
  }
}

const SMOOTHING = 0.3;
const SAMPLE_MS = 400;

function rateOf(pull: Pull): number | null {
  const now = performance.now();
  const stage = pull.stage ?? '';
  const last = samples.get(pull.id);
  if (!last || last.stage !== stage || pull.done < last.done) {
    samples.set(pull.id, { at: now, done: pull.done, stage, rate: null });
    return null;
  }
  if (now - last.at < SAMPLE_MS) return last.rate;
  const fresh = ((pull.done - last.done) / (now - last.at)) * 1000;
  const rate = last.rate === null ? fresh : last.rate + SMOOTHING * (fresh - last.rate);
  samples.set(pull.id, { at: now, done: pull.done, stage, rate });
  return rate;
}

function follow(id: string): void {
  if (following.has(id)) return;
  const controller = new AbortController();
  following.set(id, controller);
  void watch(id, controller.signal).finally(() => following.delete(id));
}

const AGAIN_MS = 1500;

/** Follows until the pull has ended; a connection that breaks is taken up again. */
async function watch(id: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && session.get()) {
    try {
      const response = await api.events(id, signal);
      if (response.body) {
        for await (const { data } of sseEvents(response.body)) {
          const pull = JSON.parse(data) as Pull;
          take(pull);
          if (!isRunning(pull)) return;
        }
      }
    } catch {
      if (signal.aborted) return;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    try {
      await loadPulls(signal);
    } catch {
      continue;
    }
    const now = pulls.get().find((pull) => pull.id === id);
    if (!now || !isRunning(now)) {
      pullsEnded.set((count) => count + 1);
      return;
    }
  }
}

export function stopFollowing(): void {
  for (const controller of following.values()) controller.abort();
  following.clear();
  pulls.set([]);
}

// The list of conversations, newest first, shared by the side bar and the sessions that change it.

import { Store } from '../lib/store';

/** Goes up when a conversation was made, renamed, answered or deleted: the list loads again. */
export const listVersion = new Store(0);

export function listChanged(): void {
  listVersion.set((version) => version + 1);
}

/** The time range that a conversation is listed under. */
export type Era = 'today' | 'yesterday' | 'week' | 'month' | 'older';

export function eraOf(updatedAt: Date, now: Date): Era {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const days = Math.ceil((midnight - updatedAt.getTime()) / 86_400_000);
  if (days <= 0) return 'today';
  if (days <= 1) return 'yesterday';
  if (days <= 7) return 'week';
  if (days <= 30) return 'month';
  return 'older';
}

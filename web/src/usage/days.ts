// Rows of usage, gathered for the chart.

import type { UsageRow } from '../api/types';

export interface Day {
  day: string;
  /** Tokens by model, in the order of `models`. */
  tokens: number[];
  total: number;
}

export interface Chart {
  models: string[];
  /** Models beyond the chart's colours are one. */
  hasOthers: boolean;
  days: Day[];
  max: number;
}

export const COLOURS = 5;

export const tokensOf = (row: Pick<UsageRow, 'prompt_tokens' | 'completion_tokens'>) =>
  row.prompt_tokens + row.completion_tokens;

/** The last `count` days up to `today` (UTC), the empty ones too. */
export function chartOf(rows: readonly UsageRow[], count: number, today: Date): Chart {
  const sums = new Map<string, number>();
  for (const row of rows) sums.set(row.model, (sums.get(row.model) ?? 0) + tokensOf(row));
  const ranked = [...sums].sort((a, b) => b[1] - a[1]).map(([model]) => model);
  const hasOthers = ranked.length > COLOURS;
  const models = hasOthers ? ranked.slice(0, COLOURS - 1) : ranked;
  const places = models.length + (hasOthers ? 1 : 0);
  const end = Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate());
  const days: Day[] = [];
  for (let back = count - 1; back >= 0; back -= 1) {
    const day = new Date(end - back * 86_400_000).toISOString().slice(0, 10);
    days.push({ day, tokens: new Array<number>(places).fill(0), total: 0 });
  }
  const byDay = new Map(days.map((day) => [day.day, day]));
  for (const row of rows) {
    const day = byDay.get(row.day);
    if (!day) continue;
    const at = models.indexOf(row.model);
    const place = at < 0 ? places - 1 : at;
    day.tokens[place] = (day.tokens[place] ?? 0) + tokensOf(row);
    day.total += tokensOf(row);
  }
  return { models, hasOthers, days, max: Math.max(0, ...days.map((day) => day.total)) };
}

/** A round figure at or above `max`, for the axis. */
export function niceCeiling(max: number): number {
  if (max <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(max));
  for (const step of [1, 1.5, 2, 3, 4, 5, 6, 8, 10]) if (step * power >= max) return step * power;
  return 10 * power;
}

import { describe, expect, it } from 'vitest';
import type { UsageRow } from '../api/types';
import { COLOURS, chartOf, niceCeiling } from './days';

const row = (day: string, model: string, tokens: number): UsageRow => ({
  day,
  model,
  key_id: 'k',
  requests: 1,
  prompt_tokens: tokens - 1,
  completion_tokens: 1,
});

describe('usage chart', () => {
  const today = new Date('2026-03-02T23:59:00Z');

  it('has every day of the period, the empty ones too, and none outside', () => {
    const chart = chartOf([row('2026-03-01', 'a', 10), row('2025-01-01', 'a', 99)], 3, today);
    expect(chart.days.map((day) => [day.day, day.total])).toEqual([
      ['2026-02-28', 0],
      ['2026-03-01', 10],
      ['2026-03-02', 0],
    ]);
    expect(chart.max).toBe(10);
  });

  it('puts the models used most first and gathers the rest', () => {
    const rows = ['a', 'b', 'c', 'd', 'e', 'f'].map((model, index) => row('2026-03-02', model, (index + 1) * 10));
    const chart = chartOf(rows, 1, today);
    expect(chart.models).toEqual(['f', 'e', 'd', 'c']);
    expect(chart.hasOthers).toBe(true);
    expect(chart.days[0]?.tokens).toEqual([60, 50, 40, 30, 30]);
    expect(chart.days[0]?.tokens).toHaveLength(COLOURS);
  });

  it('rounds the axis up', () => {
    expect(niceCeiling(0)).toBe(1);
    expect(niceCeiling(100)).toBe(100);
    expect(niceCeiling(101)).toBe(150);
    expect(niceCeiling(4711)).toBe(5000);
  });
});

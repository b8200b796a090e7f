import { expect, it } from 'vitest';
import { joinReasoning, splitReasoning } from './reasoning';

it('splits thinking from the answer, and joins them again', () => {
  const answer = { reasoning: '先看症状。\n再看时长。', content: '建议挂**心内科**。' };
  expect(splitReasoning(joinReasoning(answer))).toEqual(answer);
  expect(splitReasoning('plain')).toEqual({ reasoning: '', content: 'plain' });
  expect(joinReasoning({ reasoning: '', content: 'plain' })).toBe('plain');
});

it('knows thinking that has not ended', () => {
  expect(splitReasoning('<think>\nhmm')).toEqual({ reasoning: 'hmm', content: '' });
});

it('leaves tags in the middle of an answer alone', () => {
  const text = 'Write `<think>` first.';
  expect(splitReasoning(text).content).toBe(text);
});

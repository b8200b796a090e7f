import { expect, it } from 'vitest';
import { titleOf } from './title';

it('takes the first line with words, without its Markdown', () => {
  expect(titleOf('\n## **Plan** for `Monday`\nmore')).toBe('Plan for Monday');
  expect(titleOf('```\ncode\n```\nWhat does this do?')).toBe('What does this do?');
});

it('cuts English at a word and Chinese by width', () => {
  expect(titleOf('Please explain how the aorta carries blood from the heart to the body')).toBe(
    'Please explain how the aorta carries blood…',
  );
  expect(titleOf('请用通俗的语言向一位七十岁的老人解释高血压用药的注意事项和饮食')).toBe(
    '请用通俗的语言向一位七十岁的老人解释高血压用…',
  );
});

it('never cuts a character apart', () => {
  expect(titleOf('👨‍👩‍👧‍👦'.repeat(30))).toBe(`${'👨‍👩‍👧‍👦'.repeat(22)}…`);
});

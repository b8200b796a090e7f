// A conversation's first title: the start of its first message.

const MAX_WIDTH = 44;

export function titleOf(text: string): string {
  const line =
    text
      .replace(/```[\s\S]*?(```|$)/g, ' ')
      .split('\n')
      .map((part) =>
        part
          .replace(/^[\s#>*\-+]+/, '')
          .replace(/[*_`~]+/g, '')
          .trim(),
      )
      .find((part) => part.length > 0) ?? text.trim();
  let width = 0;
  let out = '';
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(line)) {
    width += /[\u2E80-\uFFEF]|\p{Extended_Pictographic}/u.test(segment) ? 2 : 1;
    if (width > MAX_WIDTH) {
      const space = out.lastIndexOf(' ');
      return `${(space > MAX_WIDTH / 2 ? out.slice(0, space) : out).trimEnd()}…`;
    }
    out += segment;
  }
  return out;
}

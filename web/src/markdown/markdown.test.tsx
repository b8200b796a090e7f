import { act } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { renderToStaticMarkup } from 'react-dom/server';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BlockLexer } from './blocks';
import { Markdown } from './Markdown';
import { decodeEntities, safeHref } from './safe';

const html = (text: string, streaming = false) => renderToStaticMarkup(<Markdown text={text} streaming={streaming} />);

/** What a browser would make of it: no element or attribute that could run or fetch something. */
function dangers(text: string): string[] {
  const box = document.createElement('div');
  box.innerHTML = html(text);
  const found: string[] = [];
  for (const element of box.querySelectorAll('*')) {
    if (
      /^(script|style|iframe|object|embed|form|input|img|svg|math|video|audio|link|meta|base)$/i.test(element.tagName)
    ) {
      // The copy button of a code block draws its icon with svg.
      if (!element.closest('.code figcaption')) found.push(element.tagName);
    }
    for (const { name, value } of element.attributes) {
      if (/^on/i.test(name) || name === 'srcdoc' || name === 'style') found.push(`${element.tagName} ${name}`);
      if (/^(href|src|action|formaction|xlink:href)$/i.test(name) && !/^(https?:|mailto:)/.test(value))
        found.push(`${name}=${value}`);
    }
  }
  return found;
}

const ATTACKS = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<svg/onload=alert(1)>',
  '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
  '<a href="javascript:alert(1)">x</a>',
  '[x](javascript:alert(1))',
  '[x](JaVaScRiPt:alert(1))',
  '[x](java\nscript:alert(1))',
  '[x](java&#10;script:alert(1))',
  '[x](&#x6A;avascript:alert(1))',
  '[x](\u0001javascript:alert(1))',
  '[x](data:text/html,<script>alert(1)</script>)',
  '[x](vbscript:msgbox(1))',
  '[x](file:///etc/passwd)',
  '[x](//evil.example/a)',
  '![x](javascript:alert(1))',
  '![x](https://evil.example/track.png)',
  '<javascript:alert(1)>',
  '[x]: javascript:alert(1)\n\n[x]',
  '`<img src=x onerror=alert(1)>`',
  '```html\n<script>alert(1)</script>\n```',
  '```"><script>alert(1)</script>\ncode\n```',
  '| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  '<style>body{display:none}</style>',
  '<form action=https://evil.example><input name=a></form>',
  '<details open ontoggle=alert(1)>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
];

describe('markdown from a model', () => {
  it.each(ATTACKS)('makes nothing dangerous of %j', (attack) => {
    expect(dangers(attack)).toEqual([]);
    expect(dangers(`text ${attack} text`)).toEqual([]);
  });

  it('shows tags as the text they are, and drops comments', () => {
    expect(html('a <b onclick=x>c</b>')).toContain('&lt;b onclick=x&gt;c&lt;/b&gt;');
    expect(html('a<br>b')).toMatch(/a<br\/?>b/);
    expect(html('a <!-- hidden --> b')).not.toContain('hidden');
  });

  it('makes a picture a link, so that nothing is fetched unasked', () => {
    expect(html('![cat](https://example.org/c.png)')).toContain('<a href="https://example.org/c.png"');
  });

  it('opens links elsewhere without telling where from', () => {
    expect(html('[x](https://example.org)')).toContain('target="_blank" rel="noopener noreferrer nofollow"');
  });

  it('writes tables, lists, tasks and code', () => {
    expect(html('| 药 | 量 |\n|:-|-:|\n| A | 1 |')).toMatch(
      /<th scope="col" class="md-left">药<\/th>.*<td class="md-right">1<\/td>/,
    );
    expect(html('3. c\n4. d')).toContain('<ol start="3"><li>c</li><li>d</li></ol>');
    expect(html('- [x] done\n- [ ] open')).toContain('data-on="true"');
    expect(html('```py\nprint(1)\n```')).toContain('<code>print(1)</code>');
  });

  it('sees Chinese emphasis that ends in punctuation', () => {
    expect(html('**注意：**请空腹。')).toContain('<strong>注意：</strong>请空腹。');
    expect(html('**“重点”**在此')).toContain('<strong>“重点”</strong>在此');
    expect(html('a **b** c')).toContain('<strong>b</strong>');
  });

  it('does not break a word apart at a star that multiplies', () => {
    expect(html('2 ** 3 ** 4')).not.toContain('<strong>');
  });
});

describe('addresses and characters', () => {
  it('follows only what it knows', () => {
    expect(safeHref('https://a.example/x?y=1')).toBe('https://a.example/x?y=1');
    expect(safeHref('mailto:a@b.example')).toBe('mailto:a@b.example');
    expect(safeHref('ht\ntps://a.example')).toBe('https://a.example/');
    expect(safeHref('/api/keys')).toBeNull();
    expect(safeHref('blob:https://a.example/x')).toBeNull();
  });

  it('reads character references', () => {
    expect(decodeEntities('&lt;&amp;&#20013;&#x6587;&nbsp;&unknown;&#0;')).toBe('<&中文\u00a0&unknown;\ufffd');
  });
});

const LONG = [
  '# 标题\n\nSome *text* with `code`.\n\n',
  '- one\n- two\n\n  deeper\n\n1. first\n2. second\n\n',
  '```python\ndef f(x):\n\n    return x  # 注释\n```\n\n',
  '| a | b |\n|---|---|\n| 1 | 2 |\n\n> quote\n> more\n\n---\n\n',
  '**注意：**请多喝水。\r\n\r\nLast paragraph, ',
].join('');

describe('a growing answer', () => {
  it('ends as if it had been parsed at once, however it came', () => {
    const whole = html(LONG.repeat(3));
    for (const step of [1, 3, 7, 50]) {
      const lexer = new BlockLexer();
      const text = LONG.repeat(3);
      let last = lexer.update('');
      for (let at = 0; at <= text.length + step; at += step) last = lexer.update(text.slice(0, at));
      expect(last.map((token) => token.raw).join('')).toBe(text.replace(/\r\n/g, '\n'));
      expect(last.map((token) => token.type)).toEqual(new BlockLexer().finish(text).map((token) => token.type));
    }
    expect(html(LONG.repeat(3), true)).toBe(whole);
  });

  it('keeps blocks that are closed, as the same objects', () => {
    const lexer = new BlockLexer();
    const before = lexer.update(LONG.repeat(2));
    const after = lexer.update(`${LONG.repeat(2)} and more`);
    expect(after[0]).toBe(before[0]);
    expect(after[5]).toBe(before[5]);
  });

  it('starts afresh where the text is another', () => {
    const lexer = new BlockLexer();
    lexer.update(LONG.repeat(2));
    expect(lexer.update('short').map((token) => token.raw)).toEqual(['short']);
  });
});

describe('in a page', () => {
  let root: Root | undefined;
  beforeAll(() => {
    (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  });
  afterEach(() => act(() => root?.unmount()));

  it('does not touch the elements of closed blocks when text is added', () => {
    const box = document.createElement('div');
    root = createRoot(box);
    const show = (text: string) => act(() => root?.render(<Markdown text={text} streaming />));
    show('First.\n\nSecond.\n\nThird');
    const first = box.querySelector('p');
    show('First.\n\nSecond.\n\nThird and more.\n\nFourth');
    expect(box.querySelector('p')).toBe(first);
    expect(box.querySelectorAll('p')).toHaveLength(4);
  });
});

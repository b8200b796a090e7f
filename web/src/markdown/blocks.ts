// Markdown into blocks. A long answer that grows is not parsed anew with every token: blocks that are closed stay as they are.

import { Marked, type Token, type Tokens } from 'marked';

const marked = new Marked({
  gfm: true,
  breaks: true,
  extensions: [
    {
      // CommonMark sees no end of emphasis between punctuation and a letter without a space, as in **注意：**请
      // Chinese writes no spaces there, and models write exactly this.
      name: 'strong',
      level: 'inline',
      start: (source) => source.indexOf('**'),
      tokenizer(source) {
        const match =
          /^\*\*(?![\s*])([^*\n]*[\p{P}\p{S}])\*\*(?=[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}])/u.exec(
            source,
          );
        if (!match?.[1]) return undefined;
        return { type: 'strong', raw: match[0], text: match[1], tokens: this.lexer.inlineTokens(match[1]) };
      },
    },
  ],
});

/** Blocks at the end that more text may still change. */
const OPEN_BLOCKS = 3;

export class BlockLexer {
  private closed: Token[] = [];
  private closedText = '';

  /** The blocks of `source`. Where it only grew since the last call, only its end is parsed. */
  update(source: string): Token[] {
    const text = source.replace(/\r\n?/g, '\n');
    if (!text.startsWith(this.closedText)) this.reset();
    const open = marked.lexer(text.slice(this.closedText.length));
    const all = [...this.closed, ...open];
    const closing = open.slice(0, Math.max(0, open.length - OPEN_BLOCKS));
    // The raw texts of blocks make up the source; where the parser changed one (it expands some tabs), nothing is closed.
    const raw = closing.map((token) => token.raw).join('');
    if (closing.length > 0 && text.startsWith(this.closedText + raw)) {
      this.closed.push(...closing);
      this.closedText += raw;
    }
    return all;
  }

  /** Parses all of it at once, so that link definitions at the end reach their uses at the start. */
  finish(source: string): Token[] {
    this.reset();
    return marked.lexer(source.replace(/\r\n?/g, '\n'));
  }

  private reset(): void {
    this.closed = [];
    this.closedText = '';
  }
}

/** Whether a fenced block has its closing fence. */
export function isFenceClosed(token: Tokens.Code): boolean {
  if (token.codeBlockStyle === 'indented') return true;
  const fence = /^ {0,3}(`{3,}|~{3,})/.exec(token.raw)?.[1];
  if (!fence) return true;
  const lines = token.raw.trimEnd().split('\n');
  return lines.length > 1 && (lines[lines.length - 1] ?? '').trim().startsWith(fence);
}

// Markdown as React elements. No HTML is ever made from a model's text, so there is nothing to sanitise away: tags are
// shown as the text they are, and addresses pass `safeHref`.

import type { Token, Tokens } from 'marked';
import { Fragment, memo, type ReactNode, useMemo, useRef } from 'react';
import { BlockLexer, isFenceClosed } from './blocks';
import { CodeBlock } from './CodeBlock';
import { decodeEntities, safeHref } from './safe';

interface Props {
  text: string;
  /** Whether more text is to come. */
  streaming?: boolean;
}

export const Markdown = memo(function Markdown({ text, streaming = false }: Props) {
  const lexer = useRef<BlockLexer | null>(null);
  lexer.current ??= new BlockLexer();
  const current = lexer.current;
  const tokens = useMemo(() => (streaming ? current.update(text) : current.finish(text)), [text, streaming, current]);
  return (
    <div className="md">
      {tokens.map((token, index) => (
        <Block key={index} token={token} final={!streaming} />
      ))}
    </div>
  );
});

const Block = memo(
  ({ token }: { token: Token; final: boolean }) => block(token, 0),
  (before, after) =>
    before.token === after.token ||
    (before.final === after.final && before.token.type === after.token.type && before.token.raw === after.token.raw),
);

function blocks(tokens: Token[]): ReactNode {
  return tokens.map((token, index) => <Fragment key={index}>{block(token, index)}</Fragment>);
}

function block(token: Token, _index: number): ReactNode {
  switch (token.type) {
    case 'space':
    case 'def':
      return null;
    case 'hr':
      return <hr />;
    case 'heading': {
      // The page has its own first headings; those of an answer start below them.
      const { depth, tokens } = token as Tokens.Heading;
      const Tag = `h${Math.min(6, depth + 2)}` as 'h3' | 'h4' | 'h5' | 'h6';
      return <Tag className={`md-h${depth}`}>{inline(tokens)}</Tag>;
    }
    case 'paragraph':
      return <p>{inline((token as Tokens.Paragraph).tokens)}</p>;
    case 'blockquote':
      return <blockquote>{blocks((token as Tokens.Blockquote).tokens)}</blockquote>;
    case 'code': {
      const code = token as Tokens.Code;
      return <CodeBlock code={code.text} lang={(code.lang ?? '').split(/\s/)[0] ?? ''} closed={isFenceClosed(code)} />;
    }
    case 'list':
      return list(token as Tokens.List);
    case 'table':
      return table(token as Tokens.Table);
    case 'html':
      return <Html text={token.raw} block />;
    case 'text': {
      const text = token as Tokens.Text;
      return text.tokens ? inline(text.tokens) : decodeEntities(text.text);
    }
    default:
      return token.raw;
  }
}

function list(token: Tokens.List): ReactNode {
  const items = token.items.map((item, index) => {
    const children = item.tokens.map((child, at) =>
      child.type === 'text' && item.loose ? (
        <p key={at}>{block(child, at)}</p>
      ) : child.type === 'checkbox' ? null : (
        <Fragment key={at}>{block(child, at)}</Fragment>
      ),
    );
    return (
      <li key={index} className={item.task ? 'md-task' : undefined}>
        {item.task && (
          <span className="md-check" role="img" aria-label={item.checked ? '☑' : '☐'} data-on={item.checked} />
        )}
        {item.task ? <div>{children}</div> : children}
      </li>
    );
  });
  return token.ordered ? <ol start={token.start === '' ? 1 : token.start}>{items}</ol> : <ul>{items}</ul>;
}

function table({ header, rows, align }: Tokens.Table): ReactNode {
  const cellClass = (column: number) => (align[column] ? `md-${align[column]}` : undefined);
  return (
    // A wide table scrolls on its own; whoever uses the keyboard must be able to reach it.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div className="md-table" tabIndex={0} role="group">
      <table>
        <thead>
          <tr>
            {header.map((cell, column) => (
              <th key={column} scope="col" className={cellClass(column)}>
                {inline(cell.tokens)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) => (
                <td key={column} className={cellClass(column)}>
                  {inline(cell.tokens)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inline(tokens: Token[] | undefined): ReactNode {
  return tokens?.map((token, index) => <Fragment key={index}>{span(token)}</Fragment>);
}

function span(token: Token): ReactNode {
  switch (token.type) {
    case 'text': {
      const text = token as Tokens.Text;
      return text.tokens ? inline(text.tokens) : decodeEntities(text.text);
    }
    case 'escape':
      return (token as Tokens.Escape).text;
    case 'strong':
      return <strong>{inline((token as Tokens.Strong).tokens)}</strong>;
    case 'em':
      return <em>{inline((token as Tokens.Em).tokens)}</em>;
    case 'del':
      return <del>{inline((token as Tokens.Del).tokens)}</del>;
    case 'codespan':
      return <code>{(token as Tokens.Codespan).text}</code>;
    case 'br':
      return <br />;
    case 'link':
      return <Link href={(token as Tokens.Link).href}>{inline((token as Tokens.Link).tokens)}</Link>;
    case 'image': {
      // A picture from elsewhere would tell its host who reads what: it is a link, to be followed or not.
      const { href, text } = token as Tokens.Image;
      return <Link href={href}>{text || href}</Link>;
    }
    case 'html':
      return <Html text={token.raw} />;
    default:
      return token.raw;
  }
}

function Link({ href, children }: { href: string; children: ReactNode }) {
  const safe = safeHref(decodeEntities(href));
  if (!safe) return <>{children}</>;
  return (
    <a href={safe} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

/** Tags of a model's text: a line break is one, a comment is nothing, the rest is text. */
function Html({ text, block = false }: { text: string; block?: boolean }) {
  if (/^<br\s*\/?>$/i.test(text.trim())) return <br />;
  if (/^<!--[\s\S]*-->$/.test(text.trim())) return null;
  return block ? <p className="md-raw">{text.trimEnd()}</p> : text;
}

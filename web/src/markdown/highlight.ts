// Syntax colours, loaded when the first code block is closed.

import { createElement, Fragment, type ReactNode } from 'react';

interface HastNode {
  type: string;
  value?: string;
  tagName?: string;
  properties?: { className?: string[] };
  children?: HastNode[];
}

const MAX_CHARS = 60_000;

/** The code as coloured elements, or null where its language is unknown or it is too long. */
export async function highlight(code: string, lang: string): Promise<ReactNode | null> {
  if (code.length > MAX_CHARS || lang === '') return null;
  const { lowlight } = await import('./languages');
  if (!lowlight.registered(lang.toLowerCase())) return null;
  return children(lowlight.highlight(lang.toLowerCase(), code) as HastNode);
}

function children(node: HastNode): ReactNode {
  return node.children?.map((child, index) => createElement(Fragment, { key: index }, element(child)));
}

function element(node: HastNode): ReactNode {
  if (node.type === 'text') return node.value;
  return createElement('span', { className: node.properties?.className?.join(' ') }, children(node));
}

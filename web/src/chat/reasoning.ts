// A model's thinking travels beside its answer (`reasoning_content`), but a stored message has one text: there it is kept
// in front of the answer between <think> tags, which is also how engines that don't split it send it.

export interface Answer {
  reasoning: string;
  content: string;
}

const OPEN = '<think>';
const CLOSE = '</think>';

/** Splits a text. While it is being streamed, the thinking may not have ended yet. */
export function splitReasoning(text: string): Answer {
  const start = text.trimStart();
  if (!start.startsWith(OPEN)) return { reasoning: '', content: text };
  const end = start.indexOf(CLOSE);
  if (end < 0) return { reasoning: start.slice(OPEN.length).trimStart(), content: '' };
  return { reasoning: start.slice(OPEN.length, end).trim(), content: start.slice(end + CLOSE.length).trimStart() };
}

export function joinReasoning({ reasoning, content }: Answer): string {
  return reasoning === '' ? content : `${OPEN}\n${reasoning.trim()}\n${CLOSE}\n\n${content}`;
}

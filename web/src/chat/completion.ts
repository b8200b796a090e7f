// One streamed answer from /v1/chat/completions.

import { ApiError, send } from '../api/client';
import { sseEvents } from '../api/sse';
import type { Usage } from '../api/types';
import type { Params } from './params';

export interface Turn {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
}

export interface CompletionRequest {
  model: string;
  messages: Turn[];
  params: Params;
  signal: AbortSignal;
}

export type Piece =
  | { kind: 'content'; text: string }
  | { kind: 'reasoning'; text: string }
  | { kind: 'end'; reason: string | null }
  | { kind: 'usage'; usage: Usage };

interface Chunk {
  choices?: {
    delta?: { content?: string | null; reasoning_content?: string | null; reasoning?: string | null };
    finish_reason?: string | null;
  }[];
  usage?: Usage | null;
  error?: { message?: string; code?: string | null };
}

/** The connection ended before the answer did. */
export class CutShort extends Error {}

export async function* complete({ model, messages, params, signal }: CompletionRequest): AsyncGenerator<Piece> {
  const body = { model, messages, stream: true, stream_options: { include_usage: true }, ...params };
  const response = await send('POST', '/v1/chat/completions', { body, signal, accept: 'text/event-stream' });
  const requestId = response.headers.get('x-request-id');
  if (!response.body) throw new CutShort();
  let ended = false;
  try {
    for await (const { data } of sseEvents(response.body)) {
      if (data === '[DONE]') return;
      const chunk = JSON.parse(data) as Chunk;
      if (chunk.error) {
        throw new ApiError(chunk.error.message ?? 'error', response.status, chunk.error.code ?? null, requestId);
      }
      const choice = chunk.choices?.[0];
      const reasoning = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning;
      if (reasoning) yield { kind: 'reasoning', text: reasoning };
      if (choice?.delta?.content) yield { kind: 'content', text: choice.delta.content };
      if (choice?.finish_reason) {
        ended = true;
        yield { kind: 'end', reason: choice.finish_reason };
      }
      if (chunk.usage) {
        const { prompt_tokens, completion_tokens } = chunk.usage;
        yield { kind: 'usage', usage: { prompt_tokens, completion_tokens } };
      }
    }
  } catch (error) {
    // fetch reports a connection that broke in mid-stream as a TypeError.
    if (error instanceof TypeError && !signal.aborted) throw new CutShort();
    throw error;
  }
  if (!ended) throw new CutShort();
}

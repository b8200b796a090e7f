// The routes of the suite that the console calls.

import { json, send } from './client';
import type {
  CatalogItem,
  Conversation,
  External,
  Key,
  Manifest,
  Memory,
  Message,
  NewKey,
  Page,
  Pull,
  PullPreview,
  Replica,
  Role,
  Usage,
  UsageRow,
  Verification,
} from './types';

const at = (...parts: string[]) => `/api/${parts.map(encodeURIComponent).join('/')}`;

export const keys = {
  list: (signal?: AbortSignal) => json<{ data: Key[] }>('GET', at('keys'), { signal }),
  create: (name: string, role: Role) => json<NewKey>('POST', at('keys'), { body: { name, role } }),
  revoke: (id: string) => json<void>('DELETE', at('keys', id)),
};

export const catalog = {
  list: (query: { q?: string; kind?: string; fits?: boolean }, signal?: AbortSignal) =>
    json<{ data: CatalogItem[] }>('GET', at('catalog'), { query, signal }),
};

export const models = {
  list: (query: { q?: string; kind?: string; origin?: string; limit?: number; after?: string }, signal?: AbortSignal) =>
    json<Page<Manifest>>('GET', at('models'), { query, signal }),
  get: (id: string, signal?: AbortSignal) => json<Manifest>('GET', at('models', id), { signal }),
  remove: (id: string) => json<void>('DELETE', at('models', id)),
  verify: (id: string) => json<Verification>('POST', at('models', id, 'verify')),
  /** Every name that can be asked, external engines' too. */
  served: (signal?: AbortSignal) => json<{ data: { id: string; owned_by: string }[] }>('GET', '/v1/models', { signal }),
};

export const pulls = {
  list: (signal?: AbortSignal) => json<{ data: Pull[] }>('GET', at('pulls'), { signal }),
  preview: (target: string, signal?: AbortSignal) =>
    json<PullPreview>('POST', at('pulls', 'preview'), { body: { target }, signal }),
  start: (target: string, accept_licence: boolean, id?: string) =>
    json<Pull>('POST', at('pulls'), { body: { target, accept_licence, id } }),
  cancel: (id: string) => json<void>('DELETE', at('pulls', id)),
  events: (id: string, signal: AbortSignal) =>
    send('GET', at('pulls', id, 'events'), { signal, accept: 'text/event-stream' }),
};

export const replicas = {
  list: (signal?: AbortSignal) => json<{ data: Replica[]; memory: Memory }>('GET', at('replicas'), { signal }),
  start: (model: string) => json<Replica>('POST', at('replicas'), { body: { model } }),
  stop: (id: string) => json<void>('DELETE', at('replicas', id)),
};

export const externals = {
  list: (signal?: AbortSignal) => json<{ data: External[] }>('GET', at('externals'), { signal }),
  add: (body: { name: string; base_url: string; api_key?: string; models?: string[] }) =>
    json<External>('POST', at('externals'), { body }),
  remove: (id: string) => json<void>('DELETE', at('externals', id)),
};

export interface ConversationPatch {
  title?: string;
  system?: string | null;
  params?: object;
  model?: string;
  head_id?: string;
}

export const conversations = {
  list: (query: { q?: string; limit?: number; after?: string }, signal?: AbortSignal) =>
    json<Page<Conversation>>('GET', at('conversations'), { query, signal }),
  create: (body: { title?: string; model: string; system?: string; params?: object }) =>
    json<Conversation>('POST', at('conversations'), { body }),
  get: (id: string, signal?: AbortSignal) =>
    json<{ conversation: Conversation; messages: Message[] }>('GET', at('conversations', id), { signal }),
  patch: (id: string, body: ConversationPatch) => json<Conversation>('PATCH', at('conversations', id), { body }),
  remove: (id: string) => json<void>('DELETE', at('conversations', id)),
  addMessage: (
    id: string,
    body: {
      parent_id: string | null;
      role: Message['role'];
      content: string;
      model?: string;
      usage?: Usage;
      finish_reason?: string;
    },
  ) => json<Message>('POST', at('conversations', id, 'messages'), { body }),
  export: (id: string, format: 'markdown' | 'json') =>
    send('GET', at('conversations', id, 'export'), { query: { format } }),
};

export const usage = {
  list: (days: number, signal?: AbortSignal) =>
    json<{ data: UsageRow[] }>('GET', at('usage'), { query: { days }, signal }),
};

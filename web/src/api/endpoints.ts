// The routes of the suite that the console calls, typed by the OpenAPI document: a path, method, query or body that it does not
// have is no program.

import { json, send } from './client';
import type { paths } from './schema';
import type { ConversationPatch, NewConversation, NewExternal, NewMessage, Role } from './types';

type Method = 'get' | 'post' | 'patch' | 'delete';
type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M]>;
type JsonOf<R> = R extends { content: { 'application/json': infer T } } ? T : never;
type Responses<O> = O extends { responses: infer R } ? R : never;
type Success<O> =
  Responses<O> extends infer R
    ? R extends Record<200, infer T>
      ? JsonOf<T>
      : R extends Record<201, infer T>
        ? JsonOf<T>
        : R extends Record<202, infer T>
          ? JsonOf<T>
          : undefined
    : never;
type Query<O> = O extends { parameters: { query?: infer Q } } ? Q : never;
type PathValues<O> = O extends { parameters: { path: infer V } } ? V : undefined;
type Body<O> = O extends { requestBody: { content: { 'application/json': infer B } } } ? B : undefined;

interface Asked<O> {
  path?: PathValues<O>;
  query?: Query<O>;
  body?: Body<O>;
  signal?: AbortSignal;
}

function filled(path: string, values: object | undefined): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String((values as Record<string, unknown> | undefined)?.[name] ?? '')),
  );
}

function call<P extends keyof paths, M extends Method>(method: M, path: P, asked: Asked<Operation<P, M>> = {}) {
  const { path: values, query, body, signal } = asked;
  type Reply = Success<Operation<P, M>>;
  return json<Reply>(method.toUpperCase(), filled(path, values), {
    query: query as Record<string, string> | undefined,
    body,
    signal,
  });
}

export const keys = {
  list: (signal?: AbortSignal) => call('get', '/api/keys', { signal }),
  create: (name: string, role: Role) => call('post', '/api/keys', { body: { name, role } }),
  revoke: (id: string) => call('delete', '/api/keys/{id}', { path: { id } }),
};

export const catalog = {
  list: (query: Query<Operation<'/api/catalog', 'get'>>, signal?: AbortSignal) =>
    call('get', '/api/catalog', { query, signal }),
};

export const models = {
  list: (query: Query<Operation<'/api/models', 'get'>>, signal?: AbortSignal) =>
    call('get', '/api/models', { query, signal }),
  remove: (id: string) => call('delete', '/api/models/{id}', { path: { id } }),
  verify: (id: string) => call('post', '/api/models/{id}/verify', { path: { id } }),
  /** Every name that can be asked, external engines' too. */
  served: (signal?: AbortSignal) => call('get', '/v1/models', { signal }),
};

export const pulls = {
  list: (signal?: AbortSignal) => call('get', '/api/pulls', { signal }),
  preview: (target: string, signal?: AbortSignal) => call('post', '/api/pulls/preview', { body: { target }, signal }),
  start: (target: string, accept_licence: boolean, id?: string, licence?: string) =>
    call('post', '/api/pulls', { body: { target, accept_licence, id, licence } }),
  cancel: (id: string) => call('delete', '/api/pulls/{id}', { path: { id } }),
  events: (id: string, signal: AbortSignal) =>
    send('GET', filled('/api/pulls/{id}/events' satisfies keyof paths, { id }), {
      signal,
      accept: 'text/event-stream',
    }),
};

export const replicas = {
  list: (signal?: AbortSignal) => call('get', '/api/replicas', { signal }),
  start: (model: string) => call('post', '/api/replicas', { body: { model } }),
  stop: (id: string) => call('delete', '/api/replicas/{id}', { path: { id } }),
};

export const externals = {
  list: (signal?: AbortSignal) => call('get', '/api/externals', { signal }),
  add: (body: NewExternal) => call('post', '/api/externals', { body }),
  remove: (id: string) => call('delete', '/api/externals/{id}', { path: { id } }),
};

export const conversations = {
  list: (query: Query<Operation<'/api/conversations', 'get'>>, signal?: AbortSignal) =>
    call('get', '/api/conversations', { query, signal }),
  create: (body: NewConversation) => call('post', '/api/conversations', { body }),
  get: (id: string, signal?: AbortSignal) => call('get', '/api/conversations/{id}', { path: { id }, signal }),
  patch: (id: string, body: ConversationPatch) => call('patch', '/api/conversations/{id}', { path: { id }, body }),
  remove: (id: string) => call('delete', '/api/conversations/{id}', { path: { id } }),
  addMessage: (id: string, body: NewMessage) =>
    call('post', '/api/conversations/{id}/messages', { path: { id }, body }),
  export: (id: string, format: 'markdown' | 'json') =>
    send('GET', filled('/api/conversations/{id}/export' satisfies keyof paths, { id }), { query: { format } }),
};

export const usage = {
  list: (days: number, signal?: AbortSignal) => call('get', '/api/usage', { query: { days }, signal }),
};

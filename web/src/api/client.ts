// Requests to the suite: the key, the language, and errors as the suite words them.

import { base, lost } from '../lib/connection';
import { lang } from '../lib/prefs';
import { session as sessionStorage, local as storage } from '../lib/storage';
import { Store } from '../lib/store';
import type { Me } from './types';

export interface Session {
  key: string;
  me: Me;
}

/** The signed-in key, or null. */
export const session = new Store<Session | null>(null);

/** Why the last session ended, where the suite ended it. */
export const signOutReason = new Store<string | null>(null);

/** An error of the suite, in its own words. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string | null,
    readonly requestId: string | null,
    readonly retryAfterSecs: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** The suite did not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super('unreachable');
    this.name = 'Unreachable';
  }
}

export interface Options {
  query?: Record<string, string | number | boolean | null | undefined>;
  body?: unknown;
  signal?: AbortSignal;
  key?: string;
  accept?: string;
}

/** Sends a request; a reply that is no success becomes an [`ApiError`]. */
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const url = new URL(path.replace(/^\//, ''), base);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, String(value));
  }
  const key = options.key ?? session.get()?.key;
  const headers: Record<string, string> = { 'Accept-Language': lang.get() === 'zh' ? 'zh-CN' : 'en' };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (options.accept) headers.Accept = options.accept;
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal,
      cache: 'no-store',
      credentials: 'omit',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    lost();
    throw new Unreachable();
  }
  if (response.ok) return response;
  const error = await readError(response);
  if (response.status === 401 && !options.key && session.get()) signOut(error.message);
  throw error;
}

/** Sends a request and reads the JSON of its reply. */
export async function json<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

async function readError(response: Response): Promise<ApiError> {
  const requestId = response.headers.get('x-request-id');
  const retryAfter = Number(response.headers.get('retry-after'));
  const wait = Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter : null;
  const text = await response.text().catch(() => '');
  try {
    const { error } = JSON.parse(text) as { error: { message: string; code?: string | null } };
    return new ApiError(error.message, response.status, error.code ?? null, requestId, wait);
  } catch {
    return new ApiError(`${response.status} ${response.statusText}`.trim(), response.status, null, requestId, wait);
  }
}

const KEY = 'rixin.key';

/** The key that an earlier visit left. */
export function rememberedKey(): string | null {
  return sessionStorage.get(KEY) ?? storage.get(KEY);
}

/** Checks a key with the suite and takes it. */
export async function signIn(key: string, remember: boolean | null, signal?: AbortSignal): Promise<void> {
  const me = await json<Me>('GET', '/api/me', { key, signal });
  if (remember !== null) {
    sessionStorage.remove(KEY);
    storage.remove(KEY);
    (remember ? storage : sessionStorage).set(KEY, key);
  }
  signOutReason.set(null);
  session.set({ key, me });
}

export function signOut(reason: string | null = null): void {
  sessionStorage.remove(KEY);
  storage.remove(KEY);
  signOutReason.set(reason);
  session.set(null);
}

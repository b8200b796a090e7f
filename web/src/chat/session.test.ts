// A conversation against a suite that is played by `fetch`: what is sent, what is stored, and what is shown when it fails.

import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, session as signedIn } from '../api/client';
import type { Message } from '../api/types';
import { CutShort } from './completion';
import { FIELDS, readNumber, readParams } from './params';
import { ChatSession, turns } from './session';

interface Call {
  method: string;
  path: string;
  body: Record<string, unknown> | undefined;
  headers: Record<string, string>;
}

let calls: Call[] = [];
let answer: (call: Call, signal: AbortSignal | undefined) => Response | undefined;

const events = (...list: unknown[]) =>
  new Response(list.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join(''), {
    headers: { 'x-request-id': 'req-1' },
  });
const text = (content: string) => ({ choices: [{ delta: { content } }] });
const END = { choices: [{ delta: {}, finish_reason: 'stop' }] };
const USAGE = { choices: [], usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 } };

beforeEach(() => {
  calls = [];
  let count = 0;
  answer = () => events(text('Hello'), text(' there'), END, USAGE, '[DONE]');
  signedIn.set({ key: 'secret', me: { key_id: 'k', name: 'n', role: 'admin', tenant_id: 't', lang: 'en' } });
  vi.stubGlobal('fetch', async (url: URL, init: RequestInit) => {
    const call: Call = {
      method: init.method ?? 'GET',
      path: url.pathname,
      body: init.body ? JSON.parse(init.body as string) : undefined,
      headers: init.headers as Record<string, string>,
    };
    calls.push(call);
    count += 1;
    if (call.path === '/v1/chat/completions') return answer(call, init.signal ?? undefined);
    if (call.path.endsWith('/messages')) return Response.json({ id: `m${count}`, created_at: count, ...call.body });
    return Response.json({ id: 'c1', title: '', created_at: 1, updated_at: 1, ...call.body });
  });
});

async function begun(question = 'Hi'): Promise<ChatSession> {
  const session = new ChatSession(null);
  await session.create({ model: 'm', system: 'Be brief.', params: { temperature: 0 } }, question);
  await session.send(question);
  return session;
}

const shown = (session: ChatSession) => session.state.get().path.map((message: Message) => message.content);
const asked = () => calls.filter((call) => call.path === '/v1/chat/completions').map((call) => call.body);

describe('a conversation', () => {
  it('sends the key, the language, the system prompt and the parameters, and stores both turns', async () => {
    const session = await begun();
    expect(shown(session)).toEqual(['Hi', 'Hello there']);
    expect(asked()[0]).toMatchObject({
      model: 'm',
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ],
    });
    expect(calls[0]?.headers).toMatchObject({ Authorization: 'Bearer secret', 'Accept-Language': 'en' });
    expect(calls.at(-1)?.body).toMatchObject({
      role: 'assistant',
      content: 'Hello there',
      usage: { prompt_tokens: 5, completion_tokens: 2 },
      finish_reason: 'stop',
    });
    expect(session.state.get().run).toBeNull();
  });

  it('branches: regenerate and edit keep what was there, and switching goes back to it', async () => {
    const session = await begun();
    answer = () => events(text('Other'), END, '[DONE]');
    await session.regenerate(session.state.get().path[1]?.id ?? '');
    expect(shown(session)).toEqual(['Hi', 'Other']);
    await session.edit(session.state.get().path[0]?.id ?? '', 'Bye');
    expect(shown(session)).toEqual(['Bye', 'Other']);
    expect(asked()[2]).toMatchObject({ messages: [{ role: 'system' }, { role: 'user', content: 'Bye' }] });
    session.switchBranch(session.state.get().path[0]?.id ?? '', -1);
    expect(shown(session)).toEqual(['Hi', 'Other']);
    session.switchBranch(session.state.get().path[1]?.id ?? '', -1);
    expect(shown(session)).toEqual(['Hi', 'Hello there']);
    session.switchBranch(session.state.get().path[1]?.id ?? '', -1);
    expect(shown(session)).toEqual(['Hi', 'Hello there']);
  });

  it('keeps what had come when the stream reports an error', async () => {
    answer = () => events(text('Half'), { error: { message: 'the replica died', code: 'replica_lost' } });
    const session = await begun();
    const { failure } = session.state.get();
    expect(shown(session)).toEqual(['Hi', 'Half']);
    expect(failure?.error).toMatchObject({ message: 'the replica died', code: 'replica_lost', requestId: 'req-1' });
    expect(calls.at(-1)?.body).toMatchObject({ content: 'Half', finish_reason: 'replica_lost' });
    answer = () => events(text('Whole'), END, '[DONE]');
    await session.answer(failure?.parentId ?? '');
    expect(shown(session)).toEqual(['Hi', 'Whole']);
    expect(session.state.get().failure).toBeNull();
  });

  it('takes a stream without an end for cut short', async () => {
    answer = () => events(text('Half'));
    expect((await begun()).state.get().failure?.error).toBeInstanceOf(CutShort);
  });

  it('stores nothing of an answer that never began', async () => {
    answer = () =>
      Response.json(
        { error: { message: 'the queue is full', code: 'queue_full' } },
        { status: 429, headers: { 'retry-after': '3' } },
      );
    const session = await begun();
    expect(shown(session)).toEqual(['Hi']);
    expect(session.state.get().failure?.error).toMatchObject({
      message: 'the queue is full',
      status: 429,
      retryAfterSecs: 3,
    });
    expect(session.state.get().failure?.error).toBeInstanceOf(ApiError);
  });

  it('stops: what has come is kept and marked', async () => {
    let begin: () => void = () => undefined;
    const streaming = new Promise<void>((resolve) => {
      begin = resolve;
    });
    answer = (_, signal) =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(text('Some'))}\n\n`));
            signal?.addEventListener('abort', () => controller.error(new DOMException('stopped', 'AbortError')));
            begin();
          },
        }),
      );
    const session = new ChatSession(null);
    await session.create({ model: 'm', system: '', params: {} }, 'Hi');
    const asking = session.send('Hi');
    await streaming;
    await vi.waitUntil(() => session.state.get().run?.text.get().content === 'Some');
    session.stop();
    await asking;
    expect(shown(session)).toEqual(['Hi', 'Some']);
    expect(calls.at(-1)?.body).toMatchObject({ finish_reason: 'cancelled' });
  });

  it('keeps an answer on the page when it can not be stored', async () => {
    const real = fetch;
    vi.stubGlobal('fetch', async (url: URL, init: RequestInit) => {
      if (url.pathname.endsWith('/messages') && String(init.body).includes('assistant')) {
        return Response.json({ error: { message: 'the disk is full', code: 'disk_full' } }, { status: 507 });
      }
      return real(url, init);
    });
    const session = await begun();
    expect(shown(session)).toEqual(['Hi', 'Hello there']);
    expect(session.state.get().failure?.error).toMatchObject({ code: 'disk_full' });
    vi.stubGlobal('fetch', real);
    await session.send('And now?');
    expect(shown(session)).toEqual(['Hi', 'Hello there', 'And now?', 'Hello there']);
    const stored = calls.filter((call) => call.path.endsWith('/messages')).map((call) => call.body?.parent_id);
    expect(stored.some((id) => String(id).startsWith('unsaved'))).toBe(false);
  });

  it('does not send earlier thinking to the model', () => {
    expect(
      turns({ system: ' ' }, [
        { role: 'user', content: 'q' },
        { role: 'assistant', content: '<think>\nsecret\n</think>\n\na' },
      ]),
    ).toEqual([
      { role: 'user', content: 'q' },
      { role: 'assistant', content: 'a' },
    ]);
  });
});

describe('parameters', () => {
  it('reads what is stored, without what is out of range', () => {
    expect(readParams({ temperature: 0.5, top_p: 7, top_k: 'x', stop: ['a', '', 3], other: 1 })).toEqual({
      temperature: 0.5,
      stop: ['a'],
    });
    expect(readParams(null)).toEqual({});
  });

  it('takes what is typed: empty is unset, too much is the most', () => {
    const field = FIELDS.find(({ name }) => name === 'temperature');
    if (!field) throw new Error('no temperature');
    expect(readNumber('', field)).toBeUndefined();
    expect(readNumber('9', field)).toBe(2);
    expect(readNumber('0.3', field)).toBe(0.3);
    expect(readNumber('abc', field)).toBeUndefined();
  });
});

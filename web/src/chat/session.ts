// A conversation and the answer that is being streamed into it. It lives outside the components, so that an answer goes on
// while another page is looked at.

import { ApiError } from '../api/client';
import { conversations } from '../api/endpoints';
import type { Conversation, ConversationPatch, Message, Usage } from '../api/types';
import { Store } from '../lib/store';
import { complete, type Turn } from './completion';
import { listChanged } from './history';
import { type Params, readParams } from './params';
import { type Answer, joinReasoning, splitReasoning } from './reasoning';
import { titleOf } from './title';
import { buildTree, newestLeaf, pathTo, siblingsOf, type Tree } from './tree';

/** How fast an answer came; known only to the page that saw it come. */
export interface Speed {
  firstTokenMs: number;
  tokensPerSec: number | null;
}

export interface Run {
  /** The message that is answered. */
  parentId: string;
  model: string;
  startedAt: number;
  /** The text so far; it changes at most once a frame. */
  text: Store<Answer>;
  controller: AbortController;
}

export interface Failure {
  /** The message that has no (whole) answer. */
  parentId: string;
  error: unknown;
}

export interface SessionState {
  status: 'loading' | 'ready' | 'failed';
  error: unknown;
  conversation: Conversation | null;
  tree: Tree<Message>;
  path: Message[];
  run: Run | null;
  failure: Failure | null;
}

/** What a new conversation starts with. */
export interface Setup {
  model: string;
  system: string;
  params: Params;
}

const UNSAVED = 'unsaved-';
const EMPTY = buildTree<Message>([]);

export class ChatSession {
  readonly state = new Store<SessionState>({
    status: 'ready',
    error: null,
    conversation: null,
    tree: EMPTY,
    path: [],
    run: null,
    failure: null,
  });
  readonly speeds = new Map<string, Speed>();
  private messages: Message[] = [];
  private visited = new Map<string | null, string>();
  private saving: Promise<unknown> = Promise.resolve();

  constructor(readonly id: string | null) {}

  private update(change: Partial<SessionState>): void {
    this.state.set((old) => ({ ...old, ...change }));
  }

  private show(head: string | null | undefined, change: Partial<SessionState> = {}): void {
    const tree = buildTree(this.messages);
    const path = pathTo(tree, head);
    let parent: string | null = null;
    for (const message of path) {
      this.visited.set(parent, message.id);
      parent = message.id;
    }
    this.update({ tree, path, ...change });
  }

  async load(): Promise<void> {
    const id = this.id ?? this.state.get().conversation?.id;
    if (!id || this.state.get().run) return;
    if (!this.state.get().conversation) this.update({ status: 'loading', error: null });
    try {
      const { conversation, messages } = await conversations.get(id);
      if (this.state.get().run) return;
      this.messages = messages;
      this.show(conversation.head_id, { status: 'ready', error: null, conversation });
    } catch (error) {
      if (this.state.get().conversation) return;
      this.update({ status: 'failed', error });
    }
  }

  /** Stores a conversation that has been only a form until now. */
  async create(setup: Setup, firstMessage: string): Promise<Conversation> {
    const conversation = await conversations.create({
      title: titleOf(firstMessage),
      model: setup.model,
      system: setup.system.trim() || undefined,
      params: setup.params,
    });
    this.update({ conversation });
    return conversation;
  }

  /** Changes title, model, system prompt or parameters; shown at once, stored in order. */
  async patch(change: ConversationPatch): Promise<void> {
    const before = this.state.get().conversation;
    if (!before) return;
    this.update({ conversation: { ...before, ...change } as Conversation });
    const saved = this.saving.then(() => conversations.patch(before.id, change));
    this.saving = saved.catch(() => undefined);
    try {
      await saved;
      listChanged();
    } catch (error) {
      this.update({ conversation: before });
      throw error;
    }
  }

  private remember(head: string): void {
    const { conversation } = this.state.get();
    if (!conversation) return;
    this.update({ conversation: { ...conversation, head_id: head } });
    // The head is a convenience: without it the newest branch is shown.
    this.saving = this.saving
      .then(() => conversations.patch(conversation.id, { head_id: head }))
      .catch(() => undefined);
  }

  /** Says something below `parentId` (undefined: at the end of what is shown) and has it answered. */
  async send(content: string, parentId?: string | null): Promise<void> {
    const { path, run, conversation } = this.state.get();
    if (run || !conversation) return;
    const parent = parentId === undefined ? (path[path.length - 1]?.id ?? null) : parentId;
    this.update({ failure: null });
    const parent_id = await this.storeLate(conversation.id, parent);
    const message = await conversations.addMessage(conversation.id, { parent_id, role: 'user', content });
    this.messages = [...this.messages, message];
    this.show(message.id);
    listChanged();
    await this.answer(message.id);
  }

  /** Stores an answer that could not be stored when it came, and gives the id that it has then. */
  private async storeLate(conversationId: string, id: string | null): Promise<string | null> {
    const late = id?.startsWith(UNSAVED) ? this.messages.find((message) => message.id === id) : undefined;
    if (!late) return id;
    const { parent_id = null, role, content, model, usage, finish_reason } = late;
    const stored = await conversations.addMessage(conversationId, {
      parent_id,
      role,
      content,
      model: model ?? undefined,
      usage: usage ?? undefined,
      finish_reason: finish_reason ?? undefined,
    });
    this.messages = this.messages.map((message) => (message === late ? stored : message));
    return stored.id;
  }

  /** Says an earlier message differently: a new branch beside the old one. */
  async edit(id: string, content: string): Promise<void> {
    await this.send(content, this.state.get().tree.byId.get(id)?.parent_id ?? null);
  }

  /** Another answer to the same message. */
  async regenerate(answerId: string): Promise<void> {
    const parent = this.state.get().tree.byId.get(answerId)?.parent_id;
    if (parent) await this.answer(parent);
  }

  stop(): void {
    this.state.get().run?.controller.abort();
  }

  /** Shows the sibling `step` places away from a message. */
  switchBranch(id: string, step: number): void {
    const { tree, run } = this.state.get();
    if (run) return;
    const { index, all } = siblingsOf(tree, id);
    const target = all[index + step];
    if (!target) return;
    const head = newestLeaf(tree, target.id, this.visited) ?? target.id;
    this.show(head, { failure: null });
    this.remember(head);
  }

  async answer(parentId: string): Promise<void> {
    const { conversation } = this.state.get();
    if (this.state.get().run || !conversation) return;
    const model = conversation.model ?? '';
    const run: Run = {
      parentId,
      model,
      startedAt: performance.now(),
      text: new Store<Answer>({ reasoning: '', content: '' }),
      controller: new AbortController(),
    };
    this.show(parentId, { run, failure: null });
    const outcome = await stream(run, turns(conversation, this.state.get().path), readParams(conversation.params));
    const answer = outcome.answer;
    const empty = answer.content === '' && answer.reasoning === '';
    const failure = outcome.error ? { parentId, error: outcome.error } : null;
    if (empty && (failure || outcome.reason === 'cancelled')) {
      this.update({ run: null, failure });
      return;
    }
    try {
      const message = await conversations.addMessage(conversation.id, {
        parent_id: parentId,
        role: 'assistant',
        content: joinReasoning(answer),
        model,
        usage: outcome.usage,
        finish_reason: outcome.reason,
      });
      if (outcome.speed) this.speeds.set(message.id, outcome.speed);
      this.messages = [...this.messages, message];
      this.show(message.id, { run: null, failure });
      const head = this.state.get().conversation;
      if (head) this.update({ conversation: { ...head, head_id: message.id } });
      listChanged();
    } catch (error) {
      // The answer is there but could not be stored: it stays on the page, and so does the reason.
      const message: Message = {
        id: `${UNSAVED}${Date.now()}`,
        parent_id: parentId,
        role: 'assistant',
        content: joinReasoning(answer),
        model,
        usage: outcome.usage,
        finish_reason: outcome.reason,
        created_at: Date.now(),
      };
      this.messages = [...this.messages, message];
      this.show(message.id, { run: null, failure: { parentId, error: outcome.error ?? error } });
    }
  }
}

/** What the model is shown: the system prompt and the path, without earlier thinking. */
export function turns(
  conversation: Pick<Conversation, 'system'>,
  path: readonly Pick<Message, 'role' | 'content'>[],
): Turn[] {
  const list: Turn[] = conversation.system?.trim() ? [{ role: 'system', content: conversation.system }] : [];
  for (const { role, content } of path) {
    list.push({ role, content: role === 'assistant' ? splitReasoning(content).content : content });
  }
  return list;
}

interface Outcome {
  answer: Answer;
  reason: string;
  usage?: Usage;
  speed?: Speed;
  error?: unknown;
}

async function stream(run: Run, messages: Turn[], params: Params): Promise<Outcome> {
  let content = '';
  let reasoning = '';
  let reason: string | null = null;
  let usage: Usage | undefined;
  let error: unknown;
  let firstAt = 0;
  let lastAt = 0;
  let frame = 0;
  const read = (): Answer => {
    const split = splitReasoning(content);
    return { reasoning: reasoning + split.reasoning, content: split.content };
  };
  const flush = () => {
    frame = 0;
    run.text.set(read());
  };
  try {
    for await (const piece of complete({ model: run.model, messages, params, signal: run.controller.signal })) {
      if (piece.kind === 'content' || piece.kind === 'reasoning') {
        lastAt = performance.now();
        firstAt ||= lastAt;
        if (piece.kind === 'content') content += piece.text;
        else reasoning += piece.text;
        // A hidden page gets no frames; a timer keeps its text going.
        if (frame === 0) frame = document.hidden ? window.setTimeout(flush, 250) : requestAnimationFrame(flush);
      } else if (piece.kind === 'end') reason = piece.reason;
      else usage = piece.usage;
    }
  } catch (caught) {
    if (run.controller.signal.aborted) reason = 'cancelled';
    else {
      error = caught;
      reason = caught instanceof ApiError && caught.code ? caught.code : 'error';
    }
  }
  cancelAnimationFrame(frame);
  clearTimeout(frame);
  flush();
  const seconds = (lastAt - firstAt) / 1000;
  const tokens = (usage?.completion_tokens ?? 0) - 1;
  const speed = firstAt
    ? { firstTokenMs: firstAt - run.startedAt, tokensPerSec: tokens > 0 && seconds > 0 ? tokens / seconds : null }
    : undefined;
  return { answer: read(), reason: reason ?? 'stop', usage, speed, error };
}

const sessions = new Map<string, ChatSession>();

/** The session of a stored conversation; one that is streaming is found again. */
export function sessionOf(id: string): ChatSession {
  let session = sessions.get(id);
  if (!session) {
    session = new ChatSession(id);
    sessions.set(id, session);
  }
  return session;
}

/** Gives a conversation that was just stored its place. */
export function adopt(id: string, session: ChatSession): void {
  sessions.set(id, session);
}

export function forget(id: string): void {
  sessions.get(id)?.stop();
  sessions.delete(id);
}

/** Signing out: nothing of this key stays in memory. */
export function forgetAll(): void {
  for (const id of [...sessions.keys()]) forget(id);
}

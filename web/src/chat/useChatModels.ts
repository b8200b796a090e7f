// The models that can be chatted with, and how ready each is.

import { models, replicas } from '../api/endpoints';
import type { Replica } from '../api/types';
import { useResource } from '../lib/resource';

export interface ChatModel {
  id: string;
  name: string;
  external: boolean;
  state: 'ready' | 'loading' | 'cold';
}

export interface ChatModels {
  list: ChatModel[];
  loaded: boolean;
  error: unknown;
  reload: () => void;
}

const MOST = 200;

/** The models that can be chatted with: installed ones first. */
export async function chatModelNames(signal?: AbortSignal): Promise<Omit<ChatModel, 'state'>[]> {
  const [installed, served] = await Promise.all([
    models.list({ kind: 'chat', limit: MOST }, signal),
    models.served(signal),
  ]);
  // A model without a chat template only continues texts.
  const own = installed.data
    .filter((model) => model.chat_template)
    .map(({ id, name }) => ({ id, name: name || id, external: false }));
  const others = served.data
    .filter((model) => model.owned_by !== 'rixin')
    .map(({ id }) => ({ id, name: id, external: true }));
  return [...own, ...others];
}

export function useChatModels(): ChatModels {
  const names = useResource('chat models', chatModelNames, 30_000);
  const running = useResource('chat replicas', (signal) => replicas.list(signal), 8000);
  const list = (names.data ?? []).map((model) => ({ ...model, state: readiness(model.id, running.data?.data ?? []) }));
  return {
    list,
    loaded: names.data !== undefined,
    error: names.error,
    reload: () => {
      void names.reload();
      void running.reload();
    },
  };
}

export function readiness(model: string, all: readonly Replica[]): ChatModel['state'] {
  const states = all.filter((replica) => replica.model === model).map((replica) => replica.state);
  if (states.some((state) => state === 'ready' || state === 'idle')) return 'ready';
  return states.includes('loading') ? 'loading' : 'cold';
}

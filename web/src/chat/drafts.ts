// What is half written survives a reload, for each conversation on its own.

import { local } from '../lib/storage';
import type { Params } from './params';
import { readParams } from './params';
import type { Setup } from './session';

const key = (id: string | null) => `rixin.draft.${id ?? 'new'}`;

export function readDraft(id: string | null): string {
  return local.get(key(id)) ?? '';
}

export function writeDraft(id: string | null, text: string): void {
  if (text === '') local.remove(key(id));
  else local.set(key(id), text);
}

const SETUP = 'rixin.newChat';

/** Model, system prompt and parameters of the next new conversation. */
export function readSetup(): Setup {
  try {
    const raw = JSON.parse(local.get(SETUP) ?? '{}') as { model?: unknown; system?: unknown; params?: unknown };
    return {
      model: typeof raw.model === 'string' ? raw.model : '',
      system: typeof raw.system === 'string' ? raw.system : '',
      params: readParams(raw.params),
    };
  } catch {
    return { model: '', system: '', params: {} };
  }
}

export function writeSetup(setup: { model: string; system: string; params: Params }): void {
  local.set(SETUP, JSON.stringify(setup));
}

// The shapes of the API that the console uses.

export type Role = 'admin' | 'member';

export interface Text {
  en: string;
  zh: string;
}

export interface Me {
  key_id: string;
  name: string;
  role: Role;
  tenant_id: string;
  lang: string;
}

export interface Key {
  id: string;
  name: string;
  role: Role;
  prefix: string;
  created_at: number;
  last_used?: number | null;
  revoked_at?: number | null;
}

export interface NewKey extends Key {
  key: string;
}

export interface Licence {
  spdx?: string | null;
  name: string;
  url?: string | null;
}

export type Tier = string;

export interface CatalogItem {
  id: string;
  name: string;
  kind: string;
  description: Text;
  languages: string[];
  licence: Licence;
  source: string;
  parameters?: number | null;
  quantisation?: string | null;
  context_length?: number | null;
  size_bytes?: number | null;
  memory_bytes?: number | null;
  fits?: boolean | null;
  installed: boolean;
  tier: Tier;
}

export interface ModelFile {
  path: string;
  size: number;
  sha256: string;
}

export interface Manifest {
  id: string;
  name: string;
  kind: string;
  architecture?: string | null;
  files: ModelFile[];
  source: string;
  licence: Licence;
  licence_accepted?: { at: number; by: string } | null;
  origin: string;
  chat_template: boolean;
  memory?: { weights_bytes: number; per_token_bytes: number; overhead_bytes: number } | null;
  base_model?: string | null;
  languages: string[];
  context_length?: number | null;
  parameters?: number | null;
  quantisation?: string | null;
  installed_at: number;
  description?: Text | null;
}

export interface Page<T> {
  data: T[];
  next?: string | null;
  total?: number | null;
}

export interface Verification {
  ok: boolean;
  files: { path: string; ok: boolean; reason?: string | null }[];
}

export interface PullPreview {
  id?: string | null;
  name: string;
  licence: Licence;
  licence_text: Text;
  conditions?: Text | null;
  size_bytes?: number | null;
  memory_bytes?: number | null;
  files: { path: string; size?: number | null; sha256?: string | null }[];
  source: string;
  revision?: string | null;
  page?: string | null;
  others?: { target: string; size?: number | null }[];
  fits?: boolean | null;
  installed: boolean;
}

export type PullState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

export interface Pull {
  id: string;
  target: string;
  model_id?: string | null;
  state: PullState;
  stage?: string | null;
  item?: string | null;
  done: number;
  total?: number | null;
  unit?: string | null;
  error?: { message: string; code?: string | null } | null;
  created_at: number;
}

export type ReplicaState = 'loading' | 'ready' | 'idle' | 'failed' | 'stopping';

export interface Replica {
  id: string;
  model: string;
  kind: 'local' | 'external';
  state: ReplicaState;
  memory_bytes?: number | null;
  active: number;
  queued: number;
  slots: number;
  since: number;
  idle_unload_at?: number | null;
  error?: { message: string; code?: string | null } | null;
  restarts: number;
  load_fraction?: number | null;
  stats?: {
    prompt_tokens_per_second: number;
    decode_tokens_per_second: number;
    requests_total: number;
    cache_tokens_used: number;
    cache_tokens: number;
  } | null;
}

export interface Memory {
  total_bytes: number;
  free_bytes: number;
  limit_bytes: number;
  used_bytes: number;
}

export interface External {
  id: string;
  name: string;
  base_url: string;
  has_key: boolean;
  state: 'checking' | 'ok' | 'failed';
  models: string[];
  error?: { message: string; code?: string | null } | null;
  checked_at?: number | null;
  active: number;
  created_at: number;
}

export interface Conversation {
  id: string;
  title: string;
  model?: string | null;
  system?: string | null;
  params?: Record<string, unknown> | null;
  head_id?: string | null;
  created_at: number;
  updated_at: number;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

export interface Message {
  id: string;
  parent_id?: string | null;
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
  model?: string | null;
  created_at: number;
  usage?: Usage | null;
  finish_reason?: string | null;
}

export interface UsageRow {
  day: string;
  key_id: string;
  model: string;
  requests: number;
  prompt_tokens: number;
  completion_tokens: number;
}

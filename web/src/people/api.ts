// The routes about people: organisations, members, projects, their keys, sessions.

import { json } from '../api/client';
import type { Key, Role } from '../api/types';

export interface Member {
  id: string;
  key_id: string;
  name: string;
  title: string;
  role: Role;
  has_password: boolean;
  created_at: number;
  last_seen?: number | null;
  disabled_at?: number | null;
}

/** A one-time link, at the only moment at which it is known. */
export interface Invitation {
  member_id: string;
  token: string;
  expires_at: number;
}

export interface Project {
  id: string;
  name: string;
  created_at: number;
  closed_at?: number | null;
}

export interface Organisation {
  id: string;
  name: string;
  host: boolean;
  created_at: number;
  disabled_at?: number | null;
}

export interface SignInSession {
  id: string;
  member_id: string;
  method: string;
  agent: string;
  address: string;
  created_at: number;
  seen_at: number;
  expires_at: number;
  current?: boolean;
}

/** A key with what narrows it. */
export type ScopedKey = Key & {
  kind: 'service' | 'member';
  project_id?: string | null;
  member_id?: string | null;
  scopes?: string[];
  models?: string[];
  networks?: string[];
  expires_at?: number;
};

export interface NewKey {
  name: string;
  role: Role;
  project_id?: string;
  scopes?: string[];
  models?: string[];
  networks?: string[];
  expires_at?: number;
}

interface List<T> {
  data: T[];
}

const at = (path: string, id: string) => `${path}/${encodeURIComponent(id)}`;

export const members = {
  list: (signal?: AbortSignal) => json<List<Member>>('GET', '/api/members', { signal }),
  add: (body: { name: string; title: string; role: Role }) =>
    json<{ member: Member; invitation: Invitation }>('POST', '/api/members', { body }),
  change: (id: string, body: { title?: string; role?: Role; disabled?: boolean }) =>
    json<Member>('PATCH', at('/api/members', id), { body }),
  remove: (id: string) => json<void>('DELETE', at('/api/members', id)),
  invite: (id: string) => json<Invitation>('POST', `${at('/api/members', id)}/invitation`),
};

export const projects = {
  list: (signal?: AbortSignal) => json<List<Project>>('GET', '/api/projects', { signal }),
  create: (name: string) => json<Project>('POST', '/api/projects', { body: { name } }),
  close: (id: string) => json<Project>('DELETE', at('/api/projects', id)),
};

export const organisations = {
  list: (signal?: AbortSignal) => json<List<Organisation>>('GET', '/api/organisations', { signal }),
  create: (name: string, owner: string) =>
    json<{ organisation: Organisation; invitation: Invitation }>('POST', '/api/organisations', {
      body: { name, owner },
    }),
  disable: (id: string, disabled: boolean) =>
    json<Organisation>('PATCH', at('/api/organisations', id), { body: { disabled } }),
};

export const sessions = {
  list: (signal?: AbortSignal) => json<List<SignInSession>>('GET', '/api/sessions', { signal }),
  end: (id: string) => json<void>('DELETE', at('/api/sessions', id)),
  changePassword: (old: string, fresh: string) => json<void>('POST', '/api/password', { body: { old, new: fresh } }),
};

export const scopedKeys = {
  list: async (signal?: AbortSignal) => (await json<List<ScopedKey>>('GET', '/api/keys', { signal })).data,
  create: (body: NewKey) => json<ScopedKey & { key: string }>('POST', '/api/keys', { body }),
};

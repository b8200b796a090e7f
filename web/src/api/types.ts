// The shapes of the API that the console uses, by short names: all from the OpenAPI document.

import type { components } from './schema';

type Shapes = components['schemas'];

export type Role = Shapes['KeyRole'];
export type Right = Shapes['Right'];
export type Text = Shapes['Message'];
export type Me = Shapes['Me'];
export type Key = Shapes['Key'];
export type NewKey = Shapes['CreatedKey'];
export type ModelKind = Shapes['ModelKind'];
export type Origin = Shapes['Origin'];
export type CatalogItem = Shapes['CatalogItem'];
export type Manifest = Shapes['Manifest'];
export type ManifestPage = Shapes['Page'];
export type Verification = Shapes['Verification'];
export type PullPreview = Shapes['PullPreview'];
export type Job = Shapes['Job'];
export type Pull = Shapes['Pull'];
export type Replica = Shapes['Replica'];
export type Replicas = Shapes['Replicas'];
export type Memory = Shapes['MemoryPlan'];
export type External = Shapes['External'];
export type NewExternal = Shapes['NewExternal'];
export type Conversation = Shapes['Conversation'];
export type ConversationPage = Shapes['Paged_Conversation'];
export type ConversationPatch = Shapes['ConversationPatch'];
export type NewConversation = Shapes['NewConversation'];
export type WholeConversation = Shapes['WholeConversation'];
export type Message = Shapes['ConversationMessage'];
export type NewMessage = Shapes['NewConversationMessage'];
export type Usage = Shapes['MessageUsage'];
/** As `UsageSum` of the OpenAPI document, by day, key and model. */
export interface UsageRow {
  day: string;
  key_id: string;
  model: string;
  requests: number;
  prompt_tokens: number;
  completion_tokens: number;
  images?: number;
  job_seconds?: number;
  costs?: { currency: string; amount: string }[];
  unpriced?: boolean;
}
/** As `QuotaUse` of the OpenAPI document. */
export interface QuotaUse {
  id: string;
  subject: 'tenant' | 'project' | 'key' | 'each_key';
  subject_id: string;
  measure: 'tokens' | 'requests' | 'images' | 'job_seconds' | 'storage_bytes' | 'concurrent_jobs';
  accelerator: string;
  period: 'minute' | 'hour' | 'day' | 'month' | 'standing';
  amount: number;
  used: number;
  renews_at?: number;
}
/** As `Price` of the OpenAPI document. */
export interface Price {
  model: string;
  valid_from: string;
  currency: string;
  prompt: string;
  completion: string;
  image: string;
  job_second: string;
}
/** As `Outbound` of the OpenAPI document. */
export interface Outbound {
  name: string;
  about: string;
  targets: string[];
  allowed: boolean;
  why: string;
}
export type ModelList = Shapes['ModelList'];
export type ChatChunk = Shapes['ChatChunk'];

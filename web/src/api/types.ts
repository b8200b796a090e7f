// The shapes of the API that the console uses, by short names: all from the OpenAPI document.

import type { components } from './schema';

type Shapes = components['schemas'];

export type Role = Shapes['KeyRole'];
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
export type UsageRow = Shapes['UsageRow'];
export type ModelList = Shapes['ModelList'];
export type ChatChunk = Shapes['ChatChunk'];

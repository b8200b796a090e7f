//! The store as its users see it, on both databases; what is about files alone, about several gateways, and about old schemas.

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod cluster;
mod files;
mod gateways;
mod jobs;
mod rooms;
mod upgrade;

use rixin_store::{
    ConversationQuery, LedgerEntry, MessageRole, NewConversation, NewMessage, Store, TenantScope, now_ms,
};

async fn scope_of(store: &Store, secret: &str) -> TenantScope {
    store.authenticate(secret).await.expect("works").expect("known key").scope
}

fn said(parent_id: Option<rixin_base::MessageId>, role: MessageRole, content: &str) -> NewMessage {
    NewMessage { parent_id, role, content: content.into(), model: None, usage: None, finish_reason: None }
}

fn about(title: &str) -> NewConversation {
    NewConversation { title: Some(title.into()), model: "m".into(), ..NewConversation::default() }
}

fn search(text: &str) -> ConversationQuery {
    ConversationQuery { text: Some(text.into()), ..ConversationQuery::default() }
}

/// An answer of a model that a key has asked.
fn took(scope: &TenantScope, model: &str, prompt_tokens: u64, completion_tokens: u64) -> LedgerEntry {
    LedgerEntry {
        id: rixin_base::RequestId::new().to_string(),
        tenant: scope.tenant(),
        key: scope.key(),
        job: None,
        at: now_ms(),
        kind: "chat".into(),
        model: model.into(),
        prompt_tokens,
        completion_tokens,
        price_percent: 100,
        project: None,
        images: 0,
        job_seconds: 0,
    }
}

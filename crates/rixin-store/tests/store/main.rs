//! The store as its users see it, on both databases; what is about files alone, about several gateways, and about old schemas.

#[path = "../support/mod.rs"]
mod support;

mod files;
mod gateways;
mod jobs;
mod rooms;
mod upgrade;

use rixin_store::{ConversationQuery, MessageRole, NewConversation, NewMessage, Store, TenantScope};

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

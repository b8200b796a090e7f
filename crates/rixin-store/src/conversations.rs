//! Conversations: each belongs to the key that began it, and no other key of the tenant sees it.

use rixin_base::{ConversationId, MessageId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    Error, Page, Store, TenantScope,
    db::{Row, Sql, Tx, sql},
    now_ms,
    page::{Cursor, MAX_LIMIT},
    row::{json, parsed, parsed_opt},
    search,
};

/// A conversation without its messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Conversation {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ConversationId,
    /// Its title; from the first message of the user where none was given.
    pub title: String,
    /// The model that is asked.
    pub model: String,
    /// The system prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Parameters of the requests, as the console keeps them.
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
    /// The message whose branch is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub head_id: Option<MessageId>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970, of the last message or change.
    pub updated_at: i64,
}

/// What is needed to begin one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct NewConversation {
    /// Its title.
    #[serde(default)]
    pub title: Option<String>,
    /// The model that is asked.
    pub model: String,
    /// The system prompt.
    #[serde(default)]
    pub system: Option<String>,
    /// Parameters of the requests.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
}

/// What changes; absent fields stay, `null` clears `system` and `head_id`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ConversationPatch {
    /// The title.
    #[serde(default)]
    pub title: Option<String>,
    /// The model.
    #[serde(default)]
    pub model: Option<String>,
    /// The system prompt.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub system: Option<Option<String>>,
    /// All parameters anew.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub params: Option<Map<String, Value>>,
    /// The message whose branch is shown.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub head_id: Option<Option<MessageId>>,
}

/// Tells `null` from absent.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// Which conversations to list.
#[derive(Clone, Debug, Default)]
pub struct ConversationQuery {
    /// Words that all occur in the title or in messages.
    pub text: Option<String>,
    /// At most so many, 1 to 200; 0: 50.
    pub limit: u32,
    /// The `next` of the page before.
    pub after: Option<String>,
}

const TITLE_MAX: usize = 200;

fn checked_title(title: Option<&str>) -> Result<String, Error> {
    let title = title.unwrap_or_default().trim();
    if title.chars().count() > TITLE_MAX {
        return Err(Error::Invalid {
            param: "title",
            en: "a title has at most 200 characters",
            zh: "标题最多 200 个字符",
        });
    }
    Ok(title.replace(['\n', '\r', '\t'], " "))
}

pub(crate) fn conversation_of(row: &Row) -> Result<Conversation, sqlx::Error> {
    Ok(Conversation {
        id: parsed(row, "id")?,
        title: row.try_get("title")?,
        model: row.try_get("model")?,
        system: row.try_get("system")?,
        params: json(row, "params")?,
        head_id: parsed_opt(row, "head_id")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// A conversation that the scope may name.
fn one(scope: &TenantScope, id: ConversationId) -> Sql {
    sql("SELECT id, title, model, system, params, head_id, created_at, updated_at FROM conversations \
         WHERE id = $1 AND tenant_id = $2 AND ($3 IS NULL OR key_id = $3)")
    .bind(id.to_string())
    .bind(scope.tenant_text())
    .bind(scope.key_text())
}

fn missing(id: ConversationId) -> Error {
    Error::not_found("conversation", "会话", id)
}

impl Store {
    /// Begins a conversation.
    ///
    /// # Errors
    /// A title or model that is too long.
    pub async fn create_conversation(
        &self,
        scope: &TenantScope,
        new: NewConversation,
    ) -> Result<Conversation, Error> {
        let now = now_ms();
        let conversation = Conversation {
            id: ConversationId::new(),
            title: checked_title(new.title.as_deref())?,
            model: new.model,
            system: new.system.filter(|text| !text.is_empty()),
            params: new.params,
            head_id: None,
            created_at: now,
            updated_at: now,
        };
        let insert = sql(
            "INSERT INTO conversations (id, tenant_id, key_id, title, model, system, params, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(conversation.id.to_string())
        .bind(scope.tenant_text())
        .bind(scope.key_text())
        .bind(&conversation.title)
        .bind(&conversation.model)
        .bind(&conversation.system)
        .bind(Value::Object(conversation.params.clone()).to_string())
        .bind(now)
        .bind(now);
        let mut tx = self.db().write().await?;
        tx.execute(insert).await?;
        tx.commit().await?;
        Ok(conversation)
    }

    /// One conversation.
    ///
    /// # Errors
    /// There is none with this id in the scope.
    pub async fn conversation(&self, scope: &TenantScope, id: ConversationId) -> Result<Conversation, Error> {
        let row = self.db().fetch_optional(one(scope, id)).await?.ok_or_else(|| missing(id))?;
        conversation_of(&row).map_err(|e| self.db().failed(e))
    }

    /// Conversations, the latest change first.
    ///
    /// # Errors
    /// A cursor that is none.
    pub async fn conversations(
        &self,
        scope: &TenantScope,
        query: &ConversationQuery,
    ) -> Result<Page<Conversation>, Error> {
        let limit = if query.limit == 0 { 50 } else { query.limit.min(MAX_LIMIT) };
        let cursor = query.after.as_deref().map(Cursor::decode).transpose()?;
        let mut list = sql(
            "SELECT id, title, model, system, params, head_id, created_at, updated_at FROM conversations \
             WHERE tenant_id = $1",
        )
        .bind(scope.tenant_text());
        if let Some(key) = scope.key_text() {
            list.push(" AND key_id = ").push_bind(key);
        }
        if let Some(cursor) = cursor {
            list.push(" AND (updated_at, id) < (").push_bind(cursor.time_ms);
            list.push(", ").push_bind(cursor.id).push(")");
        }
        for term in search::terms(query.text.as_deref().unwrap_or_default()) {
            search::push_condition(&mut list, self.db().dialect(), &term);
        }
        list.push(" ORDER BY updated_at DESC, id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = self.db().fetch_all(list).await?;
        let mut items = self.db().all(&rows, conversation_of)?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| Cursor { time_ms: last.updated_at, id: last.id.to_string() }.encode());
        Ok(Page { items, next })
    }

    /// Changes a conversation.
    ///
    /// # Errors
    /// There is none with this id in the scope; a title that is too long; a head that is not one of its messages.
    pub async fn update_conversation(
        &self,
        scope: &TenantScope,
        id: ConversationId,
        patch: ConversationPatch,
    ) -> Result<Conversation, Error> {
        let mut tx = self.db().write().await?;
        let mut conversation = self.conversation_in(&mut tx, scope, id).await?;
        if let Some(title) = patch.title {
            conversation.title = checked_title(Some(&title))?;
        }
        if let Some(model) = patch.model {
            conversation.model = model;
        }
        if let Some(system) = patch.system {
            conversation.system = system.filter(|text| !text.is_empty());
        }
        if let Some(params) = patch.params {
            conversation.params = params;
        }
        if let Some(head) = patch.head_id {
            if let Some(head) = head {
                let there: bool = tx
                    .scalar(
                        sql("SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_id = $1 AND id = $2)")
                            .bind(id.to_string())
                            .bind(head.to_string()),
                    )
                    .await?;
                if !there {
                    return Err(Error::not_found("message of this conversation", "该会话的消息", head));
                }
            }
            conversation.head_id = head;
        }
        conversation.updated_at = now_ms().max(conversation.updated_at + 1);
        let update = sql(
            "UPDATE conversations SET title = $1, model = $2, system = $3, params = $4, head_id = $5, updated_at = $6 \
             WHERE id = $7",
        )
        .bind(&conversation.title)
        .bind(&conversation.model)
        .bind(&conversation.system)
        .bind(Value::Object(conversation.params.clone()).to_string())
        .bind(conversation.head_id.map(|head| head.to_string()))
        .bind(conversation.updated_at)
        .bind(id.to_string());
        tx.execute(update).await?;
        tx.commit().await?;
        Ok(conversation)
    }

    /// Removes a conversation and its messages.
    ///
    /// # Errors
    /// There is none with this id in the scope.
    pub async fn delete_conversation(&self, scope: &TenantScope, id: ConversationId) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        self.conversation_in(&mut tx, scope, id).await?;
        tx.execute(sql("DELETE FROM conversations WHERE id = $1").bind(id.to_string())).await?;
        tx.commit().await
    }

    /// The row inside a transaction, which proves the right to it; nobody else changes it until the transaction ends.
    pub(crate) async fn conversation_in(
        &self,
        tx: &mut Tx,
        scope: &TenantScope,
        id: ConversationId,
    ) -> Result<Conversation, Error> {
        let row = tx.fetch_optional(one(scope, id).locking()).await?.ok_or_else(|| missing(id))?;
        conversation_of(&row).map_err(|e| self.db().failed(e))
    }
}

//! Conversations: each belongs to the key that began it, and no other key of the tenant sees it.

use rixin_base::{ConversationId, MessageId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::{Row as _, Sqlite, Transaction, sqlite::SqliteRow};
use utoipa::ToSchema;

use crate::{
    Error, Page, Store, TenantScope, now_ms,
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

pub(crate) fn conversation_of(row: &SqliteRow) -> Result<Conversation, sqlx::Error> {
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
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO conversations (id, tenant_id, key_id, title, model, system, params, created_at, updated_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(conversation.id.to_string())
        .bind(scope.tenant_text())
        .bind(scope.key_text())
        .bind(&conversation.title)
        .bind(&conversation.model)
        .bind(&conversation.system)
        .bind(Value::Object(conversation.params.clone()).to_string())
        .bind(now)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(|e| self.failed(e))?;
        tx.commit().await.map_err(|e| self.failed(e))?;
        Ok(conversation)
    }

    /// One conversation.
    ///
    /// # Errors
    /// There is none with this id in the scope.
    pub async fn conversation(&self, scope: &TenantScope, id: ConversationId) -> Result<Conversation, Error> {
        let row = sqlx::query(
            "SELECT * FROM conversations WHERE id = ?1 AND tenant_id = ?2 AND (?3 IS NULL OR key_id = ?3)",
        )
        .bind(id.to_string())
        .bind(scope.tenant_text())
        .bind(scope.key_text())
        .fetch_optional(self.reader())
        .await
        .map_err(|e| self.failed(e))?
        .ok_or_else(|| Error::not_found("conversation", "会话", id))?;
        conversation_of(&row).map_err(|e| self.failed(e))
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
        let mut sql = sqlx::QueryBuilder::<Sqlite>::new("SELECT * FROM conversations WHERE tenant_id = ");
        sql.push_bind(scope.tenant_text());
        if let Some(key) = scope.key_text() {
            sql.push(" AND key_id = ").push_bind(key);
        }
        if let Some(cursor) = cursor {
            sql.push(" AND (updated_at, id) < (").push_bind(cursor.time_ms);
            sql.push(", ").push_bind(cursor.id).push(")");
        }
        for term in search::terms(query.text.as_deref().unwrap_or_default()) {
            search::push_condition(&mut sql, &term);
        }
        sql.push(" ORDER BY updated_at DESC, id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let rows = sql.build().fetch_all(self.reader()).await.map_err(|e| self.failed(e))?;
        let mut items: Vec<Conversation> =
            rows.iter().map(conversation_of).collect::<Result<_, _>>().map_err(|e| self.failed(e))?;
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
        let mut tx = self.write().await?;
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
                let there: bool = sqlx::query_scalar(
                    "SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_id = ? AND id = ?)",
                )
                .bind(id.to_string())
                .bind(head.to_string())
                .fetch_one(&mut *tx)
                .await
                .map_err(|e| self.failed(e))?;
                if !there {
                    return Err(Error::not_found("message of this conversation", "该会话的消息", head));
                }
            }
            conversation.head_id = head;
        }
        conversation.updated_at = now_ms().max(conversation.updated_at + 1);
        sqlx::query(
            "UPDATE conversations SET title = ?, model = ?, system = ?, params = ?, head_id = ?, updated_at = ? WHERE id = ?",
        )
        .bind(&conversation.title)
        .bind(&conversation.model)
        .bind(&conversation.system)
        .bind(Value::Object(conversation.params.clone()).to_string())
        .bind(conversation.head_id.map(|head| head.to_string()))
        .bind(conversation.updated_at)
        .bind(id.to_string())
        .execute(&mut *tx)
        .await
        .map_err(|e| self.failed(e))?;
        tx.commit().await.map_err(|e| self.failed(e))?;
        Ok(conversation)
    }

    /// Removes a conversation and its messages.
    ///
    /// # Errors
    /// There is none with this id in the scope.
    pub async fn delete_conversation(&self, scope: &TenantScope, id: ConversationId) -> Result<(), Error> {
        let mut tx = self.write().await?;
        self.conversation_in(&mut tx, scope, id).await?;
        sqlx::query("DELETE FROM conversations WHERE id = ?")
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
        tx.commit().await.map_err(|e| self.failed(e))
    }

    /// The row inside a transaction, which proves the right to it.
    pub(crate) async fn conversation_in(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        scope: &TenantScope,
        id: ConversationId,
    ) -> Result<Conversation, Error> {
        let row = sqlx::query(
            "SELECT * FROM conversations WHERE id = ?1 AND tenant_id = ?2 AND (?3 IS NULL OR key_id = ?3)",
        )
        .bind(id.to_string())
        .bind(scope.tenant_text())
        .bind(scope.key_text())
        .fetch_optional(&mut **tx)
        .await
        .map_err(|e| self.failed(e))?
        .ok_or_else(|| Error::not_found("conversation", "会话", id))?;
        conversation_of(&row).map_err(|e| self.failed(e))
    }
}

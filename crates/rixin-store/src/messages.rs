//! Messages: a tree, so that editing or asking again makes a branch and nothing is lost.

use rixin_base::{ConversationId, MessageId};
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, sqlite::SqliteRow};
use utoipa::ToSchema;

use crate::{
    Error, Store, TenantScope, now_ms,
    row::{parsed, parsed_opt, small_opt, word},
};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ConversationRole)]
pub enum MessageRole {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A function's result.
    Tool,
}

impl MessageRole {
    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageRole::System => "system",
            MessageRole::User => "user",
            MessageRole::Assistant => "assistant",
            MessageRole::Tool => "tool",
        }
    }

    fn from_word(text: &str) -> Option<Self> {
        [Self::System, Self::User, Self::Assistant, Self::Tool].into_iter().find(|role| role.as_str() == text)
    }
}

/// Tokens that an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageUsage {
    /// Tokens of the prompt.
    #[serde(default)]
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    #[serde(default)]
    pub completion_tokens: u32,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ConversationMessage)]
pub struct Message {
    /// Its id.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// The message that it follows; absent for a first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub parent_id: Option<MessageId>,
    /// Who speaks.
    pub role: MessageRole,
    /// What was said.
    pub content: String,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens that the answer took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<MessageUsage>,
    /// Why the answer ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// What is needed to add one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = NewConversationMessage)]
pub struct NewMessage {
    /// The message that it follows.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub parent_id: Option<MessageId>,
    /// Who speaks.
    pub role: MessageRole,
    /// What was said.
    pub content: String,
    /// The model that answered.
    #[serde(default)]
    pub model: Option<String>,
    /// Tokens that the answer took.
    #[serde(default)]
    pub usage: Option<MessageUsage>,
    /// Why the answer ended.
    #[serde(default)]
    pub finish_reason: Option<String>,
}

fn message_of(row: &SqliteRow) -> Result<Message, sqlx::Error> {
    let (prompt, completion) = (small_opt(row, "prompt_tokens")?, small_opt(row, "completion_tokens")?);
    Ok(Message {
        id: parsed(row, "id")?,
        parent_id: parsed_opt(row, "parent_id")?,
        role: word(row, "role", MessageRole::from_word)?,
        content: row.try_get("content")?,
        model: row.try_get("model")?,
        usage: completion
            .map(|completion_tokens| MessageUsage { prompt_tokens: prompt.unwrap_or(0), completion_tokens }),
        finish_reason: row.try_get("finish_reason")?,
        created_at: row.try_get("created_at")?,
    })
}

/// The first line of a text, cut to a title's length.
fn title_of(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut title: String = line.chars().take(60).collect();
    if line.chars().nth(60).is_some() {
        title.push('…');
    }
    title
}

impl Store {
    /// Adds a message and makes it the head of its conversation.
    ///
    /// # Errors
    /// There is no such conversation in the scope, or the parent is not one of its messages.
    pub async fn add_message(
        &self,
        scope: &TenantScope,
        conversation: ConversationId,
        new: NewMessage,
    ) -> Result<Message, Error> {
        let mut tx = self.write().await?;
        let row = self.conversation_in(&mut tx, scope, conversation).await?;
        if let Some(parent) = new.parent_id {
            let there: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_id = ? AND id = ?)",
            )
            .bind(conversation.to_string())
            .bind(parent.to_string())
            .fetch_one(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
            if !there {
                return Err(Error::not_found("message of this conversation", "该会话的消息", parent));
            }
        }
        let now = now_ms();
        let message = Message {
            id: MessageId::new(),
            parent_id: new.parent_id,
            role: new.role,
            content: new.content,
            model: new.model,
            usage: new.usage,
            finish_reason: new.finish_reason,
            created_at: now,
        };
        sqlx::query(
            "INSERT INTO messages (id, conversation_id, parent_id, role, content, model, prompt_tokens, \
             completion_tokens, finish_reason, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(message.id.to_string())
        .bind(conversation.to_string())
        .bind(message.parent_id.map(|id| id.to_string()))
        .bind(message.role.as_str())
        .bind(&message.content)
        .bind(&message.model)
        .bind(message.usage.map(|usage| i64::from(usage.prompt_tokens)))
        .bind(message.usage.map(|usage| i64::from(usage.completion_tokens)))
        .bind(&message.finish_reason)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(|e| self.failed(e))?;
        let title = if row.title.is_empty() && message.role == MessageRole::User {
            title_of(&message.content)
        } else {
            row.title
        };
        sqlx::query("UPDATE conversations SET head_id = ?, title = ?, updated_at = ? WHERE id = ?")
            .bind(message.id.to_string())
            .bind(title)
            .bind(now.max(row.updated_at + 1))
            .bind(conversation.to_string())
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
        tx.commit().await.map_err(|e| self.failed(e))?;
        Ok(message)
    }

    /// All messages of a conversation, in the order in which they were made.
    ///
    /// # Errors
    /// There is no such conversation in the scope.
    pub async fn messages(
        &self,
        scope: &TenantScope,
        conversation: ConversationId,
    ) -> Result<Vec<Message>, Error> {
        self.conversation(scope, conversation).await?;
        let rows = sqlx::query("SELECT * FROM messages WHERE conversation_id = ? ORDER BY seq")
            .bind(conversation.to_string())
            .fetch_all(self.reader())
            .await
            .map_err(|e| self.failed(e))?;
        rows.iter().map(message_of).collect::<Result<_, _>>().map_err(|e| self.failed(e))
    }
}

#[cfg(test)]
mod tests {
    use super::title_of;

    #[test]
    fn titles_are_the_first_line() {
        assert_eq!(title_of("\n  你好，请问\n第二行"), "你好，请问");
        assert_eq!(title_of(&"长".repeat(80)), format!("{}…", "长".repeat(60)));
        assert_eq!(title_of(""), "");
    }
}

-- Times are milliseconds since 1970, ids are the text forms of rixin-base, JSON is text.

CREATE TABLE tenants (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL
) STRICT;

-- The secret itself is never here: hash is its SHA-256, prefix the first characters that people tell keys apart by.
CREATE TABLE keys (
    id          TEXT PRIMARY KEY NOT NULL,
    tenant_id   TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    role        TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    prefix      TEXT NOT NULL,
    hash        BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at  INTEGER NOT NULL,
    last_used   INTEGER,
    revoked_at  INTEGER
) STRICT;
CREATE INDEX keys_by_prefix ON keys (prefix);
CREATE INDEX keys_by_tenant ON keys (tenant_id, id);

-- What a process keeps in memory is valid while the counter of its name stands still.
CREATE TABLE epochs (
    name        TEXT PRIMARY KEY NOT NULL,
    value       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO epochs (name, value) VALUES ('keys', 0);
CREATE TRIGGER keys_changed AFTER UPDATE OF name, role, hash, revoked_at, tenant_id ON keys BEGIN
    UPDATE epochs SET value = value + 1 WHERE name = 'keys';
END;
CREATE TRIGGER keys_deleted AFTER DELETE ON keys BEGIN
    UPDATE epochs SET value = value + 1 WHERE name = 'keys';
END;

-- A conversation belongs to the key that began it. head_id is the message whose branch is shown.
CREATE TABLE conversations (
    id          TEXT PRIMARY KEY NOT NULL,
    tenant_id   TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key_id      TEXT REFERENCES keys (id) ON DELETE SET NULL,
    title       TEXT NOT NULL,
    model       TEXT NOT NULL,
    system      TEXT,
    params      TEXT NOT NULL DEFAULT '{}',
    head_id     TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX conversations_by_update ON conversations (tenant_id, key_id, updated_at DESC, id DESC);

-- A tree: an edited message is a new child of the same parent. Messages go only with their conversation, so the
-- parent's reference does not cascade (a cascade along a long chain would meet SQLite's limit of 1000 levels). seq is what the full-text index refers to.
CREATE TABLE messages (
    seq                INTEGER PRIMARY KEY,
    id                 TEXT NOT NULL UNIQUE,
    conversation_id    TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    parent_id          TEXT,
    role               TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
    content            TEXT NOT NULL,
    model              TEXT,
    prompt_tokens      INTEGER,
    completion_tokens  INTEGER,
    finish_reason      TEXT,
    created_at         INTEGER NOT NULL,
    UNIQUE (conversation_id, id),
    FOREIGN KEY (conversation_id, parent_id) REFERENCES messages (conversation_id, id)
) STRICT;
CREATE INDEX messages_by_parent ON messages (conversation_id, parent_id);

-- Trigrams find any three characters in a row, Chinese or not; shorter words are looked for by a scan.
CREATE VIRTUAL TABLE messages_fts USING fts5 (content, content = 'messages', content_rowid = 'seq', tokenize = 'trigram');
CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
    INSERT INTO messages_fts (rowid, content) VALUES (new.seq, new.content);
END;
CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, content) VALUES ('delete', old.seq, old.content);
END;

CREATE TABLE externals (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL UNIQUE,
    base_url    TEXT NOT NULL,
    api_key     TEXT,
    models      TEXT NOT NULL DEFAULT '[]',
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE usage (
    tenant_id          TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key_id             TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    day                TEXT NOT NULL,
    model              TEXT NOT NULL,
    requests           INTEGER NOT NULL DEFAULT 0,
    prompt_tokens      INTEGER NOT NULL DEFAULT 0,
    completion_tokens  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, day, key_id, model)
) STRICT, WITHOUT ROWID;

-- Answers of /v1/responses that a later request may go on from.
CREATE TABLE responses (
    id           TEXT PRIMARY KEY NOT NULL,
    tenant_id    TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key_id       TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    previous_id  TEXT,
    input        TEXT NOT NULL,
    response     TEXT NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX responses_by_age ON responses (created_at);

CREATE TABLE settings (
    name   TEXT PRIMARY KEY NOT NULL,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

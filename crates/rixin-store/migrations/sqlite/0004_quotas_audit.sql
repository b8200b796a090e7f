-- The audit log: append-only, each row's hash over the one before and its own content. It outlives what it tells of, so nothing refers.
CREATE TABLE audit (
    tenant_id   TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    actor_kind  TEXT NOT NULL,
    actor_id    TEXT NOT NULL,
    actor_name  TEXT NOT NULL,
    address     TEXT NOT NULL,
    action      TEXT NOT NULL,
    target      TEXT NOT NULL,
    project_id  TEXT,
    outcome     TEXT NOT NULL,
    details     TEXT NOT NULL,
    hash        BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_by_action ON audit (tenant_id, action, seq);
CREATE TRIGGER audit_stays AFTER UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_kept AFTER DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
-- The last row of each chain; whoever appends holds it.
CREATE TABLE audit_heads (
    tenant_id  TEXT PRIMARY KEY NOT NULL,
    seq        INTEGER NOT NULL,
    hash       BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT, WITHOUT ROWID;

-- What may be used. 'each_key' is every key of the tenant by itself.
CREATE TABLE quotas (
    id           TEXT PRIMARY KEY NOT NULL,
    tenant_id    TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    subject      TEXT NOT NULL CHECK (subject IN ('tenant', 'project', 'key', 'each_key')),
    subject_id   TEXT NOT NULL DEFAULT '',
    measure      TEXT NOT NULL,
    accelerator  TEXT NOT NULL DEFAULT '',
    period       TEXT NOT NULL CHECK (period IN ('minute', 'hour', 'day', 'month', 'standing')),
    amount       INTEGER NOT NULL CHECK (amount >= 0),
    created_at   INTEGER NOT NULL,
    UNIQUE (tenant_id, subject, subject_id, measure, accelerator, period)
) STRICT;
-- What gateways have claimed of a quota in a window that begins at `starts`: never more than its amount.
CREATE TABLE quota_use (
    quota_id  TEXT NOT NULL REFERENCES quotas (id) ON DELETE CASCADE,
    holder    TEXT NOT NULL,
    starts    INTEGER NOT NULL,
    used      INTEGER NOT NULL,
    PRIMARY KEY (quota_id, holder, starts)
) STRICT, WITHOUT ROWID;
CREATE INDEX quota_use_by_age ON quota_use (starts);
INSERT INTO epochs (name, value) VALUES ('quotas', 0);

-- Millionths of a currency's unit: by a million tokens, an image, a second of a job. `valid_from` is a day (UTC).
CREATE TABLE prices (
    tenant_id   TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    model       TEXT NOT NULL,
    valid_from  TEXT NOT NULL,
    currency    TEXT NOT NULL,
    prompt      INTEGER NOT NULL DEFAULT 0,
    completion  INTEGER NOT NULL DEFAULT 0,
    image       INTEGER NOT NULL DEFAULT 0,
    job_second  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, model, valid_from)
) STRICT, WITHOUT ROWID;

ALTER TABLE ledger ADD COLUMN project_id TEXT;
ALTER TABLE ledger ADD COLUMN images INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN job_seconds INTEGER NOT NULL DEFAULT 0;
CREATE INDEX ledger_of_jobs ON ledger (tenant_id, at) WHERE job_seconds > 0;

-- The ledger's sums by day and everything that a report groups by; '' stands for none.
CREATE TABLE usage_days (
    tenant_id          TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    day                TEXT NOT NULL,
    key_id             TEXT NOT NULL,
    project_id         TEXT NOT NULL,
    model              TEXT NOT NULL,
    kind               TEXT NOT NULL,
    price_percent      INTEGER NOT NULL,
    requests           INTEGER NOT NULL,
    prompt_tokens      INTEGER NOT NULL,
    completion_tokens  INTEGER NOT NULL,
    images             INTEGER NOT NULL,
    job_seconds        INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, day, key_id, project_id, model, kind, price_percent)
) STRICT, WITHOUT ROWID;
-- What was summed up so far did not keep the kind: it is 'chat' to reports, at the full price.
INSERT INTO usage_days SELECT tenant_id, day, key_id, '', model, 'chat', 100, requests, prompt_tokens, completion_tokens, 0, 0 FROM usage;
DROP TABLE usage;

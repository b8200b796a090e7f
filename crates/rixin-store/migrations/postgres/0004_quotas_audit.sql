-- The audit log: append-only, each row's hash over the one before and its own content. It outlives what it tells of, so nothing refers.
CREATE TABLE audit (
    tenant_id   TEXT COLLATE "C" NOT NULL,
    seq         BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    actor_kind  TEXT NOT NULL,
    actor_id    TEXT NOT NULL,
    actor_name  TEXT NOT NULL,
    address     TEXT NOT NULL,
    action      TEXT COLLATE "C" NOT NULL,
    target      TEXT NOT NULL,
    project_id  TEXT,
    outcome     TEXT NOT NULL,
    details     TEXT NOT NULL,
    hash        BYTEA NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX audit_by_action ON audit (tenant_id, action, seq);
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
-- The last row of each chain; whoever appends holds it.
CREATE TABLE audit_heads (
    tenant_id  TEXT COLLATE "C" PRIMARY KEY,
    seq        BIGINT NOT NULL,
    hash       BYTEA NOT NULL CHECK (length(hash) = 32)
);

-- What may be used. 'each_key' is every key of the tenant by itself.
CREATE TABLE quotas (
    id           TEXT COLLATE "C" PRIMARY KEY,
    tenant_id    TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    subject      TEXT NOT NULL CHECK (subject IN ('tenant', 'project', 'key', 'each_key')),
    subject_id   TEXT COLLATE "C" NOT NULL DEFAULT '',
    measure      TEXT NOT NULL,
    accelerator  TEXT NOT NULL DEFAULT '',
    period       TEXT NOT NULL CHECK (period IN ('minute', 'hour', 'day', 'month', 'standing')),
    amount       BIGINT NOT NULL CHECK (amount >= 0),
    created_at   BIGINT NOT NULL,
    UNIQUE (tenant_id, subject, subject_id, measure, accelerator, period)
);
-- What gateways have claimed of a quota in a window that begins at `starts`: never more than its amount.
CREATE TABLE quota_use (
    quota_id  TEXT COLLATE "C" NOT NULL REFERENCES quotas (id) ON DELETE CASCADE,
    holder    TEXT COLLATE "C" NOT NULL,
    starts    BIGINT NOT NULL,
    used      BIGINT NOT NULL,
    PRIMARY KEY (quota_id, holder, starts)
);
CREATE INDEX quota_use_by_age ON quota_use (starts);
INSERT INTO epochs (name, value) VALUES ('quotas', 0);

-- Millionths of a currency's unit: by a million tokens, an image, a second of a job. `valid_from` is a day (UTC).
CREATE TABLE prices (
    tenant_id   TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    model       TEXT COLLATE "C" NOT NULL,
    valid_from  TEXT COLLATE "C" NOT NULL,
    currency    TEXT NOT NULL,
    prompt      BIGINT NOT NULL DEFAULT 0,
    completion  BIGINT NOT NULL DEFAULT 0,
    image       BIGINT NOT NULL DEFAULT 0,
    job_second  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, model, valid_from)
);

ALTER TABLE ledger ADD COLUMN project_id TEXT;
ALTER TABLE ledger ADD COLUMN images BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN job_seconds BIGINT NOT NULL DEFAULT 0;
CREATE INDEX ledger_of_jobs ON ledger (tenant_id, at) WHERE job_seconds > 0;

-- The ledger's sums by day and everything that a report groups by; '' stands for none.
CREATE TABLE usage_days (
    tenant_id          TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    day                TEXT COLLATE "C" NOT NULL,
    key_id             TEXT COLLATE "C" NOT NULL,
    project_id         TEXT COLLATE "C" NOT NULL,
    model              TEXT COLLATE "C" NOT NULL,
    kind               TEXT COLLATE "C" NOT NULL,
    price_percent      BIGINT NOT NULL,
    requests           BIGINT NOT NULL,
    prompt_tokens      BIGINT NOT NULL,
    completion_tokens  BIGINT NOT NULL,
    images             BIGINT NOT NULL,
    job_seconds        BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, day, key_id, project_id, model, kind, price_percent)
);
-- What was summed up so far did not keep the kind: it is 'chat' to reports, at the full price.
INSERT INTO usage_days SELECT tenant_id, day, key_id, '', model, 'chat', 100, requests, prompt_tokens, completion_tokens, 0, 0 FROM usage;
DROP TABLE usage;

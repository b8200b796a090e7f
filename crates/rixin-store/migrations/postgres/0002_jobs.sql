-- Jobs: a row, numbered attempts, events. What an attempt writes is conditional on `attempt` and `state` of the job's row.
CREATE TABLE jobs (
    id          TEXT PRIMARY KEY NOT NULL,
    tenant_id   TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key_id      TEXT REFERENCES keys (id) ON DELETE SET NULL,
    kind        TEXT NOT NULL,
    title       TEXT NOT NULL,
    params      TEXT NOT NULL,
    inputs      TEXT NOT NULL DEFAULT '[]',
    resources   TEXT NOT NULL DEFAULT '{}',
    priority    BIGINT NOT NULL DEFAULT 0,
    state       TEXT NOT NULL CHECK (state IN ('blocked', 'queued', 'starting', 'running', 'succeeded', 'failed', 'cancelled')),
    reason      TEXT,
    attempt     BIGINT NOT NULL DEFAULT 0,
    failures    TEXT NOT NULL DEFAULT '{}',
    progress    TEXT,
    checkpoint  TEXT,
    result      TEXT,
    cancel      BIGINT NOT NULL DEFAULT 0,
    last_event  BIGINT NOT NULL DEFAULT 0,
    not_before  BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    started_at  BIGINT,
    ended_at    BIGINT
);
CREATE INDEX jobs_waiting ON jobs (priority DESC, created_at, id) WHERE state = 'queued';
CREATE INDEX jobs_active ON jobs (state) WHERE state IN ('blocked', 'starting', 'running');
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, created_at DESC, id DESC);
CREATE INDEX jobs_by_state ON jobs (tenant_id, state, created_at DESC, id DESC);
CREATE INDEX jobs_by_kind ON jobs (tenant_id, kind, created_at DESC, id DESC);

-- job_id starts when needs_id has succeeded, and fails when that can't any more.
CREATE TABLE job_needs (
    job_id    TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    needs_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (job_id, needs_id)
);
CREATE INDEX job_needs_back ON job_needs (needs_id);

-- place is what the executor knows it by; owner the server that watches over it, as long as its lease runs.
CREATE TABLE attempts (
    job_id       TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number       BIGINT NOT NULL,
    executor     TEXT NOT NULL,
    owner        TEXT NOT NULL,
    place        TEXT,
    token_hash   BYTEA CHECK (length(token_hash) = 32),
    lease_until  BIGINT NOT NULL,
    started_at   BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,
    ended_at     BIGINT,
    cause        TEXT,
    reason       TEXT,
    PRIMARY KEY (job_id, number)
);
CREATE INDEX attempts_open ON attempts (lease_until) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX attempts_by_token ON attempts (token_hash) WHERE token_hash IS NOT NULL;

-- seq counts each job's events from 1: a reader goes on where it stopped.
CREATE TABLE job_events (
    job_id   TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq      BIGINT NOT NULL,
    attempt  BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    data     TEXT NOT NULL,
    PRIMARY KEY (job_id, seq)
);

-- Files that callers upload or that jobs make for them; the bytes are a blob by sha256.
CREATE TABLE files (
    id          TEXT PRIMARY KEY NOT NULL,
    tenant_id   TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key_id      TEXT REFERENCES keys (id) ON DELETE SET NULL,
    purpose     TEXT NOT NULL,
    name        TEXT NOT NULL,
    bytes       BIGINT NOT NULL,
    sha256      TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT
);
CREATE INDEX files_by_tenant ON files (tenant_id, created_at DESC, id DESC);
CREATE INDEX files_by_hash ON files (sha256);

-- A batch is a job of kind 'batch' with what OpenAI's protocol tells of it.
CREATE TABLE batches (
    id              TEXT PRIMARY KEY NOT NULL,
    tenant_id       TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    job_id          TEXT NOT NULL UNIQUE REFERENCES jobs (id) ON DELETE CASCADE,
    endpoint        TEXT NOT NULL,
    input_file_id   TEXT NOT NULL,
    output_file_id  TEXT,
    error_file_id   TEXT,
    metadata        TEXT NOT NULL DEFAULT '{}',
    window_hours    BIGINT NOT NULL,
    total           BIGINT NOT NULL DEFAULT 0,
    completed       BIGINT NOT NULL DEFAULT 0,
    failed          BIGINT NOT NULL DEFAULT 0,
    errors          TEXT,
    created_at      BIGINT NOT NULL
);
CREATE INDEX batches_by_tenant ON batches (tenant_id, created_at DESC, id DESC);

-- Answers of a job's lines as they come, in the transaction that also meters them; they go when the output file is made.
CREATE TABLE job_lines (
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    line    BIGINT NOT NULL,
    ok      BIGINT NOT NULL,
    answer  TEXT NOT NULL,
    PRIMARY KEY (job_id, line)
);

-- Append-only: what was used, once for each id. `usage` holds its sums by day, kept in the same transactions.
CREATE TABLE ledger (
    id                 TEXT PRIMARY KEY NOT NULL,
    tenant_id          TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key_id             TEXT,
    job_id             TEXT,
    at                 BIGINT NOT NULL,
    kind               TEXT NOT NULL,
    model              TEXT NOT NULL,
    prompt_tokens      BIGINT NOT NULL DEFAULT 0,
    completion_tokens  BIGINT NOT NULL DEFAULT 0,
    price_percent      BIGINT NOT NULL DEFAULT 100
);
CREATE INDEX ledger_by_time ON ledger (tenant_id, at);

-- Replicas that run as jobs of a cluster. Every gateway routes to those that are ready while their lease runs; the one that owns a row
-- for the moment looks after its job. attempt counts the cluster's jobs of a replica; the token works once, for the latest of them.
CREATE TABLE cluster_replicas (
    id           TEXT PRIMARY KEY NOT NULL,
    model        TEXT NOT NULL,
    resources    TEXT NOT NULL DEFAULT '{}',
    state        TEXT NOT NULL CHECK (state IN ('starting', 'ready', 'stopping', 'failed')),
    reason       TEXT,
    attempt      BIGINT NOT NULL DEFAULT 0,
    failures     BIGINT NOT NULL DEFAULT 0,
    owner        TEXT NOT NULL DEFAULT '',
    owned_until  BIGINT NOT NULL DEFAULT 0,
    place        TEXT,
    token_hash   BYTEA CHECK (length(token_hash) = 32),
    address      TEXT,
    access_key   TEXT,
    facts        TEXT,
    lease_until  BIGINT NOT NULL DEFAULT 0,
    not_before   BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    since        BIGINT NOT NULL
);

-- A member's own jobs among many, and what is over for long.
CREATE INDEX jobs_by_key ON jobs (tenant_id, key_id, created_at DESC, id DESC);
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;

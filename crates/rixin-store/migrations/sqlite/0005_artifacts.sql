-- What the suite made or was brought. A row waits until the server, which alone holds the keys, has labelled and signed its bytes; only
-- then is it ready. Jobs are forgotten sooner than what they made, so nothing refers to them.
CREATE TABLE artifacts (
    id              TEXT PRIMARY KEY NOT NULL,
    tenant_id       TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key_id          TEXT,
    job_id          TEXT,
    kind            TEXT NOT NULL,
    name            TEXT NOT NULL,
    media_type      TEXT NOT NULL,
    origin          TEXT NOT NULL,
    state           TEXT NOT NULL,
    source_sha256   TEXT NOT NULL,
    source_bytes    INTEGER NOT NULL,
    sha256          TEXT,
    bytes           INTEGER,
    content_sha256  TEXT,
    sidecar_sha256  TEXT,
    lineage         TEXT NOT NULL,
    fault           TEXT,
    tries           INTEGER NOT NULL DEFAULT 0,
    retry_at        INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    sealed_at       INTEGER
) STRICT;
-- An attempt that runs twice makes one.
CREATE UNIQUE INDEX artifacts_of_jobs ON artifacts (job_id, name) WHERE job_id IS NOT NULL;
CREATE INDEX artifacts_by_time ON artifacts (tenant_id, created_at, id);
CREATE INDEX artifacts_waiting ON artifacts (retry_at) WHERE state = 'waiting';
CREATE INDEX artifacts_by_source ON artifacts (source_sha256);
CREATE INDEX artifacts_by_hash ON artifacts (sha256);
CREATE INDEX artifacts_by_content ON artifacts (content_sha256);
CREATE INDEX artifacts_by_sidecar ON artifacts (sidecar_sha256);

-- What an artifact was made from, by the parent's kind ('artifact', 'file', 'model', 'dataset') and id.
CREATE TABLE artifact_parents (
    artifact_id    TEXT NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    position       INTEGER NOT NULL,
    kind           TEXT NOT NULL,
    parent_id      TEXT NOT NULL,
    parent_sha256  TEXT,
    relation       TEXT NOT NULL,
    PRIMARY KEY (artifact_id, position)
) STRICT;
CREATE INDEX artifact_children ON artifact_parents (kind, parent_id);

-- Which visible or audible label a tenant's artifacts get; no row: none.
CREATE TABLE label_policies (
    tenant_id   TEXT PRIMARY KEY NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    explicit    INTEGER NOT NULL,
    words       TEXT NOT NULL,
    corner      TEXT NOT NULL,
    whole_video INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL
) STRICT;

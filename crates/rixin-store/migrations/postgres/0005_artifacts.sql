-- What the suite made or was brought. A row waits until the server, which alone holds the keys, has labelled and signed its bytes; only
-- then is it ready. Jobs are forgotten sooner than what they made, so nothing refers to them.
CREATE TABLE artifacts (
    id              TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    tenant_id       TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key_id          TEXT COLLATE "C",
    job_id          TEXT COLLATE "C",
    kind            TEXT COLLATE "C" NOT NULL,
    name            TEXT NOT NULL,
    media_type      TEXT NOT NULL,
    origin          TEXT COLLATE "C" NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    source_sha256   TEXT COLLATE "C" NOT NULL,
    source_bytes    BIGINT NOT NULL,
    sha256          TEXT COLLATE "C",
    bytes           BIGINT,
    content_sha256  TEXT COLLATE "C",
    sidecar_sha256  TEXT COLLATE "C",
    lineage         TEXT NOT NULL,
    fault           TEXT,
    tries           BIGINT NOT NULL DEFAULT 0,
    retry_at        BIGINT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL,
    sealed_at       BIGINT
);
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
    artifact_id    TEXT COLLATE "C" NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    position       BIGINT NOT NULL,
    kind           TEXT COLLATE "C" NOT NULL,
    parent_id      TEXT COLLATE "C" NOT NULL,
    parent_sha256  TEXT COLLATE "C",
    relation       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (artifact_id, position)
);
CREATE INDEX artifact_children ON artifact_parents (kind, parent_id);

-- Which visible or audible label a tenant's artifacts get; no row: none.
CREATE TABLE label_policies (
    tenant_id   TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    explicit    BIGINT NOT NULL,
    words       TEXT COLLATE "C" NOT NULL,
    corner      TEXT COLLATE "C" NOT NULL,
    whole_video BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL
);

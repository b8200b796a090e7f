-- Organisations (the table keeps its first name, tenants), projects, members, sessions. Roles become four; a key may be narrowed.

ALTER TABLE tenants ADD COLUMN host INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN disabled_at INTEGER;
-- The first one looks after the machine too.
UPDATE tenants SET host = 1 WHERE id = (SELECT id FROM tenants ORDER BY created_at, id LIMIT 1);
CREATE UNIQUE INDEX tenants_host ON tenants (host) WHERE host = 1;

-- What service keys are for. A closed one keeps its name in what was used.
CREATE TABLE projects (
    id          TEXT PRIMARY KEY NOT NULL,
    tenant_id   TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    closed_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX projects_by_name ON projects (tenant_id, name) WHERE closed_at IS NULL;

-- A person. key_id is the key without a secret that they act through; its role is theirs. password is argon2's text form.
CREATE TABLE members (
    id           TEXT PRIMARY KEY NOT NULL,
    tenant_id    TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    -- Names a row of keys, whose member_id refers back: two references in a circle could not be copied row by row.
    key_id       TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    title        TEXT NOT NULL DEFAULT '',
    password     TEXT,
    issuer       TEXT,
    subject      TEXT,
    created_at   INTEGER NOT NULL,
    last_seen    INTEGER,
    disabled_at  INTEGER,
    removed_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX members_by_name ON members (tenant_id, name) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX members_by_subject ON members (issuer, subject) WHERE removed_at IS NULL AND subject IS NOT NULL;

-- A column's own CHECK goes with it, so that the table, which others refer to, need not be made anew.
DROP TRIGGER keys_changed;
ALTER TABLE keys ADD COLUMN new_role TEXT NOT NULL DEFAULT 'member' CHECK (new_role IN ('owner', 'operator', 'member', 'auditor'));
UPDATE keys SET new_role = 'owner' WHERE role = 'admin';
ALTER TABLE keys DROP COLUMN role;
ALTER TABLE keys RENAME COLUMN new_role TO role;
-- A member's key ('member') has the hash of nothing. member_id: the person whose key it is; a service key of a project has none.
-- scopes, models, networks: JSON lists that narrow it; NULL: as far as its role goes.
ALTER TABLE keys ADD COLUMN kind TEXT NOT NULL DEFAULT 'service' CHECK (kind IN ('service', 'member'));
ALTER TABLE keys ADD COLUMN project_id TEXT REFERENCES projects (id);
ALTER TABLE keys ADD COLUMN member_id TEXT REFERENCES members (id) ON DELETE CASCADE;
ALTER TABLE keys ADD COLUMN created_by TEXT;
ALTER TABLE keys ADD COLUMN scopes TEXT;
ALTER TABLE keys ADD COLUMN models TEXT;
ALTER TABLE keys ADD COLUMN networks TEXT;
ALTER TABLE keys ADD COLUMN expires_at INTEGER;
CREATE INDEX keys_by_project ON keys (project_id) WHERE project_id IS NOT NULL;
CREATE INDEX keys_by_member ON keys (member_id) WHERE member_id IS NOT NULL;

-- Who is signed in: the cookie's SHA-256. method: password, oidc, link.
CREATE TABLE sessions (
    id          TEXT PRIMARY KEY NOT NULL,
    tenant_id   TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    member_id   TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    hash        BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    method      TEXT NOT NULL,
    agent       TEXT NOT NULL DEFAULT '',
    address     TEXT NOT NULL DEFAULT '',
    created_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_member ON sessions (member_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- One-time links that set a member's password: the token's SHA-256.
CREATE TABLE invitations (
    hash        BLOB PRIMARY KEY NOT NULL CHECK (length(hash) = 32),
    member_id   TEXT NOT NULL UNIQUE REFERENCES members (id) ON DELETE CASCADE,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sign-ins that are at an OIDC provider. state is the SHA-256 of a cookie that only the browser has which began.
CREATE TABLE oidc_flows (
    state       TEXT PRIMARY KEY NOT NULL,
    nonce       TEXT NOT NULL,
    verifier    TEXT NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whatever may end an identity that a process remembers moves the counter.
CREATE TRIGGER keys_changed AFTER UPDATE OF name, role, hash, revoked_at, tenant_id, scopes, models, networks, expires_at, project_id, member_id ON keys BEGIN
    UPDATE epochs SET value = value + 1 WHERE name = 'keys';
END;
CREATE TRIGGER tenants_changed AFTER UPDATE OF host, disabled_at ON tenants BEGIN
    UPDATE epochs SET value = value + 1 WHERE name = 'keys';
END;
CREATE TRIGGER members_changed AFTER UPDATE OF disabled_at, removed_at ON members BEGIN
    UPDATE epochs SET value = value + 1 WHERE name = 'keys';
END;
CREATE TRIGGER sessions_ended AFTER DELETE ON sessions BEGIN
    UPDATE epochs SET value = value + 1 WHERE name = 'keys';
END;

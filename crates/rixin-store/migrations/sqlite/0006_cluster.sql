-- A member's own jobs among many, and what is over for long.
CREATE INDEX jobs_by_key ON jobs (tenant_id, key_id, created_at DESC, id DESC);
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;

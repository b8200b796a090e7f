//! Metadata of the suite in SQLite: tenants, keys, conversations, external replicas, usage.

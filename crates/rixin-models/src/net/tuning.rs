//! Times and sizes of requests and downloads.

use std::time::Duration;

/// Times and sizes. The defaults suit the internet; tests shorten them.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Requests at the same time for one pull.
    pub parallel: usize,
    /// The most bytes that one range request asks for.
    pub piece_bytes: u64,
    /// Bytes after which what was written is synced and recorded.
    pub sync_bytes: u64,
    /// Time after which the same happens.
    pub sync_interval: Duration,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for the next bytes.
    pub stall_timeout: Duration,
    /// Tries after the first; progress starts the count anew.
    pub retries: u32,
    /// The first wait before another try; it doubles.
    pub backoff: Duration,
    /// Its limit.
    pub backoff_limit: Duration,
    /// The longest `Retry-After` that is waited for.
    pub busy_limit: Duration,
    /// How often a package client's bytes, or a lock, are looked at.
    pub watch_interval: Duration,
    /// The longest time that a package client may bring no bytes.
    pub client_stall: Duration,
    /// Bytes that stay free on the disk.
    pub disk_margin: u64,
    /// The largest file that is taken out of a package.
    pub member_limit: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            parallel: 4,
            piece_bytes: 32 << 20,
            sync_bytes: 64 << 20,
            sync_interval: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(45),
            retries: 5,
            backoff: Duration::from_millis(500),
            backoff_limit: Duration::from_secs(30),
            busy_limit: Duration::from_secs(120),
            watch_interval: Duration::from_millis(200),
            client_stall: Duration::from_secs(300),
            disk_margin: 256 << 20,
            member_limit: 64 << 30,
        }
    }
}

//! One file a command.

pub mod audit;
pub mod backup;
pub mod chat;
pub mod cluster;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod help;
pub mod job;
pub mod keys;
pub mod models;
pub mod openapi;
pub mod quotas;
pub mod reference;
pub mod replica;
pub mod serve;
pub mod store;
pub mod usage;
pub mod verify;
pub mod version;

//! One file a command.

pub mod chat;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod help;
pub mod keys;
pub mod models;
pub mod openapi;
pub mod reference;
pub mod replica;
pub mod serve;
pub mod version;

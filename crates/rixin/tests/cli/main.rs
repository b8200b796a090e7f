//! The command line, tested by running the real binary. One test program, so that it is linked once.

mod chat;
mod common;
mod config;
mod doctor;
mod help;
mod keys;
mod models;
mod reference;
mod serve;
mod shell;

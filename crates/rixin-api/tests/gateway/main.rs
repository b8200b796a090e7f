//! The gateway as its clients see it: a real one on a real port, in front of a real HTTP server that speaks OpenAI's protocol.

mod auth;
mod console;
mod document;
mod engine;
mod limits;
mod messages;
mod native;
mod openai;
mod responses;
mod suite;

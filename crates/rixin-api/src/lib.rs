//! The gateway: OpenAI-compatible and native routes, authentication, metrics, console files.

//! A replica process: one engine behind the OpenAI protocol on a unix socket.

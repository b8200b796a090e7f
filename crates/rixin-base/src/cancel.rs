//! Cancellation that reaches from a signal or a closed connection down to an engine's step.

/// A cloneable flag: long work looks at it between steps, or awaits [`Cancel::cancelled`](tokio_util::sync::CancellationToken::cancelled).
pub type Cancel = tokio_util::sync::CancellationToken;

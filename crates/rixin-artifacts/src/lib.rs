//! Artifacts on their way into the store, and what is told of them.
//!
//! Takes what a job or a caller made, with its lineage; labels and signs it with this instance's keys ([`Artifacts`]), and keeps blob
//! and row. Tells where models came from ([`model_use`], [`Upstream`]) and exports bills of materials ([`bom`]).
//!
//! # Who holds the keys
//! The process of a job hands in a [`draft`] with its result and holds no key: a defect in an engine, or a node of a cluster that others
//! reach, can then sign nothing. The server seals drafts in the background. A draft is a row of the result's own transaction, so that
//! nothing is lost in between and an attempt that runs twice makes one artifact; its file can't be had before it is sealed.
//!
//! It does not know HTTP, engines, or how a job runs.

mod bom;
mod check;
mod collect;
mod draft;
mod instance;
mod origins;
mod sealer;
mod upload;

pub use bom::{bill_of, bom};
pub use check::{Checked, KnownSummary};
pub use draft::{draft, new_lineage};
pub use instance::Instance;
pub use origins::{Upstream, model_use};
pub use sealer::{Artifacts, label_policy};
pub use upload::Upload;

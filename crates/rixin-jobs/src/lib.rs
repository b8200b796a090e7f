//! Kinds of long work: what parameters they take, what they read and need, and what follows when an attempt fails.
//!
//! Takes the parameters that a caller sent; gives a checked [`NewJob`](rixin_store::NewJob). Every kind stands in one table,
//! [`KINDS`]; whoever runs jobs has a runner for each of them, and a test says so.
//!
//! It does not know HTTP, processes, executors or engines, and it runs nothing.

mod kind;
mod kinds;
mod policy;
mod spec;

pub use kind::{Kind, Prepared, prepare};
pub use kinds::{
    KINDS,
    batch::{BatchParams, ENDPOINTS},
    import::ImportParams,
};
pub use policy::{Policy, after};
pub use spec::JobSpec;

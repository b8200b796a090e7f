//! The process of a job: one attempt of one job, from its specification to its result.
//!
//! Takes a [`JobSpec`](rixin_jobs::JobSpec) in a file; gives the job's result, or the reason why there is none, to the store. It is the same
//! process on this machine and on a cluster's node. Whatever it writes goes through the attempt's number: a process that was given
//! up for lost finds out at its next write, changes nothing any more, and ends.
//!
//! It does not know routes, tenants beyond the job's owner, or who started it. Models it asks through the gateway, with the attempt's
//! token.
//!
//! A new kind is a file under `run` and a line in its table.

mod devices;
mod gateway;
mod log;
mod process;
mod report;
mod run;
mod work;

pub use devices::take as take_devices;
pub use process::main;

//! The accelerators that a cluster gave to this process, told to the vendor's runtime.

use std::{os::unix::process::CommandExt as _, process::Command};

use rixin_base::Fault;

/// Set in the process that has been told.
const TOLD: &str = "RIXIN_DEVICES_TOLD";

/// Tells the vendors' runtimes which accelerators a cluster gave to this process, by becoming this same command with their variables.
/// Returns where there is nothing to tell, or it was told before.
///
/// # Errors
/// The cluster does not say which they are.
pub fn take() -> Result<(), Fault> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::internal)?;
    let Some(mut again) = runtime.block_on(of_this_process())? else { return Ok(()) };
    drop(runtime);
    // only returns where it failed
    Err(Fault::internal(again.exec()))
}

/// This same command with the vendors' variables, where a cluster's job has accelerators and was not told of them yet. A process's own
/// environment can't be changed safely once it has threads, so that it becomes that command.
async fn of_this_process() -> Result<Option<Command>, Fault> {
    if std::env::var_os(TOLD).is_some() {
        return Ok(None);
    }
    let Some(environment) = rixin_slurm::devices::of_this_job().await? else { return Ok(None) };
    if environment.allotted.is_empty() {
        return Ok(None);
    }
    let program = std::env::current_exe().map_err(Fault::internal)?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(TOLD, "1").envs(&environment.set);
    for name in &environment.remove {
        // what was set just now stays
        if !environment.set.contains_key(name) {
            command.env_remove(name);
        }
    }
    Ok(Some(command))
}

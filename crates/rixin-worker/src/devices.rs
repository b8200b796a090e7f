//! The accelerators that a cluster gave to this process, told to the vendor's runtime.

use std::process::Command;

use rixin_base::Fault;

/// Set in the process that has been told.
const TOLD: &str = "RIXIN_DEVICES_TOLD";

/// This same command with the vendors' variables, where a cluster's job has accelerators and was not told of them yet. A process's own
/// environment can't be changed safely once it has threads, so that it becomes that command.
pub(crate) async fn of_this_process() -> Result<Option<Command>, Fault> {
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

//! The downloader: several ranges at once, resumable after any crash, checked against size and hash, never larger than the disk.
//!
//! A file grows as `NAME.part` with a journal beside it (see `journal`) and gets its name only when its hash was checked. Two processes that
//! fetch the same file exclude each other by a lock on the partial file. Knows HTTP as a client, no hub's layout and no registry.

mod journal;
mod meter;
mod one;
mod piece;
mod ranges;
pub mod space;
mod verify;

use std::{path::PathBuf, sync::Arc};

use futures::{StreamExt, stream::FuturesUnordered};
use rixin_base::{Cancel, Progress};
use tokio::sync::Semaphore;
use url::Url;

pub use meter::Meter;
pub(crate) use one::blocking;

use crate::{
    Sha256,
    net::{Hub, Net},
    source::SourceError,
};

/// One file to fetch.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The hub, which says where its token may go.
    pub hub: Arc<Hub>,
    /// The address on the hub; redirects are followed.
    pub url: Url,
    /// The file's name for messages.
    pub name: String,
    /// The page on which a person can accept terms.
    pub page: String,
    /// Where it shall lie.
    pub dest: PathBuf,
    /// Its length, where it is known.
    pub size: Option<u64>,
    /// Its SHA-256, where it is known.
    pub sha256: Option<Sha256>,
    /// Git's name of its content (SHA-1 of `blob LENGTH\0` and the content), where that is all that is known.
    pub git_blob: Option<String>,
}

/// A file that lies where it was wanted, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its length.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256,
}

/// Fetches files, [`Tuning::parallel`](crate::net::Tuning::parallel) requests at the same time over all of them; the result is in their order.
/// The first failure stops the others, which keep what they have.
///
/// # Errors
/// See [`SourceError`]; what was fetched stays for the next try unless it was wrong.
pub async fn fetch(
    net: &Arc<Net>,
    item: &str,
    wanted: &[Wanted],
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Vec<Fetched>, SourceError> {
    check_space(net, wanted)?;
    let total = wanted.iter().map(|file| file.size).sum::<Option<u64>>();
    let meter = Arc::new(Meter::new(progress, "download", item, total));
    meter.report();
    let slots = Arc::new(Semaphore::new(net.tuning.parallel.max(1)));
    let stop = cancel.child_token();
    let mut waiting = wanted.iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut out: Vec<Option<Fetched>> = vec![None; wanted.len()];
    let mut failed: Option<SourceError> = None;
    loop {
        while failed.is_none() && running.len() < net.tuning.parallel.max(1) {
            let Some((at, file)) = waiting.next() else { break };
            let one = one::One::new(net.clone(), file.clone(), slots.clone(), meter.clone(), stop.clone());
            let progress = progress.clone();
            running.push(async move { (at, one.fetch(&progress).await) });
        }
        match running.next().await {
            None => break,
            Some((at, Ok(fetched))) => out[at] = Some(fetched),
            Some((_, Err(error))) => {
                // The others end as cancelled; the first error is the one to tell.
                failed.get_or_insert(error);
                stop.cancel();
            }
        }
    }
    meter.report();
    match failed {
        Some(error) => Err(error),
        None => Ok(out.into_iter().flatten().collect()),
    }
}

fn check_space(net: &Net, wanted: &[Wanted]) -> Result<(), SourceError> {
    let Some(folder) = wanted.first().and_then(|file| file.dest.parent()) else { return Ok(()) };
    let need = wanted.iter().map(|file| {
        let there = space::allocated(&one::partial(&file.dest)).max(space::allocated(&file.dest));
        file.size.unwrap_or(0).saturating_sub(there)
    });
    space::check(folder, need.sum(), net.tuning.disk_margin)
}

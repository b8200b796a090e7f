//! One file from nothing, or from what an earlier try left, to its place.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use rixin_base::{Cancel, Progress};
use tokio::sync::Semaphore;
use url::Url;

use super::{
    Fetched, Meter, Wanted,
    journal::Journal,
    piece::{Opened, Stop},
    space, verify,
};
use crate::{
    Sha256,
    net::{Net, pause},
    source::SourceError,
};

/// How often a server may change the file under our hands.
const MAX_RESTARTS: u32 = 3;

/// The partial file's name.
pub(super) fn partial(dest: &Path) -> PathBuf {
    let mut name = dest.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// A file being fetched.
pub(super) struct One {
    pub net: Arc<Net>,
    pub wanted: Wanted,
    pub slots: Arc<Semaphore>,
    pub meter: Arc<Meter>,
    pub cancel: Cancel,
    pub partial: PathBuf,
    /// The storage behind the hub's redirect, until it refuses.
    pub storage: Mutex<Option<Url>>,
    pub state: Mutex<Option<Journal>>,
    /// The hash that the hub named beside its redirect.
    pub linked: Mutex<Option<Sha256>>,
    pub synced: tokio::sync::Mutex<Synced>,
}

/// What the journal on the disk covers.
pub(super) struct Synced {
    bytes: u64,
    at: Instant,
}

impl One {
    pub fn new(
        net: Arc<Net>,
        wanted: Wanted,
        slots: Arc<Semaphore>,
        meter: Arc<Meter>,
        cancel: Cancel,
    ) -> Self {
        let partial = partial(&wanted.dest);
        let synced = tokio::sync::Mutex::new(Synced { bytes: 0, at: Instant::now() });
        Self {
            net,
            wanted,
            slots,
            meter,
            cancel,
            partial,
            storage: Mutex::default(),
            state: Mutex::default(),
            linked: Mutex::default(),
            synced,
        }
    }

    /// Fetches, checks, and puts it in its place.
    pub async fn fetch(mut self, progress: &Progress) -> Result<Fetched, SourceError> {
        if let Some(parent) = self.wanted.dest.parent() {
            std::fs::create_dir_all(parent).map_err(|e| SourceError::io("create", parent, e))?;
        }
        let file = Arc::new(self.lock().await?);
        if let Some(fetched) = self.already_there(progress).await? {
            let _ = std::fs::remove_file(&self.partial);
            Journal::remove(&self.partial);
            self.meter.add(fetched.size);
            return Ok(fetched);
        }
        let known = Journal::load(&self.partial, self.wanted.size, self.wanted.sha256);
        if let Some(journal) = known {
            self.meter.add(journal.done.total());
            self.synced.get_mut().bytes = journal.done.total();
            self.state = Mutex::new(Some(journal));
        }
        let mut restarts = 0;
        let size = loop {
            match self.transfer(&file).await {
                Ok(size) => break size,
                Err(Stop::Restart) if restarts < MAX_RESTARTS => {
                    restarts += 1;
                    self.forget();
                }
                Err(Stop::Restart) => {
                    let host = crate::net::host(&self.wanted.url);
                    let en = "another version at every try";
                    return Err(SourceError::answer(&host, &self.wanted.name, en, "每次都不同的版本"));
                }
                Err(Stop::Failed(error)) => return Err(self.keep(&file, error).await),
            }
        };
        let mut wanted = self.wanted.clone();
        wanted.sha256 = wanted.sha256.or(*self.linked.lock());
        let checked = verify::check(&wanted, &self.partial, size, progress, &self.cancel).await;
        let fetched = match checked {
            Ok(fetched) => fetched,
            Err(error @ SourceError::Cancelled) => return Err(self.keep(&file, error).await),
            Err(error) => {
                // Wrong bytes are of no use to the next try.
                Journal::remove(&self.partial);
                let _ = std::fs::remove_file(&self.partial);
                self.meter.take_back(size);
                return Err(error);
            }
        };
        let (from, to) = (self.partial.clone(), self.wanted.dest.clone());
        blocking(move || {
            file.sync_all().map_err(|e| SourceError::io("write", &from, e))?;
            std::fs::rename(&from, &to).map_err(|e| SourceError::io("rename", &from, e))?;
            Journal::remove(&from);
            sync_folder(&to)
        })
        .await?;
        Ok(fetched)
    }

    /// Records what is there for the next try; the error of this one is what counts.
    async fn keep(&self, file: &Arc<File>, error: SourceError) -> SourceError {
        if let Err(second) = self.sync(file, true).await {
            tracing::debug!(%second, "the journal could not be written");
        }
        error
    }

    /// Opens the partial file and waits until no other process has it.
    async fn lock(&self) -> Result<File, SourceError> {
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&self.partial)
                .map_err(|e| SourceError::io("create", &self.partial, e))?;
            match file.try_lock() {
                Ok(()) => {
                    // The one before may have moved this very file to its place while we waited.
                    let ours = file.metadata().map(|data| data.ino()).ok();
                    let named = std::fs::metadata(&self.partial).map(|data| data.ino()).ok();
                    if ours.is_some() && ours == named {
                        return Ok(file);
                    }
                }
                Err(TryLockError::WouldBlock) => pause(self.net.tuning.watch_interval, &self.cancel).await?,
                Err(TryLockError::Error(e)) => return Err(SourceError::io("lock", &self.partial, e)),
            }
        }
    }

    /// A file that an earlier try, or another process, has put in its place.
    async fn already_there(&self, progress: &Progress) -> Result<Option<Fetched>, SourceError> {
        let Ok(data) = std::fs::metadata(&self.wanted.dest) else { return Ok(None) };
        match verify::check(&self.wanted, &self.wanted.dest, data.len(), progress, &self.cancel).await {
            Ok(fetched) => Ok(Some(fetched)),
            Err(error @ SourceError::Cancelled) => Err(error),
            Err(_) => {
                let dest = &self.wanted.dest;
                std::fs::remove_file(dest).map_err(|e| SourceError::io("remove", dest, e))?;
                Ok(None)
            }
        }
    }

    fn forget(&mut self) {
        self.synced.get_mut().bytes = 0;
        if let Some(journal) = self.state.lock().take() {
            self.meter.take_back(journal.done.total());
        }
        *self.storage.lock() = None;
        Journal::remove(&self.partial);
    }

    /// Fetches what is missing; gives the whole length.
    async fn transfer(&self, file: &Arc<File>) -> Result<u64, Stop> {
        let piece = self.net.tuning.piece_bytes;
        let known = self.state.lock().as_ref().map(|journal| journal.size).or(self.wanted.size);
        let empty = || file.set_len(0).map_err(|e| space::write_error(&self.partial, 0, e));
        if known == Some(0) {
            empty()?;
            return Ok(0);
        }
        // The first request is of use in itself and tells the rest: length, version, and whether ranges are understood.
        let missing = self.state.lock().as_ref().map(|journal| journal.done.missing(journal.size, piece));
        let first = match &missing {
            Some(missing) => missing.first().copied(),
            None => Some((0, known.unwrap_or(piece).min(piece))),
        };
        let Some((start, end)) = first else { return Ok(known.unwrap_or(0)) };
        let permit = self.slots.acquire().await;
        match self.open(start, end).await? {
            Opened::Empty => {
                empty()?;
                Ok(0)
            }
            Opened::Whole(answer) => self.stream(file, answer).await,
            Opened::Part { answer, size, validator } => {
                let fresh = self.state.lock().is_none();
                if fresh {
                    if self.wanted.size.is_none() {
                        let room = size.saturating_sub(space::allocated(&self.partial));
                        let folder = self.partial.parent().unwrap_or(Path::new("."));
                        space::check(folder, room, self.net.tuning.disk_margin)?;
                    }
                    space::reserve(file, &self.partial, size)?;
                    *self.state.lock() = Some(Journal::new(size, self.wanted.sha256, validator));
                }
                let end = end.min(size);
                let first = async move {
                    let result = self.piece(file, start, end, Some(answer)).await;
                    drop(permit);
                    result
                };
                self.pieces(file, size, (start, end), first).await?;
                Ok(size)
            }
        }
    }

    /// All pieces, several at a time; the request for the first is under way.
    async fn pieces(
        &self,
        file: &Arc<File>,
        size: u64,
        under_way: (u64, u64),
        first: impl Future<Output = Result<(), Stop>> + Send,
    ) -> Result<(), Stop> {
        let mut done = self.state.lock().as_ref().map(|journal| journal.done.clone()).unwrap_or_default();
        done.add(under_way.0, under_way.1);
        let mut waiting = done.missing(size, self.net.tuning.piece_bytes).into_iter();
        let mut running = FuturesUnordered::new();
        running.push(first.boxed());
        let mut stopped: Option<Stop> = None;
        loop {
            while stopped.is_none() && running.len() < self.net.tuning.parallel.max(1) {
                let Some((start, end)) = waiting.next() else { break };
                let piece = async move {
                    let _permit = self.slots.acquire().await;
                    self.piece(file, start, end, None).await
                };
                running.push(piece.boxed());
            }
            match running.next().await {
                None => return stopped.map_or(Ok(()), Err),
                Some(Ok(())) => {}
                // After a cancel the other pieces write what they hold and end; after an error they are dropped.
                Some(Err(stop @ Stop::Failed(SourceError::Cancelled))) => stopped = Some(stop),
                Some(Err(stop)) => return Err(stop),
            }
        }
    }

    /// Bytes have been written: counts them, and syncs data and journal now and then.
    pub async fn written(&self, file: &Arc<File>, start: u64, end: u64) -> Result<(), SourceError> {
        if let Some(journal) = self.state.lock().as_mut() {
            journal.done.add(start, end);
        }
        self.meter.add(end - start);
        self.sync(file, false).await
    }

    /// Syncs the data, then writes the journal.
    async fn sync(&self, file: &Arc<File>, now: bool) -> Result<(), SourceError> {
        let mut synced = match self.synced.try_lock() {
            Ok(synced) => synced,
            Err(_) if !now => return Ok(()),
            Err(_) => self.synced.lock().await,
        };
        let Some(journal) = self.state.lock().clone() else { return Ok(()) };
        let fresh = journal.done.total().saturating_sub(synced.bytes);
        let tuning = &self.net.tuning;
        let due = fresh >= tuning.sync_bytes || (fresh > 0 && synced.at.elapsed() >= tuning.sync_interval);
        if !(due || (now && fresh > 0)) {
            return Ok(());
        }
        *synced = Synced { bytes: journal.done.total(), at: Instant::now() };
        let (file, partial) = (file.clone(), self.partial.clone());
        blocking(move || {
            file.sync_data().map_err(|e| space::write_error(&partial, 0, e))?;
            journal.save(&partial)
        })
        .await
    }
}

/// Runs what blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Makes the names in a file's folder durable.
fn sync_folder(file: &Path) -> Result<(), SourceError> {
    let Some(folder) = file.parent() else { return Ok(()) };
    File::open(folder).and_then(|dir| dir.sync_all()).map_err(|e| SourceError::io("write", folder, e))
}

//! Reservation: what a request may take at most is set aside before it is asked, and given back afterwards but for what it took.
//!
//! The database holds what gateways have *claimed* of a quota in its window, which is never more than its amount. A gateway claims a slice
//! and hands it out from memory, and claims the next one when half of it is gone, off the path of requests. So nothing is used that was not
//! claimed, however many gateways there are; what they use beyond it is only what requests took beyond their reservation. What a gateway has
//! claimed and not used it gives back after some idle seconds and when it ends; after a crash it is lost until the window ends.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use rixin_base::TenantId;

use super::{Exceeded, Holder, Measure, Period, Quota, Subject, rules, window};
use crate::{
    Error, Store,
    db::{Db, sql},
    now_ms,
};

/// A change of the quotas by another process is seen after at most this time.
const TRUST_MS: i64 = 500;
/// How often slices are looked after.
const ROUND: Duration = Duration::from_secs(3);
/// A slice that nobody asked for so long goes back.
const IDLE_MS: i64 = 5_000;
/// Counts of windows that ended so long ago are forgotten.
const OLD_MS: i64 = 62 * 86_400_000;

/// What a request wants of a measure: at least the first, and as much of the second as there is.
pub type Want = (Measure, u64, u64);

/// The state of a quota, for the headers of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is measured.
    pub measure: Measure,
    /// How much there is in a window.
    pub amount: u64,
    /// What is left of it after this request.
    pub left: u64,
    /// When it renews, in milliseconds since 1970.
    pub renews_at: i64,
}

type Place = (String, String);

/// A gateway's slice of a quota in one window.
struct Slice {
    starts: i64,
    ends: i64,
    /// Claimed and not set aside for a request; below zero: requests took more than was set aside.
    left: i64,
    /// Set aside for requests that run.
    held: i64,
    /// What all gateways had claimed when this one last claimed.
    claimed: i64,
    touched: i64,
    claiming: Arc<tokio::sync::Mutex<()>>,
    refilling: bool,
}

#[derive(Default)]
struct Rules {
    epoch: i64,
    by_tenant: HashMap<TenantId, Arc<Vec<Quota>>>,
}

/// The quotas that this process hands out.
#[derive(Default)]
pub(crate) struct Gate {
    /// Of a setting, for each key, in this process alone.
    defaults: Mutex<Vec<Quota>>,
    rules: Mutex<Rules>,
    checked_ms: AtomicI64,
    checking: tokio::sync::Mutex<()>,
    slices: Mutex<HashMap<Place, Slice>>,
    looked_after: AtomicBool,
    closed: AtomicBool,
}

/// What was set aside for a request. Dropped without [`Reservation::settle`], all of it goes back.
#[derive(Default)]
pub struct Reservation {
    gate: Weak<Gate>,
    taken: Vec<(Place, Measure, i64, i64)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How much is claimed at a time: what a crash may lose of a window, and what others may miss until it is given back.
fn slice_of(quota: &Quota) -> i64 {
    let parts = match quota.period {
        Period::Minute => 4,
        Period::Hour => 16,
        _ => 64,
    };
    (signed(quota.amount) / parts).max(1)
}

fn is_default(quota: &Quota) -> bool {
    quota.id.starts_with("setting:")
}

impl Reservation {
    /// Gives back what was set aside but for what was taken.
    pub fn settle(mut self, took: &[(Measure, u64)]) {
        let Some(gate) = self.gate.upgrade() else { return };
        for (place, measure, starts, amount) in std::mem::take(&mut self.taken) {
            let took = took.iter().find(|(one, _)| *one == measure).map_or(0, |(_, count)| signed(*count));
            gate.give_back(&place, starts, amount, amount - took);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some(gate) = self.gate.upgrade() else { return };
        for (place, _, starts, amount) in std::mem::take(&mut self.taken) {
            gate.give_back(&place, starts, amount, amount);
        }
    }
}

impl Gate {
    /// The quotas are read again at the next request.
    pub fn forget(&self) {
        self.checked_ms.store(0, Ordering::Release);
    }

    fn give_back(&self, place: &Place, starts: i64, held: i64, unspent: i64) {
        let mut slices = lock(&self.slices);
        if let Some(slice) = slices.get_mut(place).filter(|slice| slice.starts == starts) {
            slice.held -= held;
            slice.left = slice.left.saturating_add(unspent);
        }
    }

    /// What this process has claimed and not used.
    pub fn unspent(&self, id: &str, holder: &str, starts: i64) -> i64 {
        let slices = lock(&self.slices);
        slices
            .get(&(id.to_owned(), holder.to_owned()))
            .filter(|slice| slice.starts == starts)
            .map_or(0, |slice| slice.left + slice.held)
    }

    async fn rules(&self, db: &Db, tenant: TenantId) -> Result<Arc<Vec<Quota>>, Error> {
        let fresh = || (now_ms() - self.checked_ms.load(Ordering::Acquire)).abs() < TRUST_MS;
        if fresh()
            && let Some(found) = lock(&self.rules).by_tenant.get(&tenant)
        {
            return Ok(Arc::clone(found));
        }
        let _one = self.checking.lock().await;
        if !fresh() {
            let asked = now_ms();
            let epoch: i64 = db.scalar(sql("SELECT value FROM epochs WHERE name = 'quotas'")).await?;
            let changed = {
                let mut rules = lock(&self.rules);
                let changed = rules.epoch != epoch;
                if changed {
                    *rules = Rules { epoch, by_tenant: HashMap::new() };
                }
                changed
            };
            if changed {
                // Of a smaller amount too much may be in hand.
                self.return_slices(db, |_| true).await;
            }
            self.checked_ms.store(asked, Ordering::Release);
        }
        if let Some(found) = lock(&self.rules).by_tenant.get(&tenant) {
            return Ok(Arc::clone(found));
        }
        let rows = db.fetch_all(rules::of_tenant(&tenant.to_string())).await?;
        let mut all = db.all(&rows, rules::quota_of)?;
        all.retain(|quota| matches!(quota.measure, Measure::Tokens | Measure::Requests | Measure::Images));
        let all = Arc::new(all);
        lock(&self.rules).by_tenant.insert(tenant, Arc::clone(&all));
        Ok(all)
    }

    /// Takes from the slice in hand, if it is enough. Gives what was taken and whether the next slice should be claimed.
    fn take(
        &self,
        place: &Place,
        quota: &Quota,
        now: i64,
        least: i64,
        most: i64,
    ) -> Option<(i64, i64, bool)> {
        let (starts, ends) = window::of(quota.period, now);
        let mut slices = lock(&self.slices);
        let slice = slices.entry(place.clone()).or_insert_with(|| Slice::new(starts, ends));
        if slice.starts != starts {
            *slice = Slice::new(starts, ends);
        }
        if slice.claimed < 0 && is_default(quota) {
            slice.claimed = signed(quota.amount);
            slice.left = slice.claimed;
        }
        if slice.left < least {
            return None;
        }
        let taken = slice.left.min(most);
        slice.left -= taken;
        slice.held += taken;
        slice.touched = now;
        let low = !is_default(quota)
            && !slice.refilling
            && slice.left < slice_of(quota) / 2
            && slice.claimed < signed(quota.amount);
        slice.refilling |= low;
        Some((starts, taken, low))
    }

    /// Claims more from the database: at least `need`, a slice where there is one, or nothing. Gives what all have claimed.
    async fn claim(
        db: &Db,
        quota: &Quota,
        holder: &str,
        starts: i64,
        need: i64,
        want: i64,
    ) -> Result<(i64, i64), Error> {
        let mut tx = db.write().await?;
        tx.execute(
            sql("INSERT INTO quota_use (quota_id, holder, starts, used) SELECT $1, $2, $3, 0 \
                 WHERE EXISTS (SELECT 1 FROM quotas WHERE id = $1) ON CONFLICT (quota_id, holder, starts) DO NOTHING")
                .bind(&quota.id)
                .bind(holder)
                .bind(starts),
        )
        .await?;
        let row = tx
            .fetch_optional(
                sql("SELECT used FROM quota_use WHERE quota_id = $1 AND holder = $2 AND starts = $3")
                    .bind(&quota.id)
                    .bind(holder)
                    .bind(starts)
                    .locking(),
            )
            .await?;
        // The quota was removed a moment ago.
        let Some(row) = row else { return Ok((want.max(need), 0)) };
        let used: i64 = tx.read(row.at(0))?;
        let granted = want.max(need).min(signed(quota.amount) - used);
        if granted < need.max(1) {
            return Ok((0, used));
        }
        tx.execute(
            sql("UPDATE quota_use SET used = used + $4 WHERE quota_id = $1 AND holder = $2 AND starts = $3")
                .bind(&quota.id)
                .bind(holder)
                .bind(starts)
                .bind(granted),
        )
        .await?;
        tx.commit().await?;
        Ok((granted, used + granted))
    }

    fn put(&self, place: &Place, starts: i64, granted: i64, claimed: i64) {
        let mut slices = lock(&self.slices);
        if let Some(slice) = slices.get_mut(place).filter(|slice| slice.starts == starts) {
            slice.left += granted;
            slice.claimed = claimed;
        }
    }

    /// One quota's part of a reservation.
    async fn one(
        self: &Arc<Self>,
        db: &Db,
        quota: &Quota,
        holder: String,
        least: u64,
        most: u64,
    ) -> Result<(Place, Measure, i64, i64), Error> {
        let place = (quota.id.clone(), holder);
        let (least, most) = (signed(least), signed(most.max(least)));
        for _ in 0..3 {
            let now = now_ms();
            if let Some((starts, taken, low)) = self.take(&place, quota, now, least, most) {
                if low {
                    self.refill(db.clone(), quota.clone(), place.clone(), starts);
                }
                return Ok((place, quota.measure, starts, taken));
            }
            let claiming = lock(&self.slices).get(&place).map(|slice| Arc::clone(&slice.claiming));
            let Some(claiming) = claiming else { continue };
            let _one = claiming.lock().await;
            // Somebody else's claim may be enough.
            if let Some((starts, taken, low)) = self.take(&place, quota, now_ms(), least, most) {
                if low {
                    self.refill(db.clone(), quota.clone(), place.clone(), starts);
                }
                return Ok((place, quota.measure, starts, taken));
            }
            let (starts, left) =
                lock(&self.slices).get(&place).map_or((0, 0), |slice| (slice.starts, slice.left));
            let (granted, claimed) = if is_default(quota) {
                (0, signed(quota.amount))
            } else {
                Self::claim(
                    db,
                    quota,
                    &place.1,
                    starts,
                    least.saturating_sub(left),
                    slice_of(quota).max(most.saturating_sub(left)),
                )
                .await?
            };
            self.put(&place, starts, granted, claimed);
            if granted == 0 {
                let (_, ends) = window::of(quota.period, now_ms());
                let renews_at = (least <= signed(quota.amount)).then_some(ends);
                let used = u64::try_from(claimed - left).unwrap_or(0);
                let wanted = u64::try_from(least).unwrap_or(0);
                return Err(Error::Quota(Box::new(Exceeded {
                    quota: quota.clone(),
                    used,
                    wanted,
                    renews_at,
                })));
            }
        }
        // Three windows have ended while one request claimed: the clock jumps.
        Err(Error::Contended { place: db.place().to_string(), why: "a quota could not be claimed".into() })
    }

    /// Claims the next slice off the path of requests. Whoever finds too little in hand meanwhile waits for it.
    fn refill(self: &Arc<Self>, db: Db, quota: Quota, place: Place, starts: i64) {
        let gate = Arc::clone(self);
        tokio::spawn(async move {
            let claiming = lock(&gate.slices).get(&place).map(|slice| Arc::clone(&slice.claiming));
            let Some(claiming) = claiming else { return };
            let _one = claiming.lock().await;
            {
                let mut slices = lock(&gate.slices);
                let Some(slice) = slices.get_mut(&place) else { return };
                slice.refilling = false;
                // A request that could not wait may have claimed meanwhile.
                let low = slice.starts == starts && slice.left < slice_of(&quota) / 2;
                if !low || gate.closed.load(Ordering::Acquire) {
                    return;
                }
            }
            match Self::claim(&db, &quota, &place.1, starts, 1, slice_of(&quota)).await {
                Ok((granted, claimed)) => gate.put(&place, starts, granted, claimed),
                Err(error) => tracing::warn!(%error, "the next slice of a quota could not be claimed"),
            }
        });
    }

    /// Gives back the slices that `which` chooses, and tells the database what requests took beyond theirs.
    async fn return_slices(&self, db: &Db, which: impl Fn(&Slice) -> bool) {
        let now = now_ms();
        let back: Vec<(Place, i64, i64)> = {
            let mut slices = lock(&self.slices);
            slices.retain(|_, slice| slice.ends > now || slice.held > 0);
            let chosen = slices
                .iter_mut()
                .filter(|((id, _), slice)| !id.starts_with("setting:") && slice.left != 0 && which(slice));
            chosen
                .map(|(place, slice)| (place.clone(), slice.starts, std::mem::take(&mut slice.left)))
                .collect()
        };
        if back.is_empty() {
            return;
        }
        let told = async {
            let mut tx = db.write().await?;
            let mut back = back;
            back.sort();
            for ((id, holder), starts, left) in &back {
                tx.execute(
                    sql("UPDATE quota_use SET used = used - $4 WHERE quota_id = $1 AND holder = $2 AND starts = $3")
                        .bind(id)
                        .bind(holder)
                        .bind(*starts)
                        .bind(*left),
                )
                .await?;
            }
            tx.execute(sql("DELETE FROM quota_use WHERE starts > 0 AND starts < $1").bind(now - OLD_MS))
                .await?;
            tx.commit().await
        };
        let told: Result<(), Error> = told.await;
        if let Err(error) = told {
            // It counts as used: whether the server has heard of it is not known, and too little is better than too much.
            tracing::warn!(%error, "slices of quotas could not be given back");
        }
    }

    /// Gives everything back, also what is being claimed.
    pub async fn close(&self, db: &Db) {
        self.closed.store(true, Ordering::Release);
        let claiming: Vec<_> = lock(&self.slices).values().map(|slice| Arc::clone(&slice.claiming)).collect();
        for one in claiming {
            drop(one.lock().await);
        }
        self.return_slices(db, |_| true).await;
    }

    /// Looks after slices as long as the store is open.
    fn look_after(self: &Arc<Self>, db: &Db) {
        if self.looked_after.swap(true, Ordering::AcqRel) {
            return;
        }
        let (gate, db) = (Arc::downgrade(self), db.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(ROUND).await;
                let Some(gate) = gate.upgrade().filter(|_| !db.is_closed()) else { return };
                let now = now_ms();
                gate.return_slices(&db, |slice| slice.left < 0 || now - slice.touched > IDLE_MS).await;
            }
        });
    }
}

impl Slice {
    fn new(starts: i64, ends: i64) -> Self {
        Self {
            starts,
            ends,
            left: 0,
            held: 0,
            claimed: -1,
            touched: 0,
            claiming: Arc::default(),
            refilling: false,
        }
    }
}

impl Store {
    /// Requests that each key may make a minute through this process, whatever else is set; 0: any number.
    pub fn limit_each_key(&self, requests_per_minute: u32) {
        let quota = Quota {
            id: "setting:requests_per_minute".into(),
            subject: Subject::EachKey,
            subject_id: String::new(),
            measure: Measure::Requests,
            accelerator: String::new(),
            period: Period::Minute,
            amount: requests_per_minute.into(),
            created_at: 0,
        };
        *lock(&self.inner.gate.defaults) = (requests_per_minute > 0).then_some(quota).into_iter().collect();
    }

    /// Sets aside what a request may take at most. `in_job`: a line of a job, which the setting's limit is not about.
    ///
    /// # Errors
    /// [`Error::Quota`]: some quota does not allow it, and nothing was taken; or the database failed.
    pub async fn reserve(
        &self,
        holder: &Holder,
        wants: &[Want],
        in_job: bool,
    ) -> Result<(Reservation, Vec<Limit>), Error> {
        let gate = &self.inner.gate;
        let rules = gate.rules(self.db(), holder.tenant).await?;
        let defaults = if in_job { Vec::new() } else { lock(&gate.defaults).clone() };
        let mut reservation = Reservation { gate: Arc::downgrade(gate), taken: Vec::new() };
        let mut limits = Vec::new();
        for quota in defaults.iter().chain(rules.iter()) {
            let Some((_, least, most)) = wants.iter().find(|(measure, ..)| *measure == quota.measure) else {
                continue;
            };
            let Some(name) = holder.of(quota) else { continue };
            gate.look_after(self.db());
            // Refused half-way, the reservation drops and gives the first half back.
            let taken = gate.one(self.db(), quota, name, *least, *most).await?;
            let (_, renews_at) = window::of(quota.period, now_ms());
            let left = lock(&gate.slices).get(&taken.0).map_or(0, |slice| {
                slice.left.saturating_add(signed(quota.amount).saturating_sub(slice.claimed))
            });
            let left = u64::try_from(left).unwrap_or(0);
            reservation.taken.push(taken);
            limits.push(Limit { measure: quota.measure, amount: quota.amount, left, renews_at });
        }
        Ok((reservation, limits))
    }
}

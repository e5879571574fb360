//! The ledger that both replicas share: durable, each call atomic. It may fail before or after it has taken effect.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use leasehold::ledger::{
    Advanced, Begun, Error, HandOut, HandedTo, Intent, IntentKind, IntentState, IntentStore, ListIntents,
    NewIntent, NextStep, Owner, PoolAddress, PoolStore, PoolUse, QuarantineStore, QuarantinedAddress,
    Reservation, ReservationChange, ReservationHold, ReservedRange, Stocked,
};
use leasehold::model::{Address, PrefixId, RequestId, VrfScope};

use super::mutants::Mutant;
use super::ports::Power;
use super::random::Random;
use super::world::World;

#[derive(Default)]
struct Rows {
    intents: BTreeMap<RequestId, Intent>,
    reserved: Vec<(Reservation, RequestId, Option<Timestamp>)>,
    quarantine: Vec<QuarantinedAddress>,
    pools: BTreeMap<u64, PoolAddress>,
    /// Until when each process is known to live.
    lives: BTreeMap<String, Timestamp>,
}

#[derive(Clone)]
pub struct SharedLedger {
    rows: Arc<Mutex<Rows>>,
    random: Random,
    world: World,
    shared: bool,
    power: Power,
}

impl SharedLedger {
    pub fn new(world: World, random: Random, shared: bool) -> Self {
        Self { rows: Arc::default(), random, world, shared, power: Power::default() }
    }

    /// The same ledger, as a replica with this power sees it.
    pub fn of(&self, power: Power) -> Self {
        Self { power, ..self.clone() }
    }

    pub fn intents(&self) -> Vec<Intent> {
        self.rows.lock().unwrap().intents.values().cloned().collect()
    }

    pub fn pools(&self) -> Vec<PoolAddress> {
        self.rows.lock().unwrap().pools.values().cloned().collect()
    }

    /// Time passes, and the call may fail before it has done anything.
    async fn before(&self) -> Result<(), Error> {
        self.power.gate().await;
        self.random.pause(3).await;
        self.power.gate().await;
        self.failing()
    }

    /// The call has done something, and its answer may be lost.
    async fn after(&self) -> Result<(), Error> {
        self.random.pause(2).await;
        self.power.gate().await;
        self.failing()
    }

    fn failing(&self) -> Result<(), Error> {
        if self.world.is_faulty() && self.random.below(400) == 0 {
            return Err(Error::Unreadable("the simulated ledger failed".to_owned()));
        }
        Ok(())
    }

    fn reserve(&self, rows: &mut Rows, request: &RequestId, ranges: &[Reservation]) -> bool {
        if self.world.mutant == Mutant::NoReservation {
            return true;
        }
        let overlaps = |held: &Reservation, range: &Reservation| {
            held.scope == range.scope && held.first <= range.last && held.last >= range.first
        };
        let taken = ranges.iter().any(|range| {
            rows.reserved
                .iter()
                .any(|(held, by, settled)| settled.is_none() && by != request && overlaps(held, range))
        });
        if !taken {
            rows.reserved.extend(ranges.iter().map(|range| (*range, request.clone(), None)));
        }
        !taken
    }

    fn begin(&self, NewIntent { intent, reserve }: &NewIntent) -> Begun {
        if self.world.mutant == Mutant::IntentAfterRequest {
            let (ledger, intent, reserve) = (self.clone(), intent.clone(), reserve.clone());
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(60)).await;
                ledger.power.gate().await;
                let mut rows = ledger.rows.lock().unwrap();
                if !rows.intents.contains_key(&intent.request)
                    && ledger.reserve(&mut rows, &intent.request, &reserve)
                {
                    rows.intents.insert(intent.request.clone(), intent);
                }
            });
            return Begun::New;
        }
        let mut rows = self.rows.lock().unwrap();
        if let Some(before) = rows.intents.get(&intent.request) {
            Begun::Before(Box::new(before.clone()))
        } else if self.reserve(&mut rows, &intent.request, reserve) {
            rows.intents.insert(intent.request.clone(), intent.clone());
            Begun::New
        } else {
            Begun::Reserved
        }
    }

    fn advance(&self, NextStep { request, held, change, now }: &NextStep) -> Result<Advanced, Error> {
        let mut rows = self.rows.lock().unwrap();
        let Some(intent) = rows.intents.get(request).cloned() else {
            return Err(Error::Unreadable("no such intent".to_owned()));
        };
        if intent.claim != *held && self.world.mutant != Mutant::NoCompareAndSet {
            return Ok(Advanced::Lost(Box::new(intent)));
        }
        let reserved = match &change.reservations {
            ReservationChange::Keep => true,
            ReservationChange::Replace(ranges) => {
                let before = rows.reserved.clone();
                rows.reserved.retain(|(_, by, _)| by != request);
                let reserved = self.reserve(&mut rows, request, ranges);
                if !reserved {
                    rows.reserved = before;
                }
                reserved
            }
            ReservationChange::Settle { until } => {
                for (_, _, settled) in rows.reserved.iter_mut().filter(|(_, by, _)| by == request) {
                    *settled = Some(*until);
                }
                true
            }
            ReservationChange::Release => {
                rows.reserved.retain(|(_, by, _)| by != request);
                true
            }
        };
        if !reserved {
            return Ok(Advanced::Reserved);
        }
        rows.intents.insert(request.clone(), change.applied_to(&intent, *now));
        Ok(Advanced::Set)
    }
}

#[async_trait]
impl IntentStore for SharedLedger {
    fn backend(&self) -> &'static str {
        "simulated"
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    async fn begin_all(&self, intents: &[NewIntent]) -> Result<Vec<Begun>, Error> {
        self.before().await?;
        let begun = intents.iter().map(|new| self.begin(new)).collect();
        self.after().await?;
        Ok(begun)
    }

    async fn advance_all(&self, steps: &[NextStep]) -> Result<Vec<Advanced>, Error> {
        self.before().await?;
        let advanced = steps.iter().map(|step| self.advance(step)).collect::<Result<_, _>>()?;
        self.after().await?;
        Ok(advanced)
    }

    async fn get(&self, request: &RequestId) -> Result<Option<Intent>, Error> {
        self.before().await?;
        Ok(self.rows.lock().unwrap().intents.get(request).cloned())
    }

    async fn count_open(&self) -> Result<u64, Error> {
        Ok(self.intents().iter().filter(|intent| !intent.step.is_final()).count() as u64)
    }

    async fn open_intents(&self, _: u32) -> Result<Vec<Intent>, Error> {
        self.before().await?;
        Ok(self.intents().into_iter().filter(|intent| !intent.step.is_final()).collect())
    }

    async fn due_sweeps(&self, now: Timestamp, _: u32) -> Result<Vec<Intent>, Error> {
        if self.world.mutant == Mutant::NoSweep {
            return Ok(Vec::new());
        }
        self.before().await?;
        let due = |intent: &Intent| intent.sweep.is_some_and(|sweep| sweep <= now);
        Ok(self.intents().into_iter().filter(due).collect())
    }

    async fn reservations(&self, now: Timestamp) -> Result<Vec<ReservedRange>, Error> {
        self.before().await?;
        let rows = self.rows.lock().unwrap();
        let held = rows.reserved.iter().filter(|(_, _, settled)| settled.is_none_or(|until| until > now));
        Ok(held
            .map(|(range, request, settled)| ReservedRange {
                range: *range,
                request: request.clone(),
                hold: if settled.is_some() { ReservationHold::Taken } else { ReservationHold::Exclusive },
            })
            .collect())
    }

    async fn prune(&self, _: Timestamp, _: Timestamp) -> Result<u64, Error> {
        Ok(0)
    }

    async fn list(&self, _: &ListIntents) -> Result<Vec<Intent>, Error> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl QuarantineStore for SharedLedger {
    async fn quarantine(
        &self,
        scope: VrfScope,
        addresses: &[IpAddr],
        released: Timestamp,
    ) -> Result<(), Error> {
        self.before().await?;
        let rows = addresses.iter().map(|address| QuarantinedAddress { scope, address: *address, released });
        self.rows.lock().unwrap().quarantine.extend(rows);
        self.after().await
    }

    async fn quarantined(&self, after: Timestamp) -> Result<Vec<QuarantinedAddress>, Error> {
        self.before().await?;
        if self.world.mutant == Mutant::NoQuarantine {
            return Ok(Vec::new());
        }
        let rows = self.rows.lock().unwrap();
        Ok(rows.quarantine.iter().filter(|row| row.released > after).copied().collect())
    }

    async fn lift(&self, scope: VrfScope, addresses: &[IpAddr]) -> Result<(), Error> {
        self.before().await?;
        let mut rows = self.rows.lock().unwrap();
        rows.quarantine.retain(|row| row.scope != scope || !addresses.contains(&row.address));
        Ok(())
    }

    async fn end_quarantine(&self, _: Timestamp) -> Result<(), Error> {
        Ok(())
    }
}

impl SharedLedger {
    fn hand_out(&self, HandOut { intent, addresses }: &HandOut) -> Stocked {
        let mut rows = self.rows.lock().unwrap();
        if rows.intents.contains_key(&intent.request) {
            return Stocked::Before;
        }
        let holds = addresses.iter().all(|(claim, wanted)| {
            rows.pools.get(&wanted.id.0).is_some_and(|row| row.claim == *claim && row.used == PoolUse::Stock)
        });
        if !holds {
            return Stocked::Gone;
        }
        for (_, wanted) in addresses {
            let to = HandedTo {
                request: intent.request.clone(),
                caller: intent.detail.caller.clone(),
                wanted: wanted.clone(),
                at: intent.created,
                refusal: None,
            };
            if let Some(row) = rows.pools.get_mut(&wanted.id.0) {
                row.used = PoolUse::HandedOut(Box::new(to));
            }
        }
        rows.intents.insert(intent.request.clone(), intent.clone());
        Stocked::HandedOut
    }
}

#[async_trait]
impl PoolStore for SharedLedger {
    async fn claim_pools(
        &self,
        owner: &Owner,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<PoolAddress>, Error> {
        self.before().await?;
        let shared = self.shared;
        let owned = {
            let mut rows = self.rows.lock().unwrap();
            rows.lives.insert(owner.as_str().to_owned(), until);
            let Rows { pools, lives, .. } = &mut *rows;
            for row in pools.values_mut().filter(|row| row.claim.owner != *owner) {
                let dead = lives.get(row.claim.owner.as_str()).is_none_or(|until| *until <= now);
                if dead || !shared {
                    row.claim.owner = owner.clone();
                    row.claim.epoch += 1;
                }
            }
            pools.values().filter(|row| row.claim.owner == *owner).cloned().collect()
        };
        self.after().await?;
        Ok(owned)
    }

    async fn fills(&self) -> Result<Vec<Intent>, Error> {
        self.before().await?;
        let wanted = |intent: &Intent| {
            intent.kind == IntentKind::PoolFill && intent.step.state() != IntentState::Failed
        };
        Ok(self.intents().into_iter().filter(wanted).collect())
    }

    async fn stock(&self, fill: &RequestId, addresses: &[PoolAddress], _: Timestamp) -> Result<bool, Error> {
        self.before().await?;
        let stocked = {
            let mut rows = self.rows.lock().unwrap();
            let done = |intent: &Intent| intent.step.state() == IntentState::Done && intent.sweep.is_none();
            let deleted = rows.intents.get(fill).is_some_and(done);
            if deleted {
                rows.intents.remove(fill);
                rows.reserved.retain(|(_, by, _)| by != fill);
                rows.pools.extend(addresses.iter().map(|address| (address.record.id.0, address.clone())));
            }
            deleted
        };
        self.after().await?;
        Ok(stocked)
    }

    async fn hand_out_all(&self, hand_outs: &[HandOut]) -> Result<Vec<Stocked>, Error> {
        self.before().await?;
        let outcomes = hand_outs.iter().map(|hand_out| self.hand_out(hand_out)).collect();
        self.after().await?;
        Ok(outcomes)
    }

    async fn incomplete(&self) -> Result<Vec<PoolAddress>, Error> {
        self.before().await?;
        let handed_out = |row: &PoolAddress| matches!(row.used, PoolUse::HandedOut(_));
        Ok(self.pools().into_iter().filter(handed_out).collect())
    }

    async fn refuse(&self, address: &Address, refusal: &str) -> Result<(), Error> {
        self.before().await?;
        if let Some(row) = self.rows.lock().unwrap().pools.get_mut(&address.id.0)
            && let PoolUse::HandedOut(to) = &mut row.used
        {
            to.refusal = Some(refusal.to_owned());
        }
        self.after().await
    }

    async fn stock_within(&self, parent: PrefixId) -> Result<Vec<PoolAddress>, Error> {
        self.before().await?;
        let within = |row: &PoolAddress| row.parent == parent && !matches!(row.used, PoolUse::HandedOut(_));
        Ok(self.pools().into_iter().filter(within).collect())
    }

    async fn take_back(&self, addresses: &[Address], _: Timestamp) -> Result<Vec<PoolAddress>, Error> {
        self.before().await?;
        let taken = {
            let mut rows = self.rows.lock().unwrap();
            let ids: Vec<u64> = addresses.iter().map(|address| address.id.0).collect();
            let wanted = rows.pools.iter_mut().filter(|(id, _)| ids.contains(id)).map(|(_, row)| row);
            let held = wanted.filter(|row| !matches!(row.used, PoolUse::HandedOut(_)));
            held.map(|row| {
                row.used = PoolUse::Returning;
                row.claim.epoch += 1;
                row.clone()
            })
            .collect()
        };
        self.after().await?;
        Ok(taken)
    }

    async fn forget(&self, addresses: &[Address]) -> Result<(), Error> {
        self.before().await?;
        let ids: Vec<u64> = addresses.iter().map(|address| address.id.0).collect();
        self.rows.lock().unwrap().pools.retain(|id, _| !ids.contains(id));
        self.after().await
    }
}

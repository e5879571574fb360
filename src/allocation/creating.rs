//! The addresses of several requests are created together: as one list that NetBox writes as a whole.
//!
//! A refusal is mapped back to the request that it is about: NetBox names the entry, or else the list is halved until the request is
//! found. The others go on. Where NetBox would choose the very addresses that were chosen here, it is left to do so, which takes it
//! about half the time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

use super::joined::{GroupLost, Joined, Member};
use super::plan::{Limits, Quarantined, pick_addresses};
use super::ports::{CreationPart, ListRefusal, NetBoxPort, Placing, RecordCache};
use super::queue::Caller;
use crate::cache::{Batch, Index};
use crate::model::{Address, PrefixId};
use crate::netbox::{self, Certainty, NetBoxResult};

/// A request is sent within this time of its step in the ledger, or not at all, lest it arrives after another server has settled it.
pub(super) const SENT_WITHIN: Duration = Duration::from_secs(5);

/// Addresses in one list of several requests. NetBox takes 8 to 30 ms for each, so that a list is written within some seconds; longer
/// ones are hardly cheaper by the address. It bounds the bytes as well: an entry has less than 2 KiB.
const MOST_TOGETHER: usize = 128;

/// A list of so many addresses of one parent is worth a request of its own to `available-ips`.
const WORTH_A_REQUEST: usize = 8;

/// NetBox walks over the recorded addresses of a parent, from the first to the first gap. With more than these it is told the address.
const LONGEST_WALK: usize = 2000;

/// What became of a creation.
pub(super) enum Created<T> {
    Answer(NetBoxResult<T>),
    /// It waited too long and was not sent: its step has to be stored anew.
    TooLate,
    /// It was not sent, since nobody waits for it any more.
    NotWanted,
}

impl<T> Created<T> {
    pub(super) fn map<U>(self, records: impl FnOnce(T) -> U) -> Created<U> {
        match self {
            Self::Answer(answer) => Created::Answer(answer.map(records)),
            Self::TooLate => Created::TooLate,
            Self::NotWanted => Created::NotWanted,
        }
    }
}

/// One request's part of a list.
pub(super) struct Creation {
    pub(super) part: CreationPart,
    /// The prefix whose lowest free addresses were chosen, if they were chosen and not named.
    pub(super) chosen_from: Option<PrefixId>,
    /// When the step of its intent was stored.
    pub(super) stamped: Instant,
    /// Who waits for it, if nothing of the request was sent before, so that it can still be left alone.
    pub(super) caller: Option<Arc<Caller<()>>>,
}

type Waiting = Member<Creation, Created<Vec<Address>>>;

/// Addresses that are sent as one list.
struct List {
    placing: Placing,
    members: Vec<Waiting>,
}

/// Creates addresses for requests, those that wait together in one list.
pub(super) struct Creations {
    netbox: Arc<dyn NetBoxPort>,
    cache: Arc<dyn RecordCache>,
    joined: Joined<Creation, Created<Vec<Address>>>,
}

impl Creations {
    pub(super) fn new(netbox: Arc<dyn NetBoxPort>, cache: Arc<dyn RecordCache>) -> Self {
        let joined = Joined::weighed(MOST_TOGETHER, |creation: &Creation| creation.part.list.len());
        Self { netbox, cache, joined }
    }

    /// Creates the addresses of one request, all or none. They are sent again only while every answer says that none was written.
    pub(super) async fn create(self: &Arc<Self>, creation: Creation) -> Created<Vec<Address>> {
        let together = |members| self.clone().together(members);
        self.joined.call(creation, together).await.unwrap_or_else(|GroupLost| {
            let cause = "the task that sent it was lost".to_owned();
            Created::Answer(Err(netbox::Error::Interrupted { cause }))
        })
    }

    async fn together(self: Arc<Self>, members: Vec<Waiting>) {
        let mut lists = self.split(members);
        while let Some(List { placing, members }) = lists.pop() {
            let mut timely = Vec::new();
            for member in members {
                if member.item.caller.as_ref().is_some_and(|caller| caller.is_gone()) {
                    member.answer(Created::NotWanted);
                } else if member.item.stamped.elapsed() > SENT_WITHIN {
                    member.answer(Created::TooLate);
                } else {
                    timely.push(member);
                }
            }
            let members = timely;
            if members.is_empty() {
                continue;
            }
            let parts: Vec<&CreationPart> = members.iter().map(|member| &member.item.part).collect();
            match self.netbox.create(placing, &parts).await {
                Ok(records) => {
                    // Before anybody is told: whoever plans next must not choose them, and need not read them.
                    if let Err(error) = self.cache.apply(Batch::from(records.concat())).await {
                        tracing::error!(%error, "new records could not be put into the cache");
                    }
                    for (member, records) in members.into_iter().zip(records) {
                        member.answer(Created::Answer(Ok(records)));
                    }
                }
                Err(refusal) => lists.extend(after_refusal(List { placing, members }, refusal)),
            }
        }
    }

    /// The lists that a group is sent as.
    fn split(&self, members: Vec<Waiting>) -> Vec<List> {
        let Ok(index) = self.cache.snapshot() else {
            return vec![List { placing: Placing::AsListed, members }];
        };
        let whole = weight(&members);
        let mut by_parent: BTreeMap<Option<PrefixId>, Vec<Waiting>> = BTreeMap::new();
        for member in members {
            by_parent.entry(member.item.chosen_from).or_default().push(member);
        }
        let (mut lists, mut listed) = (Vec::new(), Vec::new());
        for (parent, mut members) in by_parent {
            let weight = weight(&members);
            members
                .sort_by_key(|member| member.item.part.list.first().map(|(interface, _)| interface.addr()));
            match parent {
                Some(parent)
                    if (weight == whole || weight >= WORTH_A_REQUEST)
                        && self.netbox_would_choose(&index, parent, &members) =>
                {
                    lists.push(List { placing: Placing::LowestOf(parent), members });
                }
                _ => listed.extend(members),
            }
        }
        if !listed.is_empty() {
            lists.push(List { placing: Placing::AsListed, members: listed });
        }
        lists
    }

    /// Whether `available-ips` of the parent would give these very addresses in this order, as far as is known here: there are no child
    /// prefixes, exclusions, addresses in quarantine or reserved ranges before them. If it gives others all the same, the verification
    /// of each write decides whether it may keep them.
    fn netbox_would_choose(&self, index: &Index, parent: PrefixId, members: &[Waiting]) -> bool {
        let Some(parent) = index.prefix(parent) else { return false };
        if index.addresses_within(parent.scope, parent.network).take(LONGEST_WALK + 1).count() > LONGEST_WALK
        {
            return false;
        }
        let planned: Vec<IpAddr> = interfaces(members).map(|interface| interface.addr()).collect();
        let quarantined = Quarantined::default();
        let everybody = Limits::of_everybody(&quarantined, self.netbox.only_populated_ranges());
        let limits = Limits { include_children: true, ..everybody };
        let count = u32::try_from(planned.len()).unwrap_or(u32::MAX);
        pick_addresses(index, parent, limits, count) == planned
            && interfaces(members).all(|interface| interface.prefix_len() == parent.network.length())
    }
}

fn weight(members: &[Waiting]) -> usize {
    interfaces(members).count()
}

fn interfaces(members: &[Waiting]) -> impl Iterator<Item = IpNet> + '_ {
    members.iter().flat_map(|member| member.item.part.list.iter().map(|(interface, _)| *interface))
}

/// Answers the members of a list whose refusal is final, and gives the lists that are to be sent for the others.
fn after_refusal(List { placing, members }: List, refusal: ListRefusal) -> Vec<List> {
    let ListRefusal { error, mut blamed } = refusal;
    if error.certainty() != Certainty::Unknown {
        // NetBox has written nothing; or it refuses allocation ids that it has, whenever they are sent.
        if members.len() > 1 && !blamed.is_empty() {
            let mut others = Vec::new();
            for (nth, member) in members.into_iter().enumerate() {
                match blamed.remove(&nth) {
                    Some(own) => member.answer(Created::Answer(Err(own))),
                    None => others.push(member),
                }
            }
            return vec![List { placing, members: others }];
        }
        let no_space =
            matches!(error, netbox::Error::InsufficientSpace { .. } | netbox::Error::NotFound { .. });
        if matches!(placing, Placing::LowestOf(_)) && (no_space || error.is_of_records()) {
            return vec![List { placing: Placing::AsListed, members }];
        }
        if members.len() > 1 && error.is_of_records() {
            let mut first = members;
            let second = first.split_off(first.len() / 2);
            return vec![List { placing, members: second }, List { placing, members: first }];
        }
    }
    for member in members {
        member.answer(Created::Answer(Err(error.clone())));
    }
    Vec::new()
}

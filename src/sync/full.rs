//! The full pass: every record, in slices by id, several at once, streamed into the next generation.
//!
//! Workers take slices from one queue, fetch and parse; one writer takes their pages. So NetBox is never left waiting while
//! a page is written, and what is fetched and not yet written is bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::state::PassProgress;
use super::syncer::Error;
use crate::cache::{Batch, Cache};
use crate::model::{Address, IpRange, Prefix, Vrf};
use crate::netbox::{self, Client, Extent, Record, Slice};

/// Pages that may wait for the writer.
const WAITING_PAGES: usize = 8;

/// A slice of one kind.
#[derive(Clone, Copy, Debug)]
enum Part {
    Vrfs(Slice),
    Prefixes(Slice),
    Addresses(Slice),
    Ranges(Slice),
}

/// Reads everything into the generation that [`Cache::begin_pass`] has begun.
pub(super) async fn run(client: &Client, cache: &Cache, progress: &PassProgress) -> Result<u64, Error> {
    let (vrfs, prefixes, addresses, ranges) = tokio::try_join!(
        client.extent::<Vrf>(),
        client.extent::<Prefix>(),
        client.extent::<Address>(),
        client.extent::<IpRange>(),
    )?;
    let total = [vrfs, prefixes, addresses, ranges].into_iter().flatten().map(|extent| extent.count).sum();
    progress.start(total);
    let slices = |extent: Option<Extent>| extent.map(|extent| client.slices(extent)).unwrap_or_default();
    let mut parts: VecDeque<Part> = slices(vrfs).into_iter().map(Part::Vrfs).collect();
    parts.extend(slices(prefixes).into_iter().map(Part::Prefixes));
    parts.extend(slices(addresses).into_iter().map(Part::Addresses));
    parts.extend(slices(ranges).into_iter().map(Part::Ranges));

    let parts = Arc::new(Mutex::new(parts));
    let (pages, mut fetched) = mpsc::channel(WAITING_PAGES);
    // Dropped with this function, whatever way it ends: no worker outlives its pass.
    let mut workers = JoinSet::new();
    for _ in 0..client.parallel() {
        workers.spawn(work(client.clone(), parts.clone(), pages.clone()));
    }
    drop(pages);
    let mut rows = 0;
    while let Some(page) = fetched.recv().await {
        let page = page?;
        rows += page.len() as u64;
        progress.add(page.len());
        cache.add_page(page).await?;
    }
    // A worker that died took a slice with it: a generation with a hole must never be put into service.
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|_| Error::Lost)?;
    }
    Ok(rows)
}

type Pages = mpsc::Sender<netbox::Result<Batch>>;

/// Takes slices until there is none, or until nobody wants the pages any more.
async fn work(client: Client, parts: Arc<Mutex<VecDeque<Part>>>, pages: Pages) {
    loop {
        let part = parts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let sent = match part {
            None => return,
            Some(Part::Vrfs(slice)) => fetch::<Vrf>(&client, slice, &pages).await,
            Some(Part::Prefixes(slice)) => fetch::<Prefix>(&client, slice, &pages).await,
            Some(Part::Addresses(slice)) => fetch::<Address>(&client, slice, &pages).await,
            Some(Part::Ranges(slice)) => fetch::<IpRange>(&client, slice, &pages).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Sends every page of a slice; an error ends the pass at the other end.
async fn fetch<R>(client: &Client, slice: Slice, pages: &Pages) -> Result<(), mpsc::error::SendError<()>>
where
    R: Record,
    Batch: From<Vec<R>>,
{
    let mut next = Some(slice);
    while let Some(slice) = next {
        let page = match client.page::<R>(slice).await {
            Ok((rows, following)) => {
                next = following;
                Ok(Batch::from(rows))
            }
            Err(error) => {
                next = None;
                Err(error)
            }
        };
        pages.send(page).await.map_err(|_| mpsc::error::SendError(()))?;
    }
    Ok(())
}

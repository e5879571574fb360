//! The full pass: reads every record, in slices by id and several at once, into the next generation.
//!
//! Several workers take slices from one queue, read them and parse them. One loop adds their pages to the cache. So NetBox keeps
//! answering while a page is written, and the number of pages in memory is bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::error::Error;
use super::state::PassProgress;
use crate::cache::{Batch, Cache};
use crate::model::{Address, IpRange, Prefix, Vrf};
use crate::netbox::{self, Client, IdBounds, IdSlice, NetBoxRecord};

/// The number of pages that may be read and not yet written.
const UNWRITTEN_PAGES: usize = 8;

/// A slice of the records of one kind.
#[derive(Clone, Copy, Debug)]
enum KindSlice {
    Vrfs(IdSlice),
    Prefixes(IdSlice),
    Addresses(IdSlice),
    Ranges(IdSlice),
}

/// Reads every record into the generation that [`Cache::begin_pass`] has begun, and returns their number.
pub(super) async fn run(client: &Client, cache: &Cache, progress: &PassProgress) -> Result<u64, Error> {
    let (vrfs, prefixes, addresses, ranges) = tokio::try_join!(
        client.id_bounds::<Vrf>(),
        client.id_bounds::<Prefix>(),
        client.id_bounds::<Address>(),
        client.id_bounds::<IpRange>(),
    )?;
    let total = [vrfs, prefixes, addresses, ranges].into_iter().flatten().map(|bounds| bounds.count).sum();
    progress.start(total);
    let slices = |bounds: Option<IdBounds>| bounds.map(|bounds| client.slices(bounds)).unwrap_or_default();
    let mut queue: VecDeque<KindSlice> = slices(vrfs).into_iter().map(KindSlice::Vrfs).collect();
    queue.extend(slices(prefixes).into_iter().map(KindSlice::Prefixes));
    queue.extend(slices(addresses).into_iter().map(KindSlice::Addresses));
    queue.extend(slices(ranges).into_iter().map(KindSlice::Ranges));

    // Locked only to take the next slice, never across an await.
    let queue = Arc::new(Mutex::new(queue));
    let (pages, mut fetched) = mpsc::channel(UNWRITTEN_PAGES);
    // The set stops its tasks when it is dropped, so no worker continues after this function has returned.
    let mut workers = JoinSet::new();
    for _ in 0..client.parallel() {
        workers.spawn(read_slices(client.clone(), queue.clone(), pages.clone()));
    }
    drop(pages);
    let mut rows = 0;
    while let Some(page) = fetched.recv().await {
        let page = page?;
        rows += page.len() as u64;
        progress.add(page.len());
        cache.add_page(page).await?;
    }
    // A worker that panicked leaves its slice unread. Such a generation must not be put into service.
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|_| Error::TaskLost)?;
    }
    Ok(rows)
}

type Pages = mpsc::Sender<netbox::NetBoxResult<Batch>>;

/// Reads slices until none is left, or until the receiver of the pages is gone.
async fn read_slices(client: Client, slices: Arc<Mutex<VecDeque<KindSlice>>>, pages: Pages) {
    loop {
        let slice = slices.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let sent = match slice {
            None => return,
            Some(KindSlice::Vrfs(slice)) => send_pages::<Vrf>(&client, slice, &pages).await,
            Some(KindSlice::Prefixes(slice)) => send_pages::<Prefix>(&client, slice, &pages).await,
            Some(KindSlice::Addresses(slice)) => send_pages::<Address>(&client, slice, &pages).await,
            Some(KindSlice::Ranges(slice)) => send_pages::<IpRange>(&client, slice, &pages).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Reads a slice page by page and sends the pages. An error of NetBox is sent too, and ends the pass at the receiver.
async fn send_pages<R>(
    client: &Client,
    slice: IdSlice,
    pages: &Pages,
) -> Result<(), mpsc::error::SendError<()>>
where
    R: NetBoxRecord,
    Batch: From<Vec<R>>,
{
    let mut next = Some(slice);
    while let Some(slice) = next {
        let page = match client.read_page::<R>(slice).await {
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

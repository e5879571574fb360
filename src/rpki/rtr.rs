//! RTR (RFC 8210; version 0 by RFC 6810): one session with a cache, kept for ever.
//!
//! The protocol is the rpki crate's. Ours is what it leaves to its user: to connect again, to begin with version 1 (some caches
//! hang up on 2), to apply at End of Data only, to expire, to notice a session that changed under a serial query, a peer that
//! falls silent half-way, duplicates, and a collapse.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rpki::rtr::client::{Client, PayloadError, PayloadTarget, PayloadUpdate};
use rpki::rtr::payload::{Action, Payload, Timing};
use rpki::rtr::state::State;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::holder::Holder;
use super::vrps::VrpSet;
use crate::clock::Clock;
use crate::model::{Network, Vrp};

/// StayRTR hangs up on clients that begin with 2.
const FIRST_VERSION: u8 = 1;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Waits between attempts grow from the first to the cache's own retry interval, at most the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// One cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtrSettings {
    /// `host:port`.
    pub server: String,
    /// Use data no longer than this without a word of the cache, whatever it allows; its own interval if absent.
    pub expire: Option<Duration>,
    /// How long it may say nothing in the middle of an answer.
    pub silence: Duration,
}

/// Keeps a session until it is dropped.
pub async fn run(settings: RtrSettings, holder: Arc<Holder>, clock: Arc<dyn Clock>) {
    let mut wait = FIRST_WAIT;
    // What the cache last said of its data; of no use unless the set that it speaks of was taken up.
    let mut known: Option<State> = None;
    loop {
        let mut progress = false;
        let ended = session(&settings, &holder, &clock, &mut known, &mut progress).await;
        if progress {
            wait = FIRST_WAIT;
        }
        let why = format!("{}: {ended}", settings.server);
        tracing::warn!(source = holder.name(), %why, "the RTR session ended; connecting again");
        holder.in_trouble(why);
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// One connection, until it ends; why it did.
async fn session(
    settings: &RtrSettings,
    holder: &Arc<Holder>,
    clock: &Arc<dyn Clock>,
    known: &mut Option<State>,
    progress: &mut bool,
) -> String {
    let stream = match tokio::time::timeout(CONNECT, TcpStream::connect(&settings.server)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return error.to_string(),
        Err(_) => return "no connection in time".to_owned(),
    };
    let transfer = Arc::new(AtomicBool::new(false));
    let silence = settings.silence;
    let stream =
        Impatient { stream, transfer: transfer.clone(), silence, deadline: Box::pin(sleep(silence)) };
    let target = Target {
        holder: holder.clone(),
        clock: clock.clone(),
        transfer,
        expire: settings.expire,
        trouble: None,
    };
    // Data that did not survive is asked for whole.
    let begin = known.take().filter(|_| holder.current().is_some());
    let mut client = Client::with_initial_version(FIRST_VERSION, stream, target, begin);
    loop {
        let before = client.state();
        let update = match client.update().await {
            Ok(update) => update,
            Err(error) => return said(&mut client, &error),
        };
        // A cache that restarted must say so by Cache Reset; one that answers the old serial in a new session mixes two.
        if let (false, Some(before), Some(after)) = (update.reset, before, client.state())
            && before.session() != after.session()
        {
            return "the session changed under a serial query: reloading whole".to_owned();
        }
        if let Err(error) = client.apply(update).await {
            return said(&mut client, &error);
        }
        *progress = true;
        *known = client.state();
    }
}

/// The crate's error is empty where it was ours.
fn said(client: &mut Client<Impatient, Target>, error: &io::Error) -> String {
    match client.target_mut().trouble.take() {
        Some(trouble) => trouble,
        None if error.kind() == io::ErrorKind::UnexpectedEof => "the cache closed the connection".to_owned(),
        None => format!("{error}"),
    }
}

struct Target {
    holder: Arc<Holder>,
    clock: Arc<dyn Clock>,
    transfer: Arc<AtomicBool>,
    expire: Option<Duration>,
    trouble: Option<String>,
}

/// What came since the query; nothing of it counts before End of Data.
struct Update {
    reset: bool,
    changes: Vec<(bool, Vrp)>,
}

impl PayloadUpdate for Update {
    fn push_update(&mut self, action: Action, payload: Payload) -> Result<(), PayloadError> {
        // Router keys and ASPA are none of ours.
        let Some(origin) = payload.to_origin() else { return Ok(()) };
        let (address, length) = origin.prefix.prefix().addr_and_len();
        let network = ipnet::IpNet::new(address, length).ok().and_then(|net| Network::try_from(net).ok());
        let vrp = network
            .and_then(|network| {
                Vrp::new(network, Some(origin.prefix.resolved_max_len()), origin.asn.into_u32()).ok()
            })
            .ok_or(PayloadError::Corrupt)?;
        self.changes.push((action.is_announce(), vrp));
        Ok(())
    }
}

impl PayloadTarget for Target {
    type Update = Update;

    fn start(&mut self, reset: bool) -> Update {
        self.transfer.store(true, Ordering::Relaxed);
        Update { reset, changes: Vec::new() }
    }

    fn apply(&mut self, update: Update, timing: Timing) -> Result<(), PayloadError> {
        self.transfer.store(false, Ordering::Relaxed);
        let theirs = Duration::from_secs(u64::from(timing.expire));
        let expire = self.expire.map_or(theirs, |ours| ours.min(theirs));
        let now = self.clock.now();
        let set = if update.reset {
            if update.changes.iter().any(|(announced, _)| !announced) {
                self.trouble = Some("a withdrawal in a full set".to_owned());
                return Err(PayloadError::Corrupt);
            }
            update.changes.into_iter().map(|(_, vrp)| vrp).collect::<VrpSet>()
        } else if update.changes.is_empty() {
            self.holder.confirm(now, expire);
            return Ok(());
        } else {
            let standing = self.holder.current().unwrap_or_default();
            match standing.changed(update.changes) {
                Ok(set) => set,
                Err(misfit) => {
                    self.trouble = Some(misfit.to_string());
                    return Err(match misfit {
                        super::vrps::Misfit::Duplicate(_) => PayloadError::DuplicateAnnounce,
                        super::vrps::Misfit::Unknown(_) => PayloadError::UnknownWithdraw,
                    });
                }
            }
        };
        if let Err(collapse) = self.holder.take_up(set, now, expire) {
            // Its serial speaks of a set that was not taken up: the next session asks for all of it.
            self.trouble = Some(collapse.to_string());
            return Err(PayloadError::Internal);
        }
        Ok(())
    }
}

/// A stream that fails when its peer falls silent in the middle of an answer.
struct Impatient {
    stream: TcpStream,
    transfer: Arc<AtomicBool>,
    silence: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            this.deadline.as_mut().reset(Instant::now() + this.silence);
            return Poll::Ready(read);
        }
        // Between two answers a cache may be silent for as long as it likes.
        if !this.transfer.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        ready!(this.deadline.as_mut().poll(cx));
        let why = format!("silent for {} s in the middle of an answer", this.silence.as_secs());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

//! A session with an RTR cache (RFC 8210; version 0 by RFC 6810), kept up for as long as the server runs.
//!
//! The rpki crate speaks the protocol. This module adds what the crate leaves to its user: it reconnects, begins with version 1
//! (some caches hang up on version 2), applies data only at End of Data, and lets it expire. It ends a session in which the
//! session id changed under a serial query, the cache stopped sending in the middle of an answer, a delta did not fit, or too
//! many VRPs disappeared at once.

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

use super::vrp_store::VrpStore;
use super::vrps::{DeltaError, VrpSet};
use crate::clock::Clock;
use crate::model::{Failure, Network, SourceFault, Vrp};
use crate::web::ConnectionFault;

/// StayRTR hangs up on clients that begin with version 2.
const INITIAL_VERSION: u8 = 1;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The wait between two attempts doubles from the first value to the second.
const MIN_RECONNECT_WAIT: Duration = Duration::from_secs(1);
const MAX_RECONNECT_WAIT: Duration = Duration::from_mins(10);

/// How one RTR cache is reached and used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtrSettings {
    /// The address as `host:port`.
    pub server: String,
    /// The longest that data is used without an answer from the cache. The cache's own expire interval (RFC 8210, section 6)
    /// holds if it is shorter, or if this is `None`.
    pub expire: Option<Duration>,
    /// The longest pause of the cache in the middle of an answer.
    pub read_timeout: Duration,
}

/// Keeps a session with the cache and installs its VRPs in the store. Runs until it is dropped.
pub async fn run(settings: RtrSettings, store: Arc<VrpStore>, clock: Arc<dyn Clock>) {
    let mut wait = MIN_RECONNECT_WAIT;
    // Session id and serial of the installed set, from which the next connection continues.
    let mut installed_state: Option<State> = None;
    loop {
        let mut updated = false;
        let ended = session(&settings, &store, &clock, &mut installed_state, &mut updated).await;
        if updated {
            wait = MIN_RECONNECT_WAIT;
        }
        tracing::warn!(source = store.source(), why = %ended, "the RTR session ended; reconnecting");
        store.set_failure(ended.at(clock.now()));
        sleep(wait).await;
        wait = (wait * 2).min(MAX_RECONNECT_WAIT);
    }
}

/// Serves one connection until it ends, and returns why it ended. Sets `updated` once data was applied.
async fn session(
    settings: &RtrSettings,
    store: &Arc<VrpStore>,
    clock: &Arc<dyn Clock>,
    installed_state: &mut Option<State>,
    updated: &mut bool,
) -> Failure {
    let connecting = TcpStream::connect(&settings.server);
    let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return SourceFault::Unreachable.failure(ConnectionFault::of(&error).to_string());
        }
        Err(_) => return SourceFault::TimedOut.failure("no connection in time"),
    };
    let in_answer = Arc::new(AtomicBool::new(false));
    let stream = AnswerTimeout {
        stream,
        in_answer: in_answer.clone(),
        timeout: settings.read_timeout,
        deadline: Box::pin(sleep(settings.read_timeout)),
    };
    let target = StoreTarget {
        store: store.clone(),
        clock: clock.clone(),
        in_answer,
        expire: settings.expire,
        error: None,
    };
    // Without an installed set there is nothing to continue from: the cache is asked for all of its data.
    let initial_state = installed_state.take().filter(|_| store.current().is_some());
    let mut client = Client::with_initial_version(INITIAL_VERSION, stream, target, initial_state);
    loop {
        let before = client.state();
        let update = match client.update().await {
            Ok(update) => update,
            Err(error) => return reason(&mut client, &error),
        };
        // A restarted cache must answer Cache Reset (RFC 8210, section 8.3). One that answers the old serial in a new session
        // would mix two sets.
        if let (false, Some(before), Some(after)) = (update.reset, before, client.state())
            && before.session() != after.session()
        {
            let changed = "the session id changed under a serial query: reloading everything";
            return SourceFault::AnswerInvalid.failure(changed);
        }
        if let Err(error) = client.apply(update).await {
            return reason(&mut client, &error);
        }
        *updated = true;
        *installed_state = client.state();
    }
}

/// Why a session ended: because [`StoreTarget`] refused the data, or because of an error of the connection or of the protocol.
fn reason(client: &mut Client<AnswerTimeout, StoreTarget>, error: &io::Error) -> Failure {
    if let Some(refused) = client.target_mut().error.take() {
        return refused;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => SourceFault::Unreachable.failure("the cache closed the connection"),
        // The stream itself says for how long.
        io::ErrorKind::TimedOut
            if error.get_ref().and_then(|inner| inner.downcast_ref::<SilentCache>()).is_some() =>
        {
            SourceFault::TimedOut.failure(error.to_string())
        }
        _ => match ConnectionFault::of(error) {
            ConnectionFault::Other => {
                SourceFault::AnswerInvalid.failure("the cache does not keep to the protocol")
            }
            fault => SourceFault::Unreachable.failure(fault.to_string()),
        },
    }
}

/// The cache stopped in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the cache sent nothing for {0} s in the middle of an answer")]
struct SilentCache(u64);

/// Applies what the session receives to the store.
struct StoreTarget {
    store: Arc<VrpStore>,
    clock: Arc<dyn Clock>,
    /// Shared with [`AnswerTimeout`]: set from the start of an answer to its End of Data.
    in_answer: Arc<AtomicBool>,
    expire: Option<Duration>,
    /// Why the last data was refused.
    error: Option<Failure>,
}

/// The PDUs of one answer. Nothing of it is used before End of Data.
struct PendingUpdate {
    /// Whether this is a full set and not a delta.
    reset: bool,
    /// `true` announces the VRP, `false` withdraws it.
    changes: Vec<(bool, Vrp)>,
}

impl PayloadUpdate for PendingUpdate {
    fn push_update(&mut self, action: Action, payload: Payload) -> Result<(), PayloadError> {
        // Router keys and ASPA records are not used here.
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

impl PayloadTarget for StoreTarget {
    type Update = PendingUpdate;

    fn start(&mut self, reset: bool) -> PendingUpdate {
        self.in_answer.store(true, Ordering::Relaxed);
        PendingUpdate { reset, changes: Vec::new() }
    }

    fn apply(&mut self, update: PendingUpdate, timing: Timing) -> Result<(), PayloadError> {
        self.in_answer.store(false, Ordering::Relaxed);
        let cache_expire = Duration::from_secs(u64::from(timing.expire));
        let expire = self.expire.map_or(cache_expire, |configured| configured.min(cache_expire));
        let now = self.clock.now();
        let set = if update.reset {
            if update.changes.iter().any(|(announced, _)| !announced) {
                let withdrawn = "the cache withdraws a VRP in a full set";
                self.error = Some(SourceFault::AnswerInvalid.failure(withdrawn));
                return Err(PayloadError::Corrupt);
            }
            update.changes.into_iter().map(|(_, vrp)| vrp).collect::<VrpSet>()
        } else if update.changes.is_empty() {
            self.store.confirm(now, expire);
            return Ok(());
        } else {
            let current = self.store.current().unwrap_or_default();
            match current.with_delta(update.changes) {
                Ok(set) => set,
                Err(delta_error) => {
                    self.error = Some(SourceFault::AnswerInvalid.failure(delta_error.to_string()));
                    return Err(match delta_error {
                        DeltaError::DuplicateAnnouncement(_) => PayloadError::DuplicateAnnounce,
                        DeltaError::UnknownWithdrawal(_) => PayloadError::UnknownWithdraw,
                    });
                }
            }
        };
        if let Err(collapse) = self.store.install(set, now, expire) {
            // The cache's serial stands for a set that was not installed, so the next session asks for everything.
            self.error = Some(SourceFault::DataCollapsed.failure(collapse.to_string()));
            return Err(PayloadError::Internal);
        }
        Ok(())
    }
}

/// A stream whose reads fail when the cache pauses too long in the middle of an answer.
///
/// Between two answers a cache may be silent for as long as it likes.
struct AnswerTimeout {
    stream: TcpStream,
    in_answer: Arc<AtomicBool>,
    timeout: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl AsyncRead for AnswerTimeout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            this.deadline.as_mut().reset(Instant::now() + this.timeout);
            return Poll::Ready(read);
        }
        if !this.in_answer.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        ready!(this.deadline.as_mut().poll(cx));
        let silent = SilentCache(this.timeout.as_secs());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, silent)))
    }
}

impl AsyncWrite for AnswerTimeout {
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

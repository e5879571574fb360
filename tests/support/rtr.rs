//! An RTR cache inside the test, built on the server of the rpki crate. It does what a real cache cannot be told to do.

use std::sync::{Arc, Mutex};

use leasehold::model::{Asn, Vrp};
use rpki::rtr::payload::{Action, Payload, PayloadRef, Timing};
use rpki::rtr::server::{NotifySender, PayloadDiff, PayloadSet, PayloadSource, Server};
use rpki::rtr::state::{Serial, State};
use tokio::net::TcpListener;

/// An RTR cache. It serves VRPs with a session and a serial, and the last change as long as it knows that.
#[derive(Clone)]
pub struct Cache(Arc<Mutex<Held>>);

struct Held {
    state: State,
    vrps: Vec<Vrp>,
    last: Option<Vec<(Vrp, Action)>>,
    expire: u32,
    ready: bool,
}

pub struct List(Vec<(Payload, Action)>, usize);

impl PayloadSet for List {
    fn next(&mut self) -> Option<PayloadRef<'_>> {
        self.1 += 1;
        self.0.get(self.1 - 1).map(|(payload, _)| payload.as_ref())
    }
}

impl PayloadDiff for List {
    fn next(&mut self) -> Option<(PayloadRef<'_>, Action)> {
        self.1 += 1;
        self.0.get(self.1 - 1).map(|(payload, action)| (payload.as_ref(), *action))
    }
}

fn payload(vrp: &Vrp) -> Payload {
    let prefix = rpki::resources::addr::Prefix::new(vrp.prefix.first(), vrp.prefix.length()).unwrap();
    let prefix = rpki::resources::addr::MaxLenPrefix::new(prefix, Some(vrp.max_length)).unwrap();
    Payload::origin(prefix, vrp.asn.map_or(0, Asn::number).into())
}

impl PayloadSource for Cache {
    type Set = List;
    type Diff = List;

    fn ready(&self) -> bool {
        self.0.lock().unwrap().ready
    }

    fn notify(&self) -> State {
        self.0.lock().unwrap().state
    }

    fn full(&self) -> (State, List) {
        let held = self.0.lock().unwrap();
        (held.state, List(held.vrps.iter().map(|vrp| (payload(vrp), Action::Announce)).collect(), 0))
    }

    fn diff(&self, state: State) -> Option<(State, List)> {
        let held = self.0.lock().unwrap();
        let last = held.last.as_ref()?;
        let known = state.session() == held.state.session() && state.serial().add(1) == held.state.serial();
        known.then(|| {
            (held.state, List(last.iter().map(|(vrp, action)| (payload(vrp), *action)).collect(), 0))
        })
    }

    fn timing(&self) -> Timing {
        Timing { refresh: 1, retry: 1, expire: self.0.lock().unwrap().expire }
    }
}

impl Cache {
    /// Starts a cache that serves these VRPs.
    pub async fn start(vrps: &[Vrp], expire: u32) -> (Self, u16, tokio::task::JoinHandle<()>) {
        let state = State::from_parts(7, Serial(1));
        let cache =
            Self(Arc::new(Mutex::new(Held { state, vrps: vrps.to_vec(), last: None, expire, ready: true })));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = Server::new(incoming, NotifySender::new(), cache.clone());
        (cache, port, tokio::spawn(async move { server.run().await.unwrap() }))
    }

    pub fn change(&self, session: u16, serial: u32, vrps: &[Vrp], last: Option<Vec<(Vrp, Action)>>) {
        let mut held = self.0.lock().unwrap();
        held.state = State::from_parts(session, Serial(serial));
        held.vrps = vrps.to_vec();
        held.last = last;
    }

    /// From now on it says that it has no data.
    pub fn lose_everything(&self) {
        self.0.lock().unwrap().ready = false;
    }
}

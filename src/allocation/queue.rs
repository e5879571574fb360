//! The queue before the executor: bounded, with a lane for each scope.
//!
//! The commands of one lane begin in the order of their arrival; lanes run side by side. Commands that take or free single addresses
//! run together, so that their requests to NetBox can be joined; any other waits for those before it and runs alone. A command whose
//! caller is gone, or past its deadline, is dropped before it begins. One that has begun belongs to its lane, so that a caller who
//! hangs up does not cancel it between two writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::error::Error;
use crate::model::VrfScope;

/// How many commands wait in one lane. One more is refused.
pub(super) const LANE_LENGTH: usize = 256;

/// How many commands of one lane run together: those of the list that NetBox is writing, and the next one.
const TOGETHER: usize = 256;

/// Beside which other commands of its lane a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Beside those that do so too: what they take is told apart by the reservations of the ledger.
    Together,
    /// While no other command of the lane runs.
    Alone,
}

/// A command that waits: does nothing but drop its reply if its caller is gone.
struct Waiting {
    turn: Turn,
    work: Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>,
}

/// Whether the caller of a command still waits for its answer.
pub(super) struct Caller<T> {
    reply: oneshot::Sender<T>,
}

impl<T> Caller<T> {
    /// Whether nobody waits any more.
    pub(super) fn is_gone(&self) -> bool {
        self.reply.is_closed()
    }
}

/// The lanes and their tasks.
#[derive(Default)]
pub(super) struct Queue {
    /// `None` once the queue is closed. The lock is never held across an await.
    lanes: Mutex<Option<BTreeMap<VrfScope, mpsc::Sender<Waiting>>>>,
    tasks: TaskTracker,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { lanes: Mutex::new(Some(BTreeMap::new())), tasks: TaskTracker::new() }
    }

    /// Queues work in a lane and waits for its result. [`Error::Busy`] if the lane is full.
    pub(super) async fn run<T, F>(
        &self,
        scope: VrfScope,
        turn: Turn,
        work: impl FnOnce(Arc<Caller<()>>) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        // The caller waits as long as it holds `_waits`; both ends of the answer are moved into the work.
        let (waits, _waits) = oneshot::channel();
        let caller = Arc::new(Caller { reply: waits });
        let work: Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send> = Box::new(move || {
            async move {
                if caller.is_gone() {
                    return;
                }
                // A caller that is gone by now gets no answer; the ledger has the outcome.
                let _ = answer.send(work(caller).await);
            }
            .boxed()
        });
        self.lane(scope)?.try_send(Waiting { turn, work }).map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::TaskLost)?
    }

    /// Waits for the commands that are queued or running, and refuses new ones.
    pub(super) async fn drain(&self) {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn lane(&self, scope: VrfScope) -> Result<mpsc::Sender<Waiting>, Error> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lanes = lanes.as_mut().ok_or(Error::Busy)?;
        let lane = lanes.entry(scope).or_insert_with(|| {
            let (sender, mut waiting) = mpsc::channel::<Waiting>(LANE_LENGTH);
            self.tasks.spawn(async move {
                let mut running = JoinSet::new();
                while let Some(Waiting { turn, work }) = waiting.recv().await {
                    let beside = match turn {
                        Turn::Together => TOGETHER - 1,
                        Turn::Alone => 0,
                    };
                    while running.try_join_next().is_some() {}
                    while running.len() > beside {
                        running.join_next().await;
                    }
                    // A panic ends one command. Its caller sees that the task was lost, and the ledger settles it.
                    running.spawn(async move { work().await });
                    if turn == Turn::Alone {
                        running.join_next().await;
                    }
                }
                while running.join_next().await.is_some() {}
            });
            sender
        });
        Ok(lane.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_command_whose_caller_is_gone_never_begins() {
        let queue = Arc::new(Queue::new());
        let begun = Arc::new(AtomicUsize::new(0));
        let (open, gate) = oneshot::channel::<()>();
        let first = tokio::spawn({
            let queue = queue.clone();
            async move {
                queue
                    .run(VrfScope::Global, Turn::Alone, |_| async move {
                        let _ = gate.await;
                        Ok(())
                    })
                    .await
            }
        });
        let mut waiting = Vec::new();
        for _ in 0..40 {
            let (queue, begun) = (queue.clone(), begun.clone());
            waiting.push(tokio::spawn(async move {
                queue
                    .run(VrfScope::Global, Turn::Alone, move |_| async move {
                        begun.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    })
                    .await
            }));
        }
        tokio::task::yield_now().await;
        for caller in &waiting {
            caller.abort();
        }
        for caller in waiting {
            assert!(caller.await.is_err_and(|error| error.is_cancelled()));
        }
        open.send(()).unwrap();
        first.await.unwrap().unwrap();
        queue.drain().await;
        assert_eq!(begun.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_full_lane_refuses_and_another_lane_does_not() {
        let queue = Arc::new(Queue::new());
        let (open, gate) = tokio::sync::watch::channel(());
        let blocked = |queue: Arc<Queue>, mut gate: tokio::sync::watch::Receiver<()>| async move {
            queue
                .run(VrfScope::Global, Turn::Alone, move |_| async move {
                    let _ = gate.changed().await;
                    Ok(())
                })
                .await
        };
        // One runs and the others wait.
        let mut callers = vec![tokio::spawn(blocked(queue.clone(), gate.clone()))];
        tokio::task::yield_now().await;
        for _ in 0..LANE_LENGTH {
            callers.push(tokio::spawn(blocked(queue.clone(), gate.clone())));
            tokio::task::yield_now().await;
        }
        assert!(matches!(blocked(queue.clone(), gate.clone()).await, Err(Error::Busy)));
        queue.run(VrfScope::from_number(7), Turn::Alone, |_| async { Ok(()) }).await.unwrap();
        drop(open);
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_panic_loses_one_command_and_no_other() {
        let queue = Queue::new();
        let lost: Result<(), Error> =
            queue.run(VrfScope::Global, Turn::Alone, |_| async { panic!("a defect") }).await;
        assert!(matches!(lost, Err(Error::TaskLost)));
        queue.run(VrfScope::Global, Turn::Alone, |_| async { Ok(()) }).await.unwrap();
    }
}

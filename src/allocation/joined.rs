//! Calls that wait at the same time are made together: one transaction, one request or one read for all of them.
//!
//! A call that finds nobody before it is made at once; nothing waits for company. Those that come while a group is under way wait for
//! its end and are the next group, as many of them as one group takes. A group is a task of its own, so that a caller that is
//! cancelled takes nobody else with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// One call of a group.
pub(super) struct Member<T, R> {
    pub(super) item: T,
    reply: oneshot::Sender<R>,
}

impl<T, R> Member<T, R> {
    /// Gives the caller its answer.
    pub(super) fn answer(self, answer: R) {
        // A caller that is gone gets no answer.
        let _ = self.reply.send(answer);
    }
}

/// The task of a group ended without an answer: it has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupLost;

/// Joins calls with an item each into groups that give an answer to each.
pub(super) struct Joined<T, R> {
    /// The lock is never held across an await.
    waiting: Mutex<VecDeque<Member<T, R>>>,
    /// Held by the group that is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The greatest weight of a group of several.
    most: usize,
    weigh: fn(&T) -> usize,
}

impl<T: Send + 'static, R: Send + 'static> Joined<T, R> {
    /// Groups of at most this many calls.
    pub(super) fn of(most: usize) -> Self {
        Self::weighed(most, |_| 1)
    }

    /// Groups of at most this weight. A call that weighs more is made alone.
    pub(super) fn weighed(most: usize, weigh: fn(&T) -> usize) -> Self {
        Self { waiting: Mutex::default(), turn: Arc::default(), most, weigh }
    }

    /// Makes a call, together with those that wait. `make` carries out a group and answers each of its members.
    pub(super) async fn call<G>(
        &self,
        item: T,
        make: impl Fn(Vec<Member<T, R>>) -> G + Send + Sync,
    ) -> Result<R, GroupLost>
    where
        G: Future<Output = ()> + Send + 'static,
    {
        let (reply, mut answer) = oneshot::channel();
        self.lock().push_back(Member { item, reply });
        loop {
            let turn = tokio::select! {
                biased;
                answer = &mut answer => return answer.map_err(|_| GroupLost),
                turn = self.turn.clone().lock_owned() => turn,
            };
            // Calls that are about to be made by tasks that are ready join this group and not the next.
            tokio::task::yield_now().await;
            let members = self.take();
            if !members.is_empty() {
                let group = make(members);
                tokio::spawn(async move {
                    group.await;
                    drop(turn);
                });
            }
        }
    }

    /// Makes a call as [`Joined::call`] does. `make` takes the items of a group and gives an answer for each, in their order.
    pub(super) async fn call_all<G>(
        &self,
        item: T,
        make: impl Fn(Vec<T>) -> G + Send + Sync,
    ) -> Result<R, GroupLost>
    where
        G: Future<Output = Vec<R>> + Send + 'static,
    {
        let group = |members: Vec<Member<T, R>>| {
            let (items, replies): (Vec<T>, Vec<_>) =
                members.into_iter().map(|member| (member.item, member.reply)).unzip();
            let made = make(items);
            async move {
                for (reply, answer) in replies.into_iter().zip(made.await) {
                    // A caller that is gone gets no answer.
                    let _ = reply.send(answer);
                }
            }
        };
        self.call(item, group).await
    }

    /// The next group, in the order of arrival.
    fn take(&self) -> Vec<Member<T, R>> {
        let mut waiting = self.lock();
        let (mut count, mut weight) = (0, 0);
        for member in &*waiting {
            weight += (self.weigh)(&member.item);
            if count > 0 && weight > self.most {
                break;
            }
            count += 1;
        }
        waiting.drain(..count).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Member<T, R>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    type Sizes = Arc<Mutex<Vec<usize>>>;

    /// Answers each member with its item once the gate gives a permit, and notes the size of each group.
    fn echo(
        sizes: &Sizes,
        gate: &Arc<Semaphore>,
    ) -> impl Fn(Vec<Member<usize, usize>>) -> futures::future::BoxFuture<'static, ()>
    + Send
    + Sync
    + Clone
    + 'static {
        let (sizes, gate) = (sizes.clone(), gate.clone());
        move |members| {
            let (sizes, gate) = (sizes.clone(), gate.clone());
            Box::pin(async move {
                sizes.lock().unwrap().push(members.len());
                gate.acquire().await.unwrap().forget();
                for member in members {
                    let item = member.item;
                    member.answer(item);
                }
            })
        }
    }

    #[tokio::test]
    async fn calls_that_wait_for_a_group_are_the_next_one() {
        let (joined, sizes, gate) = (Arc::new(Joined::of(4)), Sizes::default(), Arc::new(Semaphore::new(0)));
        let calls: Vec<_> = (0..11)
            .map(|item| {
                let (joined, make) = (joined.clone(), echo(&sizes, &gate));
                async move { joined.call(item, make).await }
            })
            .collect();
        let mut calls = calls.into_iter();
        let first = tokio::spawn(calls.next().unwrap());
        while sizes.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = calls.map(tokio::spawn).collect();
        // All of them have begun to wait before the first group ends.
        while joined.lock().len() < 10 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(10);
        assert_eq!(first.await.unwrap(), Ok(0));
        for (item, call) in others.into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), Ok(item + 1));
        }
        assert_eq!(*sizes.lock().unwrap(), [1, 4, 4, 2]);
    }

    #[tokio::test]
    async fn a_heavy_call_is_made_alone_and_in_its_turn() {
        let (sizes, gate) = (Sizes::default(), Arc::new(Semaphore::new(10)));
        let joined = Arc::new(Joined::weighed(10, |item: &usize| *item));
        let calls = [3, 7, 50, 1, 9, 1].map(|item| {
            let (joined, make) = (joined.clone(), echo(&sizes, &gate));
            async move { joined.call(item, make).await }
        });
        assert_eq!(futures::future::join_all(calls).await, [3, 7, 50, 1, 9, 1].map(Ok));
        assert_eq!(*sizes.lock().unwrap(), [2, 1, 2, 1]);
    }

    #[tokio::test]
    async fn a_cancelled_caller_takes_nobody_with_it_and_a_panic_only_its_group() {
        let (joined, sizes, gate) = (Arc::new(Joined::of(9)), Sizes::default(), Arc::new(Semaphore::new(0)));
        let call = |item| {
            let (joined, make) = (joined.clone(), echo(&sizes, &gate));
            tokio::spawn(async move { joined.call(item, make).await })
        };
        let leads = call(1);
        let follows = call(2);
        while sizes.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        leads.abort();
        assert!(leads.await.unwrap_err().is_cancelled());
        gate.add_permits(9);
        assert_eq!(follows.await.unwrap(), Ok(2));
        assert_eq!(joined.call(3, |_| async { panic!("a defect") }).await, Err(GroupLost));
        assert_eq!(call(4).await.unwrap(), Ok(4));
    }
}

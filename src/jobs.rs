//! The scheduler of every timed job.
//!
//! A job has a name, an interval and work. The work takes no input and is idempotent: it runs on its timer and whenever it
//! is triggered, never twice at the same time, and no longer than its deadline. A run that returns an error, exceeds its
//! deadline or panics has failed: the failure is counted, logged and shown by the job's state, and the job runs again on
//! its timer. So one faulty run never ends a job for good.
//!
//! Where several servers share a ledger, some jobs run on one of them for all: on the one that leads ([`Leadership`]). The others
//! wait until they lead, and then run these jobs at once.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use metrics::{counter, gauge};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::model::Failure;

/// The work of a job, called once for each run. An error fails that run only.
pub type Work = Arc<dyn Fn() -> BoxFuture<'static, Result<(), JobError>> + Send + Sync>;

/// Why a run of a job failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobError {
    /// What status shows.
    pub failure: Failure,
    /// What the log says besides: texts of libraries, which status does not show. Empty if there is nothing to add.
    pub cause: String,
}

impl JobError {
    fn new(reason: &'static str, message: String, cause: String) -> Self {
        Self { failure: Failure::new(reason, message), cause }
    }
}

/// The state of a job, as status shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobState {
    /// Time between two runs.
    pub interval: Duration,
    /// Whether a run is under way.
    pub running: bool,
    /// Start of the latest run, finished or not.
    pub last_start: Option<Timestamp>,
    /// Duration of the latest finished run.
    pub last_took: Option<Duration>,
    /// End of the latest run that succeeded.
    pub last_success: Option<Timestamp>,
    /// Why the latest finished run failed; `None` if it succeeded.
    pub last_failure: Option<Failure>,
    /// Start of the next run; `None` while one is under way.
    pub next_run: Option<Timestamp>,
    /// Number of finished runs since the start of the server.
    pub finished: u64,
}

/// How often a job runs, and how long one run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Time between two runs.
    pub every: Duration,
    /// A run that takes longer is cancelled and has failed.
    pub deadline: Duration,
    /// What happens to a run that is under way when the scheduler stops.
    pub at_stop: AtStop,
}

/// What happens to a run that is under way when the scheduler stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtStop {
    /// The scheduler waits until the run has finished.
    Wait,
    /// The run is cancelled: right for long runs that lose nothing by it.
    Cancel,
}

/// The deadline of jobs that set none: longer than a full pass over a NetBox with millions of records.
const DEFAULT_DEADLINE: Duration = Duration::from_hours(2);

impl From<Duration> for Timing {
    fn from(every: Duration) -> Self {
        Self { every, deadline: DEFAULT_DEADLINE, at_stop: AtStop::Wait }
    }
}

/// Whether this server leads: only then it runs the jobs that one server runs for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    Held,
    /// Another server leads, or nobody does.
    Elsewhere,
}

/// Where a job runs if several servers share a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    Everywhere,
    Leader,
}

struct Job {
    timing: Timing,
    trigger: Notify,
    state: watch::Sender<JobState>,
}

/// Runs jobs until it is stopped. Clones share the same jobs.
#[derive(Clone)]
pub struct Scheduler {
    /// Jobs by name. Only [`Scheduler::add`] writes; the lock is never held across an await.
    jobs: Arc<Mutex<BTreeMap<Arc<str>, Arc<Job>>>>,
    /// Names that jobs had in an earlier version, each with the present name.
    renamed: &'static [(&'static str, &'static str)],
    /// One task a job; [`Scheduler::stop`] waits for all of them.
    tasks: TaskTracker,
    stop: CancellationToken,
    leadership: watch::Receiver<Leadership>,
    clock: Arc<dyn Clock>,
}

impl Scheduler {
    /// A scheduler without jobs. The clock dates the states; intervals and deadlines follow tokio's time. `renamed` lists names
    /// of an earlier version with the present ones: [`Scheduler::trigger`] accepts both.
    pub fn new(clock: Arc<dyn Clock>, renamed: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            jobs: Arc::default(),
            renamed,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            // The sender is gone, so this server leads for ever.
            leadership: watch::channel(Leadership::Held).1,
            clock,
        }
    }

    /// The same scheduler, for a server that leads only while this says so.
    #[must_use]
    pub fn led_by(self, leadership: watch::Receiver<Leadership>) -> Self {
        Self { leadership, ..self }
    }

    /// Adds a job that every server runs for itself, and starts its first run at once.
    pub fn add(&self, name: impl Into<Arc<str>>, timing: impl Into<Timing>, work: Work) {
        self.add_at(Site::Everywhere, name.into(), timing.into(), work);
    }

    /// Adds a job that one server runs for all, and starts its first run as soon as this server leads. A run is cancelled when it
    /// leads no longer.
    pub fn add_for_all(&self, name: impl Into<Arc<str>>, timing: impl Into<Timing>, work: Work) {
        self.add_at(Site::Leader, name.into(), timing.into(), work);
    }

    fn add_at(&self, site: Site, name: Arc<str>, timing: Timing, work: Work) {
        let interval = timing.every;
        let (state, _) = watch::channel(JobState { interval, ..JobState::default() });
        let job = Arc::new(Job { timing, trigger: Notify::new(), state });
        self.locked().insert(name.clone(), job.clone());
        let (stop, clock) = (self.stop.clone(), self.clock.clone());
        let mut leadership = self.leadership.clone();
        self.tasks.spawn(async move {
            let mut wait = Duration::ZERO;
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                    () = job.trigger.notified() => {}
                }
                if site == Site::Leader && *leadership.borrow_and_update() == Leadership::Elsewhere {
                    // Whoever waits for a run waits no longer: there is none here.
                    job.state.send_modify(|state| {
                        state.finished += 1;
                        state.next_run = None;
                    });
                    wait = Duration::ZERO;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        _ = leadership.wait_for(|now| *now == Leadership::Held) => {}
                        () = job.trigger.notified() => {}
                    }
                    continue;
                }
                let deposed = async {
                    let lost = leadership.wait_for(|now| *now == Leadership::Elsewhere).await.is_ok();
                    // The sender is gone: this server leads for ever.
                    if site == Site::Everywhere || !lost {
                        std::future::pending::<()>().await;
                    }
                };
                let running = async {
                    tokio::select! {
                        () = run(&name, &job, &work, clock.as_ref()) => {}
                        () = deposed => {
                            tracing::warn!(job = &*name, "a run was cancelled: another server leads now");
                            job.state.send_modify(|state| {
                                state.running = false;
                                state.finished += 1;
                            });
                        }
                    }
                };
                match job.timing.at_stop {
                    AtStop::Wait => running.await,
                    AtStop::Cancel => tokio::select! {
                        () = stop.cancelled() => return,
                        () = running => {}
                    },
                }
                wait = jittered(interval);
                job.state.send_modify(|state| state.next_run = clock.now().checked_add(wait).ok());
            }
        });
    }

    /// The state of every job, ordered by name.
    pub fn states(&self) -> Vec<(Arc<str>, JobState)> {
        self.locked().iter().map(|(name, job)| (name.clone(), job.state.borrow().clone())).collect()
    }

    /// Starts a run of the named job; with `wait`, returns once a run that began after this call has finished. `None` if no
    /// job has this name.
    pub async fn trigger(&self, name: &str, wait: bool) -> Option<JobState> {
        let name = self.renamed.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| *new);
        let job = self.locked().get(name)?.clone();
        let mut watched = job.state.subscribe();
        // A run that is already under way may have begun before the change that the caller wants it to see, so the one
        // after it counts.
        let before = watched.borrow_and_update().clone();
        let target = before.finished + if before.running { 2 } else { 1 };
        job.trigger.notify_one();
        if wait {
            tokio::select! {
                _ = watched.wait_for(|state| state.finished >= target) => {}
                () = self.stop.cancelled() => {}
            }
        }
        Some(job.state.borrow().clone())
    }

    /// Starts no new run, and waits for those under way as their [`AtStop`] says.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(name: &str, job: &Job, work: &Work, clock: &dyn Clock) {
    job.state.send_modify(|state| {
        state.running = true;
        state.last_start = Some(clock.now());
        state.next_run = None;
    });
    let started = Instant::now();
    let outcome = attempt(job, work).await;
    let job_name = name.to_owned();
    counter!("leasehold_job_runs_total", "job" => job_name.clone(), "outcome" => outcome.label())
        .increment(1);
    if matches!(outcome, RunOutcome::Done) {
        gauge!("leasehold_job_last_success_seconds", "job" => job_name)
            .set(clock.now().as_duration().as_secs_f64());
    }
    let failed_before = job.state.borrow().last_failure.is_some();
    match &outcome {
        // A panic is a defect of ours, so none of them is hidden behind the one before.
        RunOutcome::Panicked(error) => {
            tracing::error!(job = name, error = %error.failure, cause = error.cause, "a job panicked");
        }
        RunOutcome::Failed(error) if failed_before => {
            tracing::debug!(job = name, error = %error.failure, cause = error.cause, "a job failed again");
        }
        RunOutcome::Failed(error) => {
            tracing::warn!(job = name, error = %error.failure, cause = error.cause, "a job failed");
        }
        RunOutcome::Done if failed_before => tracing::info!(job = name, "a job works again"),
        RunOutcome::Done => {}
    }
    job.state.send_modify(|state| {
        state.running = false;
        state.last_took = Some(started.elapsed());
        state.finished += 1;
        match outcome {
            RunOutcome::Done => {
                state.last_success = Some(clock.now());
                state.last_failure = None;
            }
            RunOutcome::Failed(error) | RunOutcome::Panicked(error) => {
                state.last_failure = Some(error.failure.at(clock.now()));
            }
        }
    });
}

enum RunOutcome {
    Done,
    Failed(JobError),
    Panicked(JobError),
}

impl RunOutcome {
    /// The value of the label `outcome` of `leasehold_job_runs_total`.
    fn label(&self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Failed(_) => "error",
            Self::Panicked(_) => "panic",
        }
    }
}

/// Runs the work once, within its deadline. A panic unwinds to here and no further.
async fn attempt(job: &Job, work: &Work) -> RunOutcome {
    // The work is called again after a panic. That is sound because what it shares with others stands behind tokio's
    // locks or behind locks that recover from poisoning, and is replaced whole.
    let guarded = AssertUnwindSafe(async { work().await }).catch_unwind();
    match tokio::time::timeout(job.timing.deadline, guarded).await {
        Ok(Ok(Ok(()))) => RunOutcome::Done,
        Ok(Ok(Err(error))) => RunOutcome::Failed(error),
        Ok(Err(panic)) => {
            let message = "a defect of the server ended the run; its log has the details".to_owned();
            RunOutcome::Panicked(JobError::new("INTERNAL", message, panic_message(panic.as_ref()).to_owned()))
        }
        Err(_) => {
            let deadline = job.timing.deadline.as_secs();
            let message = format!("the run took longer than its deadline of {deadline} s and was cancelled");
            RunOutcome::Failed(JobError::new("JOB_DEADLINE_EXCEEDED", message, String::new()))
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The interval plus up to a tenth, so that the jobs of several replicas spread out.
fn jittered(interval: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_u128() % 1000;
    interval + interval.mul_f64(f64::from(u16::try_from(random).unwrap_or(0)) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use jiff::tz::TimeZone;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn scheduler() -> Scheduler {
        Scheduler::new(Arc::new(SystemClock::new(TimeZone::UTC)), &[("test.old", "test.job")])
    }

    #[tokio::test]
    async fn a_triggered_job_runs_once_more_and_shows_its_error() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let scheduler = scheduler();
        scheduler.add(
            "test.job",
            Duration::from_hours(1),
            Arc::new(move || {
                let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
                Box::pin(
                    async move { Err(JobError::new("TEST", format!("run {run}"), "the cause".to_owned())) },
                )
            }),
        );
        let state = scheduler.trigger("test.job", true).await.unwrap();
        let failure = state.last_failure.clone().unwrap();
        assert_eq!(failure.message, format!("run {}", runs.load(Ordering::SeqCst)));
        assert_eq!((failure.reason, failure.time.is_some()), ("TEST", true));
        assert!(scheduler.trigger("no.such.job", true).await.is_none());
        assert!(scheduler.trigger("test.old", true).await.unwrap().finished > state.finished);
        assert_eq!(state.last_success, None);
        scheduler.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_for_all_runs_on_the_server_that_leads_and_on_no_other() {
        let (tell, leadership) = watch::channel(Leadership::Elsewhere);
        let scheduler = scheduler().led_by(leadership);
        let (begun, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (counted, done) = (begun.clone(), ended.clone());
        scheduler.add_for_all(
            "test.for-all",
            Duration::from_mins(1),
            Arc::new(move || {
                let (counted, done) = (counted.clone(), done.clone());
                Box::pin(async move {
                    counted.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    done.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                })
            }),
        );
        let runs = || (begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(runs(), (0, 0));
        // Somebody who waits for a run is told that there is none.
        let state = scheduler.trigger("test.for-all", true).await.unwrap();
        assert_eq!((runs(), state.last_success), ((0, 0), None));
        // Taken over at once, not after the interval.
        tell.send_replace(Leadership::Held);
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(runs(), (1, 1));
        // A run that is under way ends when another server leads.
        let triggered = scheduler.clone();
        tokio::spawn(async move { triggered.trigger("test.for-all", true).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(runs(), (2, 1));
        tell.send_replace(Leadership::Elsewhere);
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(runs(), (2, 1));
        scheduler.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_past_its_deadline_is_cancelled_and_has_failed() {
        let scheduler = scheduler();
        let timing = Timing {
            deadline: Duration::from_secs(30),
            at_stop: AtStop::Cancel,
            ..Timing::from(Duration::from_hours(1))
        };
        scheduler.add("test.hang", timing, Arc::new(|| Box::pin(std::future::pending())));
        let state = scheduler.trigger("test.hang", true).await.unwrap();
        let failure = state.last_failure.unwrap();
        assert_eq!(failure.reason, "JOB_DEADLINE_EXCEEDED");
        assert!(failure.message.contains("30 s"), "{failure}");
        // The next run is under way when the scheduler stops, and is cancelled.
        let hanging = scheduler.clone();
        tokio::spawn(async move { hanging.trigger("test.hang", true).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let stopping = tokio::time::Instant::now();
        scheduler.stop().await;
        assert!(stopping.elapsed() < Duration::from_secs(29), "the stop waited for the deadline of the run");
    }

    #[tokio::test]
    async fn a_job_that_panics_has_failed_and_runs_again() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let scheduler = scheduler();
        let work: Work = Arc::new(move || {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            // The first panics before its future exists, the second while it is polled.
            assert!(run != 0, "run 0 panics at once");
            Box::pin(async move {
                assert!(run != 1, "run {run} panics");
                Ok(())
            })
        });
        scheduler.add("test.panic", Duration::from_hours(1), work);
        let mut state = scheduler.states()[0].1.clone();
        let mut failures = Vec::new();
        while state.last_success.is_none() {
            state = scheduler.trigger("test.panic", true).await.unwrap();
            failures.extend(state.last_failure.clone());
        }
        assert!(runs.load(Ordering::SeqCst) >= 3);
        assert!(failures.iter().any(|failure| failure.reason == "INTERNAL"), "{failures:?}");
        // What the panic said is for the log.
        assert!(failures.iter().all(|failure| !failure.message.contains("panics")), "{failures:?}");
        scheduler.stop().await;
    }
}

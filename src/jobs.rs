//! The one scheduler that every timed job uses.
//!
//! A job has a name, an interval and something to do that takes no input and may be done twice: it runs on its timer and
//! whenever it is triggered, never twice at once, and no longer than its deadline. What became of the last run can be asked
//! at any time, and stands in the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::Timestamp;
use metrics::{counter, gauge};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a job does. An error is told and logged; the job runs again on its timer all the same.
pub type Work = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What is known of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobState {
    /// Time between two runs.
    pub interval: Duration,
    /// Whether it runs now.
    pub running: bool,
    /// When it last started.
    pub last_start: Option<Timestamp>,
    /// How long the last finished run took.
    pub last_took: Option<Duration>,
    /// When a run last ended well.
    pub last_success: Option<Timestamp>,
    /// The last error, empty if the last run went well.
    pub last_error: String,
    /// When it runs next.
    pub next_run: Option<Timestamp>,
    /// How many runs have finished.
    pub finished: u64,
}

/// When a job runs and how long it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Time between two runs.
    pub every: Duration,
    /// A run that has not ended by then is stopped and has failed.
    pub deadline: Duration,
    /// Whether a run is left where it is when the server stops: for long ones that lose nothing by it. Others are waited for.
    pub cut_at_stop: bool,
}

/// Longer than the longest full pass over a NetBox of millions: for jobs that say nothing of their own.
const DEADLINE: Duration = Duration::from_hours(2);

impl From<Duration> for Timing {
    fn from(every: Duration) -> Self {
        Self { every, deadline: DEADLINE, cut_at_stop: false }
    }
}

struct Job {
    timing: Timing,
    trigger: Notify,
    state: watch::Sender<JobState>,
}

/// Runs jobs until it is stopped.
#[derive(Clone)]
pub struct Scheduler {
    jobs: Arc<Mutex<BTreeMap<Arc<str>, Arc<Job>>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self { jobs: Arc::default(), tasks: TaskTracker::new(), stop: CancellationToken::new() }
    }
}

impl Scheduler {
    /// Adds a job and starts it: its first run is at once.
    pub fn add(&self, name: impl Into<Arc<str>>, timing: impl Into<Timing>, work: Work) {
        let name = name.into();
        let timing = timing.into();
        let interval = timing.every;
        let (state, _) = watch::channel(JobState { interval, ..JobState::default() });
        let job = Arc::new(Job { timing, trigger: Notify::new(), state });
        self.locked().insert(name.clone(), job.clone());
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let mut wait = Duration::ZERO;
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                    () = job.trigger.notified() => {}
                }
                if job.timing.cut_at_stop {
                    let running = run(&name, &job, &work);
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = running => {}
                    }
                } else {
                    run(&name, &job, &work).await;
                }
                wait = jittered(interval);
                job.state.send_modify(|state| state.next_run = Timestamp::now().checked_add(wait).ok());
            }
        });
    }

    /// Every job and what is known of it, by name.
    pub fn states(&self) -> Vec<(Arc<str>, JobState)> {
        self.locked().iter().map(|(name, job)| (name.clone(), job.state.borrow().clone())).collect()
    }

    /// Runs a job now; if `wait` is set, returns when a run that began after this call has ended. `None` if there is no
    /// such job.
    pub async fn trigger(&self, name: &str, wait: bool) -> Option<JobState> {
        let job = self.locked().get(name)?.clone();
        let mut watched = job.state.subscribe();
        // A run that is under way may have begun too early to see what the caller wants seen: then it takes one more.
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

    /// Stops: no new runs, and waits for those under way.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(name: &str, job: &Job, work: &Work) {
    job.state.send_modify(|state| {
        state.running = true;
        state.last_start = Some(Timestamp::now());
        state.next_run = None;
    });
    let started = Instant::now();
    let outcome = match tokio::time::timeout(job.timing.deadline, work()).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("it did not end within {} s and was stopped", job.timing.deadline.as_secs())),
    };
    let (job_name, well) = (name.to_owned(), outcome.is_ok());
    counter!("leasehold_job_runs_total", "job" => job_name.clone(), "outcome" => if well { "ok" } else { "error" })
        .increment(1);
    if well {
        gauge!("leasehold_job_last_success_seconds", "job" => job_name)
            .set(Timestamp::now().as_duration().as_secs_f64());
    }
    let failed_before = !job.state.borrow().last_error.is_empty();
    match &outcome {
        Err(error) if !failed_before => tracing::warn!(job = name, %error, "a job failed"),
        Err(error) => tracing::debug!(job = name, %error, "a job failed again"),
        Ok(()) if failed_before => tracing::info!(job = name, "a job works again"),
        Ok(()) => {}
    }
    job.state.send_modify(|state| {
        state.running = false;
        state.last_took = Some(started.elapsed());
        if well {
            state.last_success = Some(Timestamp::now());
        }
        state.last_error = outcome.err().unwrap_or_default();
        state.finished += 1;
    });
}

/// Up to a tenth more, so that replicas do not march in step.
fn jittered(interval: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_u128() % 1000;
    interval + interval.mul_f64(f64::from(u16::try_from(random).unwrap_or(0)) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_triggered_job_runs_once_more_and_tells_its_error() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let scheduler = Scheduler::default();
        scheduler.add(
            "test.job",
            Duration::from_hours(1),
            Arc::new(move || {
                let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
                Box::pin(async move { Err(format!("run {run}")) })
            }),
        );
        let state = scheduler.trigger("test.job", true).await.unwrap();
        assert_eq!(state.last_error, format!("run {}", runs.load(Ordering::SeqCst)));
        assert!(scheduler.trigger("no.such.job", true).await.is_none());
        assert_eq!(state.last_success, None);
        scheduler.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_does_not_end_is_stopped_and_has_failed() {
        let scheduler = Scheduler::default();
        let timing = Timing {
            deadline: Duration::from_secs(30),
            cut_at_stop: true,
            ..Timing::from(Duration::from_hours(1))
        };
        scheduler.add("test.hang", timing, Arc::new(|| Box::pin(std::future::pending())));
        let state = scheduler.trigger("test.hang", true).await.unwrap();
        assert!(state.last_error.contains("30 s"), "{}", state.last_error);
        // The next one is under way when the scheduler stops, and is not waited for.
        let hanging = scheduler.clone();
        tokio::spawn(async move { hanging.trigger("test.hang", true).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        scheduler.stop().await;
    }
}

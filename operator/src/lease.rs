//! One operator leads: who holds the Lease (`coordination.k8s.io/v1`). Its name is the predecessor's, so that the two
//! never work at the same time.
//!
//! Clocks of machines differ: whether a Lease has run out is judged by how long this process has not seen it change, never
//! by the times in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::watch;

use crate::metrics::{Metrics, Verb};
use crate::write::FIELD_MANAGER;

/// Name of the Lease.
pub(crate) const LEASE: &str = "5aaf67fd.fms.io";

/// Whether this process holds the Lease now. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    begun: Instant,
    /// Milliseconds since `begun` until which it is held; 0: it is not.
    until: Arc<AtomicU64>,
}

impl Hold {
    fn new() -> Self {
        Self { begun: Instant::now(), until: Arc::new(AtomicU64::new(0)) }
    }

    /// Whether it is held.
    pub(crate) fn is_held(&self) -> bool {
        u128::from(self.until.load(Ordering::Acquire)) > self.begun.elapsed().as_millis()
    }

    fn extend(&self, from: Instant, by: Duration) {
        let until = from.saturating_duration_since(self.begun) + by;
        self.until.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    fn end(&self) {
        self.until.store(0, Ordering::Release);
    }
}

/// Who asks for the Lease, and how long it is good for.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) identity: String,
    pub(crate) seconds: u16,
}

/// Asks for the Lease for as long as the process lives.
pub(crate) struct Election {
    api: Api<Lease>,
    candidate: Candidate,
    hold: Hold,
    leading: watch::Sender<bool>,
    metrics: Metrics,
    /// What was seen last of another holder, and since when it has been so.
    other: Option<(String, Option<MicroTime>, Instant)>,
}

/// Why the election ended.
#[derive(Debug, thiserror::Error)]
#[error("the Lease was lost: another operator may lead")]
pub(crate) struct Lost;

impl Election {
    pub(crate) fn new(api: Api<Lease>, candidate: Candidate, metrics: Metrics) -> Self {
        Self { api, candidate, hold: Hold::new(), leading: watch::Sender::new(false), metrics, other: None }
    }

    pub(crate) fn hold(&self) -> Hold {
        self.hold.clone()
    }

    pub(crate) fn leading(&self) -> watch::Receiver<bool> {
        self.leading.subscribe()
    }

    /// Asks, renews; ends when the Lease was held and is no longer: a process that has led never leads again, so nothing
    /// that it planned then is written later.
    pub(crate) async fn run(mut self) -> Lost {
        let duration = Duration::from_secs(self.candidate.seconds.into());
        let mut has_led = false;
        loop {
            let asked = Instant::now();
            match tokio::time::timeout(duration / 3, self.ask()).await {
                Ok(Ok(true)) => {
                    // Others wait for the whole time from when they saw the renewal, which is after we asked.
                    self.hold.extend(asked, duration * 2 / 3);
                    if !has_led {
                        tracing::info!(identity = self.candidate.identity, "this operator leads");
                        (has_led, _) = (true, self.leading.send_replace(true));
                        self.metrics.leading(true);
                    }
                }
                Ok(Ok(false)) if has_led => break,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the Lease cannot be asked for"),
                Err(_) => tracing::warn!("the Lease cannot be asked for: no answer"),
            }
            if has_led && !self.hold.is_held() {
                break;
            }
            tokio::time::sleep(duration / if has_led { 6 } else { 10 }).await;
        }
        self.hold.end();
        self.leading.send_replace(false);
        self.metrics.leading(false);
        Lost
    }

    /// Asks once; whether the Lease is ours now.
    async fn ask(&mut self) -> Result<bool, kube::Error> {
        let now = || Some(MicroTime(Timestamp::now()));
        let parameters =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let spec = LeaseSpec {
            holder_identity: Some(self.candidate.identity.clone()),
            lease_duration_seconds: Some(self.candidate.seconds.into()),
            acquire_time: now(),
            renew_time: now(),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        };
        let Some(mut lease) = self.api.get_opt(LEASE).await? else {
            let metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() };
            let begun = Instant::now();
            let made = self.api.create(&parameters, &Lease { metadata, spec: Some(spec) }).await;
            self.metrics.request(Verb::Create, "Lease", made.is_ok(), begun.elapsed());
            return won(made);
        };
        let former = lease.spec.clone().unwrap_or_default();
        let holder = former.holder_identity.clone().unwrap_or_default();
        let ours = holder == self.candidate.identity;
        if !ours && !holder.is_empty() && !self.has_run_out(&holder, &former) {
            return Ok(false);
        }
        let transitions = former.lease_transitions.unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            acquire_time: if ours { former.acquire_time } else { now() },
            lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
            ..spec
        });
        let begun = Instant::now();
        // With the resourceVersion of what was read: of two who ask, one wins.
        let replaced = self.api.replace(LEASE, &parameters, &lease).await;
        self.metrics.request(Verb::Update, "Lease", replaced.is_ok(), begun.elapsed());
        won(replaced)
    }

    fn has_run_out(&mut self, holder: &str, former: &LeaseSpec) -> bool {
        let good =
            Duration::from_secs(u64::try_from(former.lease_duration_seconds.unwrap_or(30)).unwrap_or(30));
        match &self.other {
            Some((known, renewed, since)) if known == holder && *renewed == former.renew_time => {
                since.elapsed() > good
            }
            _ => {
                self.other = Some((holder.to_owned(), former.renew_time.clone(), Instant::now()));
                false
            }
        }
    }
}

fn won(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives the Lease away, so that the next one need not wait until it has run out.
pub(crate) async fn release(api: &Api<Lease>, identity: &str) {
    let Ok(Some(mut lease)) = api.get_opt(LEASE).await else { return };
    let Some(spec) = &mut lease.spec else { return };
    if spec.holder_identity.as_deref() == Some(identity) {
        spec.holder_identity = Some(String::new());
        if let Err(error) = api.replace(LEASE, &PostParams::default(), &lease).await {
            tracing::debug!(%error, "the Lease stays until it has run out");
        }
    }
}

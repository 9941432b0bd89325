//! One check at a time in a namespace: two would spoil each other's figures, and one that starts takes away what a killed
//! one left.
//!
//! Clocks of machines differ: a Lease has run out when it was not seen to change for its time.

use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::{from_value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::output::progress;
use crate::pods::LABEL;

/// Its name.
const NAME: &str = "multi-nic-concheck";

/// The Lease that this run holds.
pub(crate) struct Held {
    api: Api<Lease>,
    run: String,
    term: Duration,
    renewing: JoinHandle<()>,
}

/// Takes the Lease, which is good for `term` without being renewed, waiting until one that nobody renews has run out. `lost` is called when it is another's later.
///
/// # Errors
/// When another check is under way.
pub(crate) async fn take(
    client: &Client,
    namespace: &str,
    run: &str,
    term: Duration,
    lost: impl FnOnce() + Send + 'static,
) -> anyhow::Result<Held> {
    let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let lease = acquire(&api, run, term).await?;
    let renewing = tokio::spawn(renew(api.clone(), lease, term, lost));
    Ok(Held { api, run: run.to_owned(), term, renewing })
}

async fn acquire(api: &Api<Lease>, run: &str, term: Duration) -> anyhow::Result<Lease> {
    let wanted: Lease = from_value(json!({
        "metadata": {"name": NAME, "labels": {LABEL: "lease"}},
        "spec": {"holderIdentity": run, "leaseDurationSeconds": term.as_secs(), "renewTime": MicroTime(Timestamp::now())},
    }))?;
    let mut first: Option<(Lease, Instant)> = None;
    loop {
        let there = api.get_opt(NAME).await.context("get the Lease of checks")?;
        match (there, &first) {
            (None, _) => match api.create(&PostParams::default(), &wanted).await {
                Ok(lease) => return Ok(lease),
                Err(error) if is(&error, 409) => {}
                Err(error) => return Err(error).context("create the Lease of checks"),
            },
            (Some(there), None) => {
                progress(&format!("a check {} was here: waiting whether it still is", holder(&there)));
                first = Some((there, Instant::now()));
            }
            (Some(there), Some((before, _))) if there.resource_version() != before.resource_version() => {
                bail!(
                    "another check, {}, is under way in this namespace: wait for its end, or end it (`kubectl delete \
                     job,pod,lease --selector multi-nic-concheck`)",
                    holder(&there)
                );
            }
            (Some(there), Some((_, since))) if since.elapsed() > term => {
                let mut ours = wanted.clone();
                ours.metadata.resource_version = there.resource_version();
                match api.replace(NAME, &PostParams::default(), &ours).await {
                    Ok(lease) => return Ok(lease),
                    Err(error) if is(&error, 409) || is(&error, 404) => {}
                    Err(error) => return Err(error).context("take over the Lease of checks"),
                }
            }
            _ => {}
        }
        sleep(term / 30).await;
    }
}

fn is(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

fn holder(lease: &Lease) -> String {
    lease
        .spec
        .as_ref()
        .and_then(|spec| spec.holder_identity.clone())
        .unwrap_or_else(|| "of nobody".to_owned())
}

async fn renew(api: Api<Lease>, mut lease: Lease, term: Duration, lost: impl FnOnce()) {
    let mut good = Instant::now();
    while good.elapsed() < term {
        sleep(term / 3).await;
        if let Some(spec) = &mut lease.spec {
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        let asked = Instant::now();
        match timeout(term / 3, api.replace(NAME, &PostParams::default(), &lease)).await {
            Ok(Ok(renewed)) => (lease, good) = (renewed, asked),
            Ok(Err(error)) if is(&error, 409) || is(&error, 404) => break,
            // The server may be back before the term is over.
            Ok(Err(_)) | Err(_) => {}
        }
    }
    lost();
}

impl Held {
    /// Gives it back; it must not be another's by now.
    pub(crate) async fn release(self) {
        self.renewing.abort();
        let _ = self.renewing.await;
        let Ok(Some(lease)) = self.api.get_opt(NAME).await else { return };
        if holder(&lease) != self.run {
            return;
        }
        let ours = Preconditions { uid: lease.uid(), resource_version: lease.resource_version() };
        let ours = DeleteParams { preconditions: Some(ours), ..DeleteParams::default() };
        if let Err(error) = self.api.delete(NAME, &ours).await {
            progress(&format!("the Lease of checks stays for {} s: {error}", self.term.as_secs()));
        }
    }
}

//! What the kubelet asks a pool (`v1beta1.DevicePlugin`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::unfold;
use openapi::{EventCause, EventType, FieldChange};
use sriov::Roots;
use tokio::sync::{Notify, watch};
use tonic::{Request, Response, Status};

use super::allocation::{Offer, info_files};
use super::info_file;
use super::pool::{Device, List};
use super::preferred::preferred;
use crate::config::DevicePool;
use crate::inventory::diff::Difference;
use crate::inventory::events::SharedLog;
use crate::inventory::published::Newest;
use crate::kubelet_api::v1beta1::device_plugin_server::DevicePlugin;
use crate::kubelet_api::v1beta1::{
    self as api, AllocateRequest, AllocateResponse, ContainerPreferredAllocationResponse,
    DevicePluginOptions, Empty, ListAndWatchResponse, NumaNode, PreStartContainerRequest,
    PreStartContainerResponse, PreferredAllocationRequest, PreferredAllocationResponse, TopologyInfo,
};
use crate::metrics::{Given, Metrics};

/// How long the kubelet may take to show in its pod resources what it has given out.
const GRANT: Duration = Duration::from_secs(60);

/// What a pool is served with.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) config: Arc<DevicePool>,
    /// `prefix/name`.
    pub(crate) resource: String,
    /// The devices as the kubelet is told of them; absent until all is known.
    pub(crate) list: watch::Sender<Option<List>>,
    pub(crate) newest: Newest,
    pub(crate) roots: Roots,
    /// Folder of the devices' files.
    pub(crate) info_dir: PathBuf,
    /// Devices that were given out, and when.
    pub(crate) granted: Mutex<BTreeMap<String, Instant>>,
    /// Something was given out.
    pub(crate) gave: Arc<Notify>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: SharedLog,
}

impl Served {
    /// What every pool begins with.
    pub(crate) fn options() -> DevicePluginOptions {
        DevicePluginOptions { pre_start_required: false, get_preferred_allocation_available: true }
    }

    /// Devices that were given out a moment ago.
    pub(crate) fn granted(&self, now: Instant) -> BTreeSet<String> {
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        granted.retain(|_, since| now.saturating_duration_since(*since) < GRANT);
        granted.keys().cloned().collect()
    }

    /// Tells people what is different about the pool.
    pub(crate) fn publish(&self, kind: EventType, changes: Vec<FieldChange>) {
        let generation = self.newest.borrow().as_ref().map_or(0, |published| published.generation);
        let pool = Some(self.resource.clone());
        let difference = Difference { pool, changes, ..Difference::new(kind) };
        self.log.publish(vec![difference], EventCause::Agent, generation);
    }

    fn allocate(&self, request: &AllocateRequest) -> Result<AllocateResponse, Status> {
        let list = self.list.borrow().clone().unwrap_or_default();
        let published = self.newest.borrow().clone();
        let published = published.ok_or_else(|| Status::unavailable("the machine has not been read yet"))?;
        let offer = Offer {
            pool: &self.config,
            resource: &self.resource,
            devices: &list,
            inventory: &published.inventory,
            roots: &self.roots,
        };
        let mut answer = AllocateResponse::default();
        let mut files = BTreeMap::new();
        for container in &request.container_requests {
            let given = offer.answer(&container.devices_ids);
            answer
                .container_responses
                .push(given.map_err(|error| Status::failed_precondition(error.to_string()))?);
            files.extend(info_files(&offer, &container.devices_ids));
        }
        // Multus asks for them while the pod is being made; without them it goes on, only less is known.
        for (name, content) in files {
            if let Err(error) = info_file::write(&self.info_dir, &name, &content) {
                tracing::warn!(%error, folder = %self.info_dir.display(), name, "a device's file cannot be written");
            }
        }
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        for id in request.container_requests.iter().flat_map(|container| &container.devices_ids) {
            granted.insert(id.clone(), Instant::now());
        }
        drop(granted);
        self.gave.notify_one();
        Ok(answer)
    }
}

/// One list that the kubelet is watching; it ends when this is dropped.
struct Watched(Service);

impl Watched {
    fn new(service: Service) -> Self {
        service.streams.send_modify(|count| *count += 1);
        Self(service)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.streams.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The service of one pool.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) served: Arc<Served>,
    /// True when the pool is served no more: lists end then.
    pub(crate) stop: watch::Receiver<bool>,
    /// Lists that the kubelet is watching.
    pub(crate) streams: watch::Sender<u32>,
}

#[tonic::async_trait]
impl DevicePlugin for Service {
    async fn get_device_plugin_options(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<DevicePluginOptions>, Status> {
        Ok(Response::new(Served::options()))
    }

    type ListAndWatchStream = Pin<Box<dyn Stream<Item = Result<ListAndWatchResponse, Status>> + Send>>;

    async fn list_and_watch(&self, _: Request<Empty>) -> Result<Response<Self::ListAndWatchStream>, Status> {
        let (list, stop) = (self.served.list.subscribe(), self.stop.clone());
        let watched = Watched::new(self.clone());
        let stream = unfold((list, stop, watched, true), |(mut list, mut stop, watched, first)| async move {
            if !first {
                tokio::select! {
                    changed = list.changed() => changed.ok()?,
                    _ = stop.wait_for(|stop| *stop) => return None,
                }
            }
            let devices = list.borrow_and_update().clone().unwrap_or_default();
            watched.0.served.metrics.device_list_sent(&watched.0.served.resource);
            Some((Ok(response(&devices)), (list, stop, watched, false)))
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_preferred_allocation(
        &self,
        request: Request<PreferredAllocationRequest>,
    ) -> Result<Response<PreferredAllocationResponse>, Status> {
        let list = self.served.list.borrow().clone().unwrap_or_default();
        let one = |container: api::ContainerPreferredAllocationRequest| {
            let size = usize::try_from(container.allocation_size).unwrap_or_default();
            let (available, must) = (&container.available_device_i_ds, &container.must_include_device_i_ds);
            ContainerPreferredAllocationResponse { device_i_ds: preferred(&list, available, must, size) }
        };
        let container_responses = request.into_inner().container_requests.into_iter().map(one).collect();
        Ok(Response::new(PreferredAllocationResponse { container_responses }))
    }

    async fn allocate(
        &self,
        request: Request<AllocateRequest>,
    ) -> Result<Response<AllocateResponse>, Status> {
        let request = request.into_inner();
        let answer = self.served.allocate(&request);
        let resource = self.served.resource.as_str();
        match &answer {
            Ok(_) => {
                let devices: usize = request.container_requests.iter().map(|one| one.devices_ids.len()).sum();
                tracing::info!(resource, devices, "gave devices to a pod");
                self.served.metrics.devices_allocated(resource, Given::Given);
            }
            Err(status) => {
                tracing::warn!(resource, error = status.message(), "refused devices to a pod");
                self.served.metrics.devices_allocated(resource, Given::Refused);
            }
        }
        answer.map(Response::new)
    }

    async fn pre_start_container(
        &self,
        _: Request<PreStartContainerRequest>,
    ) -> Result<Response<PreStartContainerResponse>, Status> {
        Ok(Response::new(PreStartContainerResponse {}))
    }
}

fn response(devices: &[Device]) -> ListAndWatchResponse {
    let one = |device: &Device| api::Device {
        id: device.id.clone(),
        health: if device.healthy { "Healthy" } else { "Unhealthy" }.to_owned(),
        topology: device.numa.map(|node| TopologyInfo { nodes: vec![NumaNode { id: i64::from(node) }] }),
    };
    ListAndWatchResponse { devices: devices.iter().map(one).collect() }
}

//! STATUS: could an ADD with this configuration be served now? And the same as a dry run.

use std::sync::Arc;

use cni::Error;
use cni::error::code;
use cni::protocol::Call;

use crate::add::masters;
use crate::engine::{Engine, words};
use crate::network::{Network, Networks};
use crate::plan::{self, Addresses};
use crate::record::Tool;
use crate::request::Request;
use crate::select::{Known, SelectError, Selection, Wish, listed, select};

impl Engine {
    /// Answers code 50 when no ADD can be served.
    pub(crate) fn status(&self, request: &Request) -> Result<(), Error> {
        self.ready(request).map_err(|error| Error { code: code::NOT_AVAILABLE, ..error })
    }

    fn ready(&self, request: &Request) -> Result<(), Error> {
        let store = self.store()?;
        store.flush().map_err(|error| Error::new(code::NOT_AVAILABLE, words(&error)))?;
        let networks = (self.parts.networks)();
        let network = networks.networks.get(&request.conf.name);
        if request.tool == Tool::Ipam {
            let network = network.ok_or_else(|| no_network(&request.conf.name, &networks))?;
            return masters(request).iter().try_for_each(|master| self.has_room(network, master));
        }
        let link = request.link_use()?;
        let by = plan::addresses_by(request)?;
        if by == Addresses::Blocks && network.is_none() {
            return Err(no_network(&request.conf.name, &networks));
        }
        let wish = plan::wish(request, network.map(Arc::as_ref), link.unwrap_or_default(), Vec::new())?;
        let selection =
            self.would_select(&request.conf.name, &wish).map_err(|error| plan::select_error(&error))?;
        let Some(network) = network.filter(|_| by == Addresses::Blocks) else { return Ok(()) };
        for chosen in &selection.chosen {
            self.has_room(network, &chosen.master)?;
        }
        Ok(())
    }

    fn has_room(&self, network: &Network, master: &str) -> Result<(), Error> {
        let blocks = network.interface(master).into_iter().flat_map(|interface| &interface.blocks);
        for block in blocks {
            let usage = self.usage_of_block(&network.name, block.pod);
            if usage.is_some_and(|usage| usage.free == 0 && usage.quarantined == 0) {
                let words = format!("network {}: block {} on {master} is full", network.name, block.pod);
                return Err(Error::new(code::NOT_AVAILABLE, words));
            }
        }
        Ok(())
    }

    /// The plugin of somebody else that an ADD would need an executable for; absent when all of it is built in.
    ///
    /// # Errors
    /// When the call cannot be read.
    pub fn plugin_needed(call: &Call) -> Result<Option<String>, Error> {
        let request = Request::read(call)?;
        if request.tool == Tool::Ipam {
            return Ok(None);
        }
        if request.link_use()?.is_none() {
            return Ok(Some(request.conf.plugin()?.kind.clone()));
        }
        Ok(match plan::addresses_by(&request)? {
            Addresses::PluginOnce | Addresses::PluginEach => Some(request.conf.ipam_type.clone()),
            Addresses::Blocks
            | Addresses::Given
            | Addresses::Device
            | Addresses::Previous
            | Addresses::Nobody => None,
        })
    }

    /// Which NICs a pod with this wish would get now, and why not the others. Nothing changes.
    ///
    /// # Errors
    /// When none can be chosen.
    pub fn would_select(&self, network: &str, wish: &Wish) -> Result<Selection, SelectError> {
        let inventory = (self.parts.inventory)();
        let Some(inventory) = inventory else { return Err(SelectError::Nothing { left_out: Vec::new() }) };
        let networks = (self.parts.networks)();
        let network = networks.networks.get(network).map(Arc::as_ref);
        let usage = self.uses();
        select(&Known { inventory: &inventory, network, classes: &networks.classes, usage: &usage }, wish)
    }
}

fn no_network(name: &str, networks: &Networks) -> Error {
    Error::new(code::NOT_AVAILABLE, format!("this agent has no network `{name}`"))
        .with_details(format!("it has: {}", listed(networks.networks.keys())))
}

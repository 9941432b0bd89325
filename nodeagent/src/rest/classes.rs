//! `/v1/classes`: speed classes and device classes with their members.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use hwprobe::{Inventory, Nic, NicId, SpeedClass};
use openapi::{Classes, DeviceClassMembers, SpeedClassMembers};

use super::conditional::answer;
use super::nics::JSON;
use super::problem::Answer;
use super::query::Query;
use super::responses::Unchanged;
use super::state::RestState;
use crate::config::{DeviceClass, Settings};
use crate::inventory::published::json as written;

/// Lists speed classes and device classes with the NICs in each.
#[utoipa::path(
    get, path = "/v1/classes", operation_id = "listClasses", tag = "hardware",
    responses(
        (status = 200, description = "Each class with its members.", body = Classes),
        Unchanged,
    )
)]
pub(super) async fn list(
    State(state): State<RestState>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    Query::none(raw.as_deref())?;
    let published = state.published()?;
    Ok(answer(&headers, &published.etag, JSON, || {
        written(&classes(published.generation, &published.inventory, &state.settings))
    }))
}

/// The classes of an inventory.
pub(super) fn classes(generation: u64, inventory: &Inventory, settings: &Settings) -> Classes {
    let members = |fits: &dyn Fn(&Nic) -> bool| -> Vec<NicId> {
        inventory.nics.iter().filter(|nic| nic.hardware && fits(nic)).map(|nic| nic.id.clone()).collect()
    };
    let (standard, high) = (settings.thresholds.standard_from, settings.thresholds.high_from);
    let speed_classes = SpeedClass::ALL.map(|class| {
        let (from_mbps, below_mbps) = match class {
            SpeedClass::Unknown => (None, None),
            SpeedClass::Low => (None, Some(standard)),
            SpeedClass::Standard => (Some(standard), Some(high)),
            SpeedClass::High => (Some(high), None),
        };
        let nics = members(&|nic| nic.speed.class == class);
        SpeedClassMembers { class, from_mbps, below_mbps, nics }
    });
    let device_classes = settings.device_classes.iter().map(|(name, class)| DeviceClassMembers {
        name: name.clone(),
        ids: class.ids.iter().map(ToString::to_string).collect(),
        min_speed_mbps: class.min_speed,
        class: class.class,
        expression: class.expression.as_ref().map(|one| one.as_str().to_owned()),
        nics: members(&|nic| is_member(class, nic)),
    });
    Classes {
        generation,
        thresholds: settings.thresholds,
        speed_classes: speed_classes.to_vec(),
        device_classes: device_classes.collect(),
    }
}

/// Whether a NIC is in a device class: it is hardware and fits everything that the class says.
pub(super) fn is_member(class: &DeviceClass, nic: &Nic) -> bool {
    nic.hardware && attach::select::is_member(&class.into(), nic)
}

#[cfg(test)]
mod tests {
    use super::classes;
    use crate::config::parse;
    use std::path::Path;

    #[test]
    fn device_is_in_a_class_when_it_fits_everything_the_class_says() {
        let text = r#"deviceClasses: { a: { ids: ["15b3:1021"] }, b: { ids: ["15b3"], minSpeed: 300G }, c: { class: standard }, d: { minSpeed: 25G } }"#;
        let settings = parse(Path::new("agent.yaml"), text).unwrap();

        let found = classes(1, &openapi::example_inventory().unwrap(), &settings);

        let of = |name: &str| {
            let class = found.device_classes.iter().find(|class| class.name == name).unwrap();
            class.nics.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of("a"), ["0000:3b:00.0"]);
        assert!(of("b").is_empty());
        assert_eq!(of("c"), ["0000:86:00.0"]);
        assert_eq!(of("d"), ["0000:3b:00.0", "0000:3b:00.2", "0000:86:00.0"]);
        let every: usize = found.speed_classes.iter().map(|class| class.nics.len()).sum();
        assert_eq!(every, 4, "each hardware NIC is in one speed class");
    }
}

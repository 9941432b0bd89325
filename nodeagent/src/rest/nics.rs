//! `/v1/nics`: lists, one NIC, its VFs.

use std::cmp::Ordering;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use hwprobe::{HwAddr, Inventory, Nic, PciAddress};
use openapi::{NicList, Problem, ProblemCode, VfList};
use serde_json::{Value, json};

use super::conditional::answer;
use super::fields::Fields;
use super::nic_filter::{Context, FILTERS, Selection};
use super::problem::{Answer, Refusal, shown};
use super::query::Query;
use super::responses::{SeveralNics, Unchanged, Unread, WrongQuery};
use super::state::RestState;
use crate::inventory::published::json as written;

/// Media type of answers.
pub(super) const JSON: &str = "application/json";

/// Orders of a list.
pub(super) const SORTS: &[&str] = &["id", "name", "kind", "speed", "class", "numa", "driver", "mac"];

/// Lists NICs.
///
/// Filters are joined with AND; the values of a comma list with OR.
#[utoipa::path(
    get, path = "/v1/nics", operation_id = "listNics", tag = "hardware",
    responses(
        (status = 200, description = "The NICs that fit, in a stable order.", body = NicList),
        Unchanged,
        WrongQuery,
        Unread,
    )
)]
pub(super) async fn list(
    State(state): State<RestState>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let known = FILTERS.iter().map(|filter| filter.name).chain(["fields", "sort"]);
    let query = Query::parse(raw.as_deref(), known)?;
    let selection = Selection::parse(&query, &state.settings)?;
    let fields = fields(&query)?;
    let order = sort_keys(&query)?;
    let published = state.published()?;
    Ok(answer(&headers, &published.etag, JSON, || {
        if selection.is_everything() && fields.is_none() && order.is_empty() {
            return published.list();
        }
        let context = Context { published: &published, settings: &state.settings };
        let all = &published.inventory.nics;
        let mut nics: Vec<&Nic> = all.iter().filter(|nic| selection.fits(nic, &context)).collect();
        nics.sort_by(|a, b| compare(a, b, &order));
        let shown = |nic: &&Nic| {
            let value = serde_json::to_value(nic).unwrap_or(Value::Null);
            fields.as_ref().map_or(value.clone(), |fields| fields.select(&value))
        };
        let nics: Vec<Value> = nics.iter().map(shown).collect();
        written(&json!({ "generation": published.generation, "total": all.len(), "nics": nics }))
    }))
}

/// Shows one NIC.
///
/// The path names it by id, name, alternative name, PCI address (in upper or lower case) or MAC address.
#[utoipa::path(
    get, path = "/v1/nics/{id}", operation_id = "getNic", tag = "hardware",
    params(
        ("id" = String, Path, description = "Id, name, alternative name, PCI address or MAC address.", example = "0000:3b:00.0"),
        ("fields" = Option<String>, Query, description = "Members that the answer has, as a comma list of dotted paths; all when not given.", example = "name,link.operState"),
    ),
    responses(
        (status = 200, description = "The NIC.", body = Nic),
        Unchanged,
        (status = 404, description = "No NIC has that name.", body = Problem, content_type = "application/problem+json"),
        SeveralNics,
    )
)]
pub(super) async fn show(
    State(state): State<RestState>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let query = Query::parse(raw.as_deref(), ["fields"].into_iter())?;
    let fields = fields(&query)?;
    let published = state.published()?;
    let nic = find(&published.inventory, &id)?;
    Ok(answer(&headers, &published.etag, JSON, || match &fields {
        None => written(nic),
        Some(fields) => written(&fields.select(&serde_json::to_value(nic).unwrap_or(Value::Null))),
    }))
}

/// Lists the VFs of a PF.
#[utoipa::path(
    get, path = "/v1/nics/{id}/vfs", operation_id = "listVfs", tag = "hardware",
    params(("id" = String, Path, description = "Id, name, alternative name, PCI address or MAC address of the PF.", example = "0000:3b:00.0")),
    responses(
        (status = 200, description = "What the PF can give, and its VFs.", body = VfList),
        Unchanged,
        (status = 404, description = "No NIC has that name, or it has no SR-IOV capability.", body = Problem, content_type = "application/problem+json"),
        SeveralNics,
    )
)]
pub(super) async fn vfs(
    State(state): State<RestState>,
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Answer {
    Query::none(raw.as_deref())?;
    let published = state.published()?;
    let nic = find(&published.inventory, &id)?;
    let Some(sriov) = &nic.sriov else {
        let detail = format!("{} ({}) has no SR-IOV capability", nic.label(), nic.id);
        return Err(Refusal::new(ProblemCode::NoSriov, detail));
    };
    Ok(answer(&headers, &published.etag, JSON, || {
        written(&VfList {
            generation: published.generation,
            pf: nic.id.clone(),
            capacity: sriov.capacity.clone(),
            vfs: sriov.vfs.clone(),
        })
    }))
}

/// The NIC that a text names. The first kind of name that fits at all decides: id, name, alternative name,
/// PCI address, MAC address.
pub(super) fn find<'a>(inventory: &'a Inventory, text: &str) -> Result<&'a Nic, Refusal> {
    let address: Option<PciAddress> = text.parse().ok();
    let mac: Option<HwAddr> = text.parse().ok();
    let ways: [&dyn Fn(&Nic) -> bool; 6] = [
        &|nic| nic.id.as_str() == text,
        &|nic| nic.name.as_deref() == Some(text),
        &|nic| nic.alt_names.iter().any(|name| name == text),
        &|nic| nic.id.as_str().eq_ignore_ascii_case(text),
        &|nic| address.is_some() && nic.pci_address() == address,
        &|nic| mac.is_some() && (nic.mac == mac || nic.permanent_mac == mac),
    ];
    for way in ways {
        let mut fitting = inventory.nics.iter().filter(|nic| way(nic));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => return Ok(only),
            (Some(first), Some(second)) => {
                let all = [first, second].into_iter().chain(fitting);
                let mut problem = Problem::new(ProblemCode::AmbiguousNic)
                    .detail(format!("`{}` fits several NICs; name one of them by its id", shown(text)));
                problem.candidates = all.map(|nic| nic.id.clone()).collect();
                return Err(Refusal(Box::new(problem)));
            }
            (None, _) => {}
        }
    }
    let names = inventory.nics.iter().flat_map(|nic| {
        [Some(nic.id.as_str()), nic.name.as_deref()]
            .into_iter()
            .flatten()
            .chain(nic.alt_names.iter().map(String::as_str))
    });
    let mut problem =
        Problem::new(ProblemCode::UnknownNic).detail(format!("no NIC is called `{}`", shown(text)));
    problem.nearest = crate::nearest::nearest(text, names).into_iter().map(str::to_owned).collect();
    Err(Refusal(Box::new(problem)))
}

fn fields(query: &Query) -> Result<Option<Fields>, Refusal> {
    let given: Vec<&str> =
        query.iter().filter(|(name, _)| *name == "fields").map(|(_, value)| value).collect();
    if given.is_empty() { Ok(None) } else { Fields::parse(&given.join(",")).map(Some) }
}

/// The keys to sort by, each with its direction.
fn sort_keys(query: &Query) -> Result<Vec<(String, bool)>, Refusal> {
    let given = query.iter().filter(|(name, _)| *name == "sort").flat_map(|(_, value)| value.split(','));
    given
        .map(|item| {
            let (key, reverse) = item.strip_prefix('-').map_or((item, false), |key| (key, true));
            if SORTS.contains(&key) {
                return Ok((key.to_owned(), reverse));
            }
            let allowed = SORTS.iter().flat_map(|key| [(*key).to_owned(), format!("-{key}")]).collect();
            Err(Refusal::value("sort", item, allowed))
        })
        .collect()
}

/// Order by keys; what is unknown comes last in either direction, and equals keep the inventory's order.
fn compare(a: &Nic, b: &Nic, keys: &[(String, bool)]) -> Ordering {
    fn known_first<T: Ord>(a: Option<T>, b: Option<T>, reverse: bool) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) if reverse => b.cmp(&a),
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
    for (key, reverse) in keys {
        let reverse = *reverse;
        let order = match key.as_str() {
            "id" => known_first(Some(&a.id), Some(&b.id), reverse),
            "name" => known_first(a.name.as_ref(), b.name.as_ref(), reverse),
            "kind" => known_first(Some(a.kind), Some(b.kind), reverse),
            "speed" => known_first(a.speed.mbps, b.speed.mbps, reverse),
            "class" => known_first(Some(a.speed.class), Some(b.speed.class), reverse),
            "numa" => known_first(a.numa_node, b.numa_node, reverse),
            "driver" => known_first(
                a.driver.as_ref().map(|one| &one.name),
                b.driver.as_ref().map(|one| &one.name),
                reverse,
            ),
            _ => known_first(a.mac, b.mac, reverse),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::{compare, find};
    use openapi::{ProblemCode, example_inventory};

    #[test]
    fn nic_is_found_by_every_name_it_has() {
        let inventory = example_inventory().unwrap();

        for text in ["0000:3b:00.0", "0000:3B:00.0", "00000000:3b:00.0", "ens1f0np0", "enp59s0f0np0"] {
            assert_eq!(find(&inventory, text).unwrap().id.as_str(), "0000:3b:00.0", "{text}");
        }
        for text in ["02:00:5E:10:00:30", "02-00-5e-10-00-30", "ens7"] {
            assert_eq!(find(&inventory, text).unwrap().label(), "ens7", "{text}");
        }
    }

    #[test]
    fn mac_of_several_nics_is_ambiguous() {
        let refusal = find(&example_inventory().unwrap(), "02:00:5e:10:00:10").unwrap_err().0;

        assert_eq!(refusal.code(), Some(ProblemCode::AmbiguousNic));
        let ids: Vec<&str> = refusal.candidates.iter().map(|id| id.as_str()).collect();
        assert_eq!(ids, ["0000:3b:00.0", "rail0.120"]);
    }

    #[test]
    fn unknown_name_lists_the_nearest() {
        let refusal = find(&example_inventory().unwrap(), "ens8").unwrap_err().0;

        assert_eq!(refusal.code(), Some(ProblemCode::UnknownNic));
        assert!(refusal.nearest.contains(&"ens7".to_owned()), "{:?}", refusal.nearest);
    }

    #[test]
    fn unknown_comes_last_in_either_direction() {
        let inventory = example_inventory().unwrap();
        let sorted = |reverse| {
            let mut nics: Vec<_> = inventory.nics.iter().collect();
            nics.sort_by(|a, b| compare(a, b, &[("speed".to_owned(), reverse)]));
            nics.into_iter().map(|nic| nic.label().to_owned()).collect::<Vec<_>>()
        };

        assert_eq!(sorted(false), ["ens7", "ens1f0np0", "0000:3b:00.2", "rail0.120", "eth0", "mv0"]);
        assert_eq!(sorted(true), ["ens1f0np0", "0000:3b:00.2", "rail0.120", "ens7", "eth0", "mv0"]);
    }
}

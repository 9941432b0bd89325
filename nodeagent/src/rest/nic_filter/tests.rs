use super::{Context, FILTERS, Selection, matches};
use crate::config::{DeviceClass, PciId, Settings};
use crate::inventory::published::Published;
use crate::rest::problem::Refusal;
use crate::rest::query::Query;

fn settings() -> Settings {
    let mut settings = Settings::default();
    let ids = vec![PciId::parse("15b3").unwrap()];
    settings.device_classes.insert("rails".to_owned(), DeviceClass { ids, ..DeviceClass::default() });
    settings
}

fn selected(query: &str) -> Result<Vec<String>, Refusal> {
    let settings = settings();
    let published =
        Published::new("abc", 1, openapi::example_inventory().unwrap(), Vec::new(), &Default::default());
    let context = Context { published: &published, settings: &settings };
    let query = Query::parse(Some(query), FILTERS.iter().map(|filter| filter.name))?;
    let selection = Selection::parse(&query, &settings)?;
    let nics = published.inventory.nics.iter().filter(|nic| selection.fits(nic, &context));
    Ok(nics.map(|nic| nic.label().to_owned()).collect())
}

#[test]
fn each_filter_selects_what_it_says() {
    let cases: &[(&str, &[&str])] = &[
        ("", &["eth0", "ens1f0np0", "0000:3b:00.2", "ens7", "rail0.120", "mv0"]),
        ("id=0000:3B:00.0", &["ens1f0np0"]),
        ("name=ens*", &["ens1f0np0", "ens7"]),
        ("name=enp0s3", &["eth0"]),
        ("kind=vlan,macvlan", &["rail0.120", "mv0"]),
        ("class=high&hardware=true", &["ens1f0np0", "0000:3b:00.2"]),
        ("class=unknown", &["eth0", "mv0"]),
        ("deviceClass=rails", &["ens1f0np0", "0000:3b:00.2"]),
        ("state=up", &["eth0", "ens1f0np0", "rail0.120", "mv0"]),
        ("state=down", &["ens7"]),
        ("state=absent", &["0000:3b:00.2"]),
        ("carrier=true", &["eth0", "ens1f0np0", "rail0.120"]),
        ("driver=ice,virtio_net", &["eth0", "ens7"]),
        ("driver=none", &["rail0.120", "mv0"]),
        ("vendor=15B3", &["ens1f0np0", "0000:3b:00.2"]),
        ("vendor=intel", &["ens7"]),
        ("device=connectx-7", &["ens1f0np0"]),
        ("bus=virtio", &["eth0"]),
        ("numa=1", &["ens7"]),
        ("numa=unknown", &["eth0", "rail0.120", "mv0"]),
        ("minSpeed=100G", &["ens1f0np0", "0000:3b:00.2", "rail0.120"]),
        ("maxSpeed=25000", &["ens7"]),
        ("mac=02-00-5E-10-00-10", &["ens1f0np0", "rail0.120"]),
        ("hardware=false", &["rail0.120", "mv0"]),
        ("sriov=true", &["ens1f0np0", "ens7"]),
        ("vf=true", &["0000:3b:00.2"]),
        ("rdma=true", &["ens1f0np0"]),
        ("secondary=true", &["ens7"]),
        ("usable=l3", &["ens1f0np0"]),
        ("usable=l3,l2", &["ens1f0np0", "rail0.120", "mv0"]),
        ("protected=true", &["eth0"]),
        ("held=false", &["ens7", "rail0.120", "mv0"]),
        ("gpu=sameNuma", &["ens1f0np0", "0000:3b:00.2"]),
        ("gpu=00000000:3D:00.0", &["ens1f0np0", "0000:3b:00.2"]),
        ("warning=any", &["ens1f0np0", "ens7"]),
        ("warning=sriovOffInFirmware", &["ens7"]),
        ("class=high&class=standard&vf=false&hardware=true", &["ens1f0np0", "ens7"]),
        ("sriov=true&minSpeed=100G&state=up", &["ens1f0np0"]),
    ];
    for (query, wanted) in cases {
        assert_eq!(&selected(query).unwrap(), wanted, "{query}");
    }
    for filter in FILTERS {
        let name = filter.name;
        assert!(cases.iter().any(|(query, _)| query.contains(&format!("{name}="))), "{name} is not tried");
    }
}

#[test]
fn wrong_value_names_parameter_value_and_what_is_allowed() {
    let refusal = selected("class=hihg").unwrap_err().0;

    assert_eq!(
        (refusal.status, refusal.parameter.as_deref(), refusal.value.as_deref()),
        (400, Some("class"), Some("hihg"))
    );
    assert_eq!(refusal.allowed, ["unknown", "low", "standard", "high"]);
    assert_eq!(refusal.nearest, ["high"]);
    let always = ["", ",", "\u{1}nonsense value"];
    for filter in FILTERS.iter().filter(|filter| super::fixed_values(filter).is_some()) {
        for value in always {
            assert!(
                selected(&format!("{}={}", filter.name, value.replace(' ', "+"))).is_err(),
                "{} {value:?}",
                filter.name
            );
        }
    }
    for query in ["minSpeed=fast", "maxSpeed=-1", "mac=xyz", "numa=x", "gpu=0000", "deviceClass=nope"] {
        assert!(selected(query).is_err(), "{query}");
    }
}

#[test]
fn star_stands_for_any_characters() {
    for (pattern, text, wanted) in [
        ("eth0", "eth0", true),
        ("eth0", "eth01", false),
        ("eth*", "eth", true),
        ("*np0", "ens1f0np0", true),
        ("e*f0*0", "ens1f0np0", true),
        ("e*x*0", "ens1f0np0", false),
        ("*", "", true),
        ("a*a", "a", false),
    ] {
        assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
    }
}

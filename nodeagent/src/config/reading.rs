//! Reads `agent.yaml`: every key must be known, every value allowed, and an error says which and what would be.

use std::path::{Path, PathBuf};

use hwprobe::{SpeedClass, SpeedMbps};
use serde_json::{Map, Value};

use super::settings::{DeviceClass, Limits, LogFormat, LogLevel, PciId, ReprobeInterval, Settings};
use super::{device_plugin, sriov};
use crate::nearest::nearest;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is there but cannot be read.
    #[error("read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The kernel's word.
        #[source]
        source: std::io::Error,
    },
    /// The file is no YAML.
    #[error("{}: not YAML: {message}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What the parser says, with line and column.
        message: String,
    },
    /// A key that no setting has.
    #[error("{}: unknown key `{key}` {place}; {hint}", file.display())]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// Where it stands.
        place: String,
        /// The nearest known key, or all of them.
        hint: String,
    },
    /// A policy for PFs that is not right.
    #[error("{}: {problems}", file.display())]
    Policy {
        /// The file.
        file: PathBuf,
        /// Everything that is wrong with it, a line each with the field and the fix.
        problems: String,
    },
    /// A value that the setting cannot have.
    #[error("{}: `{key}` is {value}; want {allowed}", file.display())]
    WrongValue {
        /// The file.
        file: PathBuf,
        /// Path of the setting, like `limits.connections`.
        key: String,
        /// What stands there.
        value: String,
        /// What may stand there.
        allowed: String,
    },
}

/// The settings in `file`; all defaults when it does not exist.
///
/// # Errors
/// When it cannot be read, is no YAML, or has a key or value that is not known.
pub(crate) fn read(file: &Path) -> Result<Settings, ConfigError> {
    match std::fs::read_to_string(file) {
        Ok(text) => parse(file, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Settings::default()),
        Err(source) => Err(ConfigError::Read { file: file.to_owned(), source }),
    }
}

/// The settings in `text`; `file` is for messages.
///
/// # Errors
/// As [`read`].
pub(crate) fn parse(file: &Path, text: &str) -> Result<Settings, ConfigError> {
    let root: Option<Value> = serde_saphyr::from_str(text).map_err(|error| {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default().to_owned();
        ConfigError::Syntax { file: file.to_owned(), message: first }
    })?;
    let root = root.filter(|value| !value.is_null()).unwrap_or_else(|| Value::Object(Map::new()));
    let mut settings = Settings::default();
    let mut top = Section::new(file, String::new(), &root)?;

    top.list("listen", "a list of ADDRESS:PORT", &mut settings.listen, |item| item.as_str()?.parse().ok())?;
    top.list("allowedHosts", "a list of HOST or HOST:PORT", &mut settings.allowed_hosts, |item| {
        item.as_str().filter(|host| crate::rest::is_host(host)).map(str::to_lowercase)
    })?;
    if let Some(mut section) = top.section("thresholds")? {
        let allowed = "a speed like 25G";
        section.one("standardFrom", allowed, &mut settings.thresholds.standard_from, speed)?;
        section.one("highFrom", allowed, &mut settings.thresholds.high_from, speed)?;
        if settings.thresholds.standard_from >= settings.thresholds.high_from {
            return Err(section.wrong("highFrom", "a speed above `thresholds.standardFrom`"));
        }
        section.finish()?;
    }
    let names = "a list of interface names, PCI addresses or MAC addresses";
    top.list("protected", names, &mut settings.protected, name)?;
    top.list("excluded", names, &mut settings.excluded, name)?;
    top.list("included", names, &mut settings.included, name)?;
    let addresses = "a list of IP addresses";
    top.list("apiServers", addresses, &mut settings.api_servers, |item| item.as_str()?.parse().ok())?;
    top.list("nodeAddresses", addresses, &mut settings.node_addresses, |item| item.as_str()?.parse().ok())?;
    if let Some(mut classes) = top.section("deviceClasses")? {
        let members: Vec<String> = classes.members.keys().cloned().collect();
        for member in members {
            let Some(mut section) = classes.section(&member)? else { continue };
            let mut class = DeviceClass::default();
            let ids = "a list of PCI ids, VENDOR:DEVICE or VENDOR in hexadecimal, in quotes";
            section.list("ids", ids, &mut class.ids, |item| PciId::parse(item.as_str()?))?;
            section
                .one("minSpeed", "a speed like 25G", &mut class.min_speed, |item| speed(item).map(Some))?;
            section.one("class", "low, standard or high", &mut class.class, |item| {
                let wanted = item.as_str()?;
                let known = SpeedClass::ALL.into_iter().filter(|class| *class != SpeedClass::Unknown);
                known.into_iter().find(|class| class.as_str() == wanted).map(Some)
            })?;
            section.one("expression", "a CEL expression over `nic`", &mut class.expression, |item| {
                item.as_str()?.parse().ok().map(Some)
            })?;
            section.finish()?;
            settings.device_classes.insert(member, class);
        }
    }
    top.one(
        "reprobeInterval",
        ReprobeInterval::ALLOWED,
        &mut settings.reprobe_interval,
        |item| match item {
            Value::Bool(false) => Some(ReprobeInterval::Off),
            Value::String(text) => ReprobeInterval::parse(text),
            number => ReprobeInterval::parse(&number.as_u64()?.to_string()),
        },
    )?;
    top.one("logLevel", "error, warn, info, debug or trace", &mut settings.log_level, |item| {
        LogLevel::ALL.iter().find(|(name, _)| item == name).map(|(_, level)| *level)
    })?;
    top.one("logFormat", "auto, text, journal or json", &mut settings.log_format, |item| {
        LogFormat::ALL.iter().find(|(name, _)| item == name).map(|(_, format)| *format)
    })?;
    if let Some(policies) = top.get("sriov") {
        sriov::read(file, policies, &mut settings.sriov)?;
    }
    top.one("rdmaMode", "shared, exclusive or asIs", &mut settings.rdma_mode, |item| {
        match item.as_str()? {
            "asIs" => Some(None),
            word => word.parse().ok().map(Some),
        }
    })?;
    if let Some(section) = top.section("devicePlugin")? {
        let classes = settings.device_classes.keys().map(String::as_str).collect();
        device_plugin::read(section, &classes, &mut settings.device_plugin)?;
    }
    if let Some(section) = top.section("limits")? {
        limits(section, &mut settings.limits)?;
    }
    top.finish()?;
    Ok(settings)
}

fn limits(mut section: Section<'_>, limits: &mut Limits) -> Result<(), ConfigError> {
    section.number("connections", 1, 100_000, &mut limits.connections)?;
    section.number("connectionsPerPeer", 1, 100_000, &mut limits.connections_per_peer)?;
    section.number("eventStreams", 0, 10_000, &mut limits.event_streams)?;
    // hyper refuses a smaller buffer.
    section.number("headerBytes", 8192, 1_048_576, &mut limits.header_bytes)?;
    section.number("headerFields", 8, 1000, &mut limits.header_fields)?;
    section.number("bodyBytes", 0, 16_777_216, &mut limits.body_bytes)?;
    section.number("headerSeconds", 1, 600, &mut limits.header_seconds)?;
    section.number("requestSeconds", 1, 600, &mut limits.request_seconds)?;
    section.number("writeSeconds", 1, 600, &mut limits.write_seconds)?;
    section.finish()
}

fn speed(item: &Value) -> Option<SpeedMbps> {
    match item {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn name(item: &Value) -> Option<String> {
    item.as_str().filter(|text| !text.is_empty() && text.len() <= 127).map(str::to_owned)
}

/// One mapping of the file. It learns the known keys by being asked for them.
pub(super) struct Section<'a> {
    file: &'a Path,
    path: String,
    members: &'a Map<String, Value>,
    known: Vec<String>,
}

impl<'a> Section<'a> {
    fn new(file: &'a Path, path: String, value: &'a Value) -> Result<Self, ConfigError> {
        match value.as_object() {
            Some(members) => Ok(Self { file, path, members, known: Vec::new() }),
            None => Err(ConfigError::WrongValue {
                file: file.to_owned(),
                key: if path.is_empty() { "(the whole file)".to_owned() } else { path },
                value: value.to_string(),
                allowed: "a mapping of keys to values".to_owned(),
            }),
        }
    }

    fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn get(&mut self, key: &str) -> Option<&'a Value> {
        self.known.push(key.to_owned());
        self.members.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn wrong(&self, key: &str, allowed: &str) -> ConfigError {
        let value = self.members.get(key).map_or_else(|| "not given".to_owned(), Value::to_string);
        let (file, allowed) = (self.file.to_owned(), allowed.to_owned());
        ConfigError::WrongValue { file, key: self.full(key), value, allowed }
    }

    fn section(&mut self, key: &str) -> Result<Option<Section<'a>>, ConfigError> {
        let (file, path) = (self.file, self.full(key));
        self.get(key).map(|value| Section::new(file, path, value)).transpose()
    }

    /// The mappings of a list; one mapping that is no list counts as a list of it.
    pub(super) fn sections(&mut self, key: &str) -> Result<Vec<Section<'a>>, ConfigError> {
        let (file, path) = (self.file, self.full(key));
        let items = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items.as_slice(),
            Some(Value::Object(_)) => return Ok(self.section(key)?.into_iter().collect()),
            Some(_) => return Err(self.wrong(key, "a list of mappings")),
        };
        items
            .iter()
            .enumerate()
            .map(|(index, item)| Section::new(file, format!("{path}[{index}]"), item))
            .collect()
    }

    pub(super) fn one<T>(
        &mut self,
        key: &str,
        allowed: &str,
        target: &mut T,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<(), ConfigError> {
        if let Some(value) = self.get(key) {
            *target = read(value).ok_or_else(|| self.wrong(key, allowed))?;
        }
        Ok(())
    }

    pub(super) fn number(
        &mut self,
        key: &str,
        least: u32,
        most: u32,
        target: &mut u32,
    ) -> Result<(), ConfigError> {
        self.one(key, &format!("a number from {least} to {most}"), target, |value| {
            let number = u32::try_from(value.as_u64()?).ok()?;
            (least..=most).contains(&number).then_some(number)
        })
    }

    pub(super) fn list<T>(
        &mut self,
        key: &str,
        allowed: &str,
        target: &mut Vec<T>,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<(), ConfigError> {
        self.one(key, allowed, target, |value| value.as_array()?.iter().map(read).collect())
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let known = || self.known.iter().map(String::as_str);
        match self.members.keys().find(|key| !known().any(|one| one == *key)) {
            None => Ok(()),
            Some(key) => Err(ConfigError::UnknownKey {
                file: self.file.to_owned(),
                key: key.clone(),
                place: if self.path.is_empty() {
                    "at the top".to_owned()
                } else {
                    format!("in `{}`", self.path)
                },
                hint: match nearest(key, known()).first() {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", known().collect::<Vec<_>>().join(", ")),
                },
            }),
        }
    }
}

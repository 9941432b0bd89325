//! Reads the folder of networks.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use attach::select::Expression;
use crds::foreign::SriovNetworkNodePolicy;
use crds::{Object, Problem};
use serde_json::Value;

use super::document::{self, Document};
use super::report::{Gravity, POLICY, Place, Report};
use crate::config;
use crate::sriov::NodePolicy;

/// Largest file that is read, bytes. A network has about a thousand.
const FILE_LIMIT: u64 = 1024 * 1024;

/// What stands in the folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reading {
    /// What is right, by file and document.
    pub(crate) objects: Vec<(Place, Object)>,
    /// Policies for PFs that are right, by file and document.
    pub(crate) policies: Vec<(Place, NodePolicy)>,
    /// What is wrong.
    pub(crate) reports: Vec<Report>,
    /// Whether the folder is there; one that cannot be read counts as there.
    pub(crate) there: bool,
}

impl Reading {
    /// Something of the file, or the whole folder, could not be read.
    pub(crate) fn is_faulty(&self, file: &str) -> bool {
        let errors = self.reports.iter().filter(|report| report.gravity == Gravity::Error);
        errors.map(|report| &report.place.file).any(|faulty| faulty == file || faulty.is_empty())
    }
}

/// Reads every `*.yaml`, `*.yml` and `*.json` file of the folder but the agent's own, by name.
pub(crate) fn read(folder: &Path) -> Reading {
    let mut reading = Reading { there: true, ..Reading::default() };
    let names = match names(folder) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Reading::default(),
        Err(error) => {
            let message = format!("{} cannot be read: {error}", folder.display());
            reading.reports.push(report_of_folder(message, "let root read it"));
            return reading;
        }
    };
    for name in names {
        match text(&folder.join(&name)) {
            Ok(None) => {}
            Ok(Some(text)) => {
                let json = name.ends_with(".json");
                let documents = if json { document::json(&text) } else { document::yaml(&text) };
                if documents.is_empty() {
                    // An editor may just be writing it.
                    let fix = "delete the file when nothing of it is wanted any more";
                    reading.reports.push(report(Place::file(&name), "is empty".to_owned(), fix));
                }
                for document in documents {
                    reading.take(&name, document, if json { "JSON" } else { "YAML" });
                }
            }
            // Gone since the folder was listed; a link that leads nowhere is another matter.
            Err(_) if fs::symlink_metadata(folder.join(&name)).is_err() => {}
            Err(error) => {
                let fix = "write a text file of less than 1 MiB that root can read";
                reading.reports.push(report(Place::file(&name), format!("cannot be read: {error}"), fix));
            }
        }
    }
    reading.name_duplicates();
    reading
}

impl Reading {
    fn take(&mut self, file: &str, document: Document, format: &str) {
        let place = Place { file: file.to_owned(), document: document.number };
        let value = match document.content {
            Ok(value) => value,
            Err(message) => {
                let fix = "correct it; what it defined before goes on until then";
                return self.reports.push(report(place, format!("is no {format}: {message}"), fix));
            }
        };
        let text =
            |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        if kind == POLICY {
            return self.take_policy(place, &value, name);
        }
        if is_foreign(&value, &kind) {
            let fix = format!("it is ignored; keep only {} and {POLICY} here", crds::KINDS.join(", "));
            let problem =
                Problem { path: "kind".to_owned(), message: format!("{kind} is no kind of ours"), fix };
            let object = Some((kind, name));
            return self.reports.push(Report { place, object, problem, gravity: Gravity::Warning });
        }
        let problems = match crds::read(&value) {
            Err(problems) => problems,
            Ok(object) => {
                let mut problems = object.validate();
                problems.extend(wrong_expression(&object));
                if problems.is_empty() {
                    return self.objects.push((place, object));
                }
                problems
            }
        };
        let object = (!kind.is_empty()).then_some((kind, name));
        self.reports.extend(problems.into_iter().map(|problem| Report {
            place: place.clone(),
            object: object.clone(),
            problem,
            gravity: Gravity::Error,
        }));
    }

    /// A file of sriov-network-operator, moved over as it is.
    fn take_policy(&mut self, place: Place, value: &Value, name: String) {
        let read = SriovNetworkNodePolicy::read(value);
        let made = read.and_then(|read| NodePolicy::new(&read.metadata.name, &read.spec, "spec"));
        let (problems, gravity) = match made {
            Ok((policy, unhonoured)) => {
                self.policies.push((place.clone(), policy));
                (unhonoured, Gravity::Warning)
            }
            Err(problems) => (problems, Gravity::Error),
        };
        let object = Some((POLICY.to_owned(), name));
        self.reports.extend(problems.into_iter().map(|problem| Report {
            place: place.clone(),
            object: object.clone(),
            problem,
            gravity,
        }));
    }

    /// Names each object whose name another one has, too.
    fn name_duplicates(&mut self) {
        let mut places: BTreeMap<(&str, &str), Vec<&Place>> = BTreeMap::new();
        for (place, object) in &self.objects {
            places.entry((object.kind(), object.name())).or_default().push(place);
        }
        for (place, policy) in &self.policies {
            places.entry((POLICY, &policy.policy.name)).or_default().push(place);
        }
        let mut reports = Vec::new();
        for ((kind, name), places) in places.into_iter().filter(|(_, places)| places.len() > 1) {
            let all = places.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            for place in places {
                reports.push(Report {
                    place: place.clone(),
                    object: Some((kind.to_owned(), name.to_owned())),
                    problem: Problem {
                        path: "metadata.name".to_owned(),
                        message: format!("{name} is defined more than once ({all})"),
                        fix:
                            "keep one of them; until then the one counts that counted before, else the first"
                                .to_owned(),
                    },
                    gravity: Gravity::Warning,
                });
            }
        }
        self.reports.append(&mut reports);
    }
}

/// Another program's object, rather than one of ours that is misspelt.
fn is_foreign(value: &Value, kind: &str) -> bool {
    let version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let ours = ["multinic.fms.io/", "net.cogadvisor.io/"].iter().any(|group| version.starts_with(group));
    let near = crds::nearest(kind, crds::KINDS).is_some();
    !kind.is_empty() && !crds::KINDS.contains(&kind) && !near && (!ours || is_later(kind))
}

/// Kinds of our groups that mean something in a cluster only.
fn is_later(kind: &str) -> bool {
    ["CIDR", "IPPool", "HostInterface", "Config"].contains(&kind)
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let wanted = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
        if wanted && !name.starts_with('.') && name != config::FILE {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The text of a file; absent for a folder, a pipe and the like, whose opening could wait for ever.
fn text(path: &Path) -> io::Result<Option<String>> {
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut text = String::new();
    let read = fs::File::open(path)?.take(FILE_LIMIT + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_LIMIT {
        return Err(io::Error::other("it is too large"));
    }
    Ok(Some(text))
}

/// A report on the folder as a whole.
pub(crate) fn report_of_folder(message: String, fix: &str) -> Report {
    report(Place::file(""), message, fix)
}

fn report(place: Place, message: String, fix: &str) -> Report {
    let problem = Problem { path: String::new(), message, fix: fix.to_owned() };
    Report { place, object: None, problem, gravity: Gravity::Error }
}

/// A device class whose expression cannot be read.
fn wrong_expression(object: &Object) -> Option<Problem> {
    let Object::DeviceClass(class) = object else { return None };
    let text = &class.spec.expression;
    let error = Some(text).filter(|text| !text.is_empty())?.parse::<Expression>().err()?;
    let fix = "write it over `nic` as GET /v1/nics shows it, like nic.speed.mbps >= 100000";
    Some(Problem { path: "spec.expression".to_owned(), message: error.to_string(), fix: fix.to_owned() })
}

#[cfg(test)]
mod tests;

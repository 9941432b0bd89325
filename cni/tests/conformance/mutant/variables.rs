//! The toy's reading of the `CNI_*` variables.

use super::{Refusal, Toy, refusal};

/// The variables; absent ones are empty.
pub(super) struct Variables {
    pub(super) command: String,
    pub(super) container: String,
    pub(super) netns: String,
    pub(super) ifname: String,
    pub(super) netns_override: bool,
}

/// Reads and checks them.
pub(super) fn read(toy: &Toy) -> Result<Variables, Refusal> {
    let value = |name: &str| std::env::var(name).unwrap_or_default();
    let variables = Variables {
        command: value("CNI_COMMAND"),
        container: value("CNI_CONTAINERID"),
        netns: value("CNI_NETNS"),
        ifname: value("CNI_IFNAME"),
        netns_override: value("CNI_NETNS_OVERRIDE") == "1" && !toy.has("override-ignored"),
    };
    if variables.command.is_empty() && !toy.has("command-optional") {
        return Err(refusal(4, "CNI_COMMAND is missing"));
    }
    let known = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION", ""];
    if !known.contains(&variables.command.as_str()) {
        return Err(refusal(if toy.has("unknown-command-code") { 999 } else { 4 }, "CNI_COMMAND is unknown"));
    }
    if variables.command == "VERSION" && !toy.has("version-needs-container") {
        return Ok(variables);
    }
    check(toy, &variables, &value("CNI_PATH"))?;
    if toy.has("args-strict") {
        let args = value("CNI_ARGS");
        if args.contains("FROB") {
            return Err(refusal(4, "CNI_ARGS has an unknown key"));
        }
    }
    Ok(variables)
}

fn check(toy: &Toy, variables: &Variables, path: &str) -> Result<(), Refusal> {
    let command = variables.command.as_str();
    let container = matches!(command, "ADD" | "DEL" | "CHECK" | "VERSION");
    let required = [
        ("CNI_CONTAINERID", &variables.container, container, "container-optional"),
        ("CNI_NETNS", &variables.netns, matches!(command, "ADD" | "CHECK"), "netns-optional"),
        ("CNI_IFNAME", &variables.ifname, container && command != "VERSION", "ifname-optional"),
    ];
    let mut missing: Vec<&str> = Vec::new();
    for (name, value, needed, _) in &required {
        if *needed && value.is_empty() {
            missing.push(name);
        }
    }
    let forgiven = if command == "GC" { "gc-path-optional" } else { "path-optional" };
    if path.is_empty() && command != "VERSION" && !toy.has(forgiven) {
        missing.push("CNI_PATH");
    }
    // Narrow: a variable that is missing together with others is still missed.
    if let [one] = missing[..]
        && required.iter().any(|(name, .., flaw)| *name == one && toy.has(flaw))
    {
        missing.clear();
    }
    if toy.has("only-first-missing") {
        missing.truncate(1);
    }
    if !missing.is_empty() {
        return Err(refusal(4, format!("required env variables [{}] missing", missing.join(","))));
    }
    if container && command != "VERSION" {
        if !is_name(&variables.container) && !toy.has("any-container") && !variables.container.is_empty() {
            return Err(refusal(4, "CNI_CONTAINERID is not valid"));
        }
        if !is_ifname(&variables.ifname) && !toy.has("any-ifname") && !variables.ifname.is_empty() {
            return Err(refusal(4, "CNI_IFNAME is not valid"));
        }
    }
    Ok(())
}

/// The rule of container ids and network names.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_ifname(text: &str) -> bool {
    let odd = |c: char| c == '/' || c == ':' || c.is_whitespace();
    !text.is_empty() && text.len() < 16 && text != "." && text != ".." && !text.contains(odd)
}

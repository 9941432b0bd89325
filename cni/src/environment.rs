//! The environment of a call (FOREIGN §1.1) and `CNI_ARGS` (§1.7).

use serde::{Deserialize, Serialize};

use crate::error::{Error, code};

/// What a runtime asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Command {
    /// Make the attachment.
    Add,
    /// Take it away.
    Del,
    /// Is it as it was made?
    Check,
    /// Take away all but these.
    Gc,
    /// Can ADD be served?
    Status,
    /// Which versions?
    Version,
}

impl Command {
    /// As in `CNI_COMMAND`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Add, Self::Del, Self::Check, Self::Gc, Self::Status, Self::Version]
            .into_iter()
            .find(|command| command.as_str() == text)
    }

    /// Whether it is about one container.
    pub fn is_of_container(self) -> bool {
        matches!(self, Self::Add | Self::Del | Self::Check)
    }
}

/// The environment of a call. What a command does not use is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// `CNI_COMMAND`.
    pub command: Command,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`; may be empty on DEL.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub args: String,
    /// `CNI_PATH`.
    pub path: String,
    /// `CNI_NETNS_OVERRIDE` allows the host's own namespace.
    pub netns_override: bool,
}

impl Environment {
    /// Reads and checks the variables; `get` gives the value of one.
    ///
    /// # Errors
    /// Code 4 with the names of all variables that are missing, or of the one that is wrong.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let value = |name: &str| get(name).unwrap_or_default();
        let text = value("CNI_COMMAND");
        if text.is_empty() {
            return Err(Error::new(code::BAD_ENVIRONMENT, "required env variables [CNI_COMMAND] missing"));
        }
        let command = Command::parse(&text).ok_or_else(|| {
            Error::new(code::BAD_ENVIRONMENT, format!("unknown CNI_COMMAND: {text}"))
                .with_details("it is one of ADD, DEL, CHECK, GC, STATUS, VERSION")
        })?;
        let environment = Self {
            command,
            container_id: value("CNI_CONTAINERID"),
            netns: value("CNI_NETNS"),
            ifname: value("CNI_IFNAME"),
            args: value("CNI_ARGS"),
            path: value("CNI_PATH"),
            netns_override: matches!(value("CNI_NETNS_OVERRIDE").to_ascii_uppercase().as_str(), "1" | "TRUE"),
        };
        environment.check()?;
        Ok(environment)
    }

    fn check(&self) -> Result<(), Error> {
        let of_container = self.command.is_of_container();
        let needs_path = of_container || matches!(self.command, Command::Gc | Command::Status);
        let required = [
            ("CNI_CONTAINERID", &self.container_id, of_container),
            ("CNI_NETNS", &self.netns, matches!(self.command, Command::Add | Command::Check)),
            ("CNI_IFNAME", &self.ifname, of_container),
            ("CNI_PATH", &self.path, needs_path),
        ];
        let missing: Vec<&str> = required
            .iter()
            .filter(|(_, value, required)| *required && value.is_empty())
            .map(|(name, _, _)| *name)
            .collect();
        if !missing.is_empty() {
            let message = format!("required env variables [{}] missing", missing.join(","));
            return Err(Error::new(code::BAD_ENVIRONMENT, message));
        }
        if of_container && !is_name(&self.container_id) {
            let message = format!("CNI_CONTAINERID: `{}` is not valid", self.container_id);
            return Err(Error::new(code::BAD_ENVIRONMENT, message).with_details(NAME_RULE));
        }
        if of_container && !is_ifname(&self.ifname) {
            let message = format!("CNI_IFNAME: `{}` is not valid", self.ifname);
            let rule = "1 to 15 bytes, not `.` or `..`, without `/`, `:` and white space";
            return Err(Error::new(code::BAD_ENVIRONMENT, message).with_details(rule));
        }
        Ok(())
    }
}

/// The rule for container ids and network names.
pub(crate) const NAME_RULE: &str = "letters, digits, `_`, `.` and `-`, the first a letter or digit";

/// Whether a text can be a container id or network name.
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Whether a text can be the name of an interface (`dev_valid_name`, net/core/dev.c; its white space is that of
/// lib/ctype.c, which takes bytes for Latin-1).
pub fn is_ifname(text: &str) -> bool {
    let wrong = |byte: u8| matches!(byte, b'/' | b':' | b' ' | 0x09..=0x0d | 0xa0);
    (1..=15).contains(&text.len()) && text != "." && text != ".." && !text.bytes().any(wrong)
}

/// The value of a key of `CNI_ARGS`; keys that nobody knows are fine.
pub fn argument<'a>(args: &'a str, key: &str) -> Option<&'a str> {
    args.split(';')
        .filter_map(|item| item.split_once('='))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

/// `CNI_ARGS` without a key.
pub fn without_argument(args: &str, key: &str) -> String {
    let kept = args.split(';').filter(|item| item.split_once('=').is_none_or(|(name, _)| name != key));
    kept.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Environment, Error> {
        Environment::read(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const WHOLE: [(&str, &str); 5] = [
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "0a-b_c.d"),
        ("CNI_NETNS", "/run/netns/x"),
        ("CNI_IFNAME", "net1"),
        ("CNI_PATH", "/opt/cni/bin"),
    ];

    fn with(changes: &[(&'static str, &'static str)]) -> Result<Environment, Error> {
        let mut pairs = changes.to_vec();
        pairs.extend(WHOLE);
        read(&pairs)
    }

    #[test]
    fn every_missing_variable_is_named() {
        let missing =
            |command: &str| read(&[("CNI_COMMAND", command)]).map(|_| ()).map_err(|error| error.msg);
        let words = |names: &str| Err(format!("required env variables [{names}] missing"));

        assert_eq!(missing("ADD"), words("CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"));
        assert_eq!(missing("CHECK"), words("CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"));
        assert_eq!(missing("DEL"), words("CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"));
        assert_eq!(missing("GC"), words("CNI_PATH"));
        assert_eq!(missing("STATUS"), words("CNI_PATH"));
        assert_eq!(missing("VERSION"), Ok(()));
        assert_eq!(read(&[]).unwrap_err().code, 4);
        assert_eq!(missing("FROB"), Err("unknown CNI_COMMAND: FROB".to_owned()));
    }

    #[test]
    fn wrong_values_are_refused_with_code_4() {
        for wrong in ["-a", "a/b", "a b", "ä"] {
            assert_eq!(with(&[("CNI_CONTAINERID", wrong)]).unwrap_err().code, 4, "{wrong}");
        }
        for wrong in ["a/b", "a:b", "a b", "a\u{b}b", "\u{e0}", ".", "..", "sixteen-bytes-xx"] {
            assert_eq!(with(&[("CNI_IFNAME", wrong)]).unwrap_err().code, 4, "{wrong}");
        }
        assert!(with(&[("CNI_IFNAME", "fifteen-bytes-x")]).is_ok());
        assert!(with(&[("CNI_NETNS_OVERRIDE", "true")]).unwrap().netns_override);
    }

    #[test]
    fn arguments_are_found_and_taken_out() {
        let args = "IgnoreUnknown=1;POD_NAME=a;IP=x,y,z;SOME_ARG=b";

        assert_eq!(argument(args, "IP"), Some("x,y,z"));
        assert_eq!(argument(args, "MAC"), None);
        assert_eq!(without_argument("POD_NAME=a;IP=x,y,z", "IP"), "POD_NAME=a");
        assert_eq!(without_argument("POD_NAME=a;IP=x,y,z;SOME_ARG=b", "IP"), "POD_NAME=a;SOME_ARG=b");
    }

    proptest! {
        #[test]
        fn any_arguments_are_read_without_panic(args in "[A-C=;, é]{0,30}", key in "[A-C]{0,2}") {
            let without = without_argument(&args, &key);
            prop_assert_eq!(argument(&without, &key), None);
            prop_assert!(without.len() <= args.len());
        }

        #[test]
        fn any_environment_is_read_or_refused_with_code_4(values in proptest::collection::vec(".{0,20}", 6)) {
            let names = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH", "CNI_NETNS_OVERRIDE"];
            let mut pairs: Vec<(&str, &str)> = names.into_iter().zip(values.iter().map(String::as_str)).collect();
            pairs.push(("CNI_COMMAND", "ADD"));
            match read(&pairs) {
                Ok(found) => prop_assert!(is_name(&found.container_id) && is_ifname(&found.ifname)),
                Err(error) => prop_assert_eq!(error.code, 4),
            }
        }
    }
}

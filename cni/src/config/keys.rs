//! Reading keys of an object with errors that name them.

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::StaticIp;
use crate::error::{Error, code};

/// An object and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    object: &'a Map<String, Value>,
    path: &'static str,
}

impl<'a> Keys<'a> {
    /// The object at a path, which ends in a dot or is empty.
    pub fn new(object: &'a Map<String, Value>, path: &'static str) -> Self {
        Self { object, path }
    }

    /// The error of a key that is not what it should be.
    pub(super) fn wrong(&self, key: &str, want: &str) -> Error {
        let found = self.object.get(key).map(Value::to_string).unwrap_or_default();
        let shown: String = found.chars().take(80).collect();
        Error::new(code::INVALID_CONFIG, format!("{}{key}: {shown} is not {want}", self.path))
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// A text; empty when absent.
    ///
    /// # Errors
    /// Code 7 when it is something else.
    pub fn text(&self, key: &str) -> Result<String, Error> {
        match self.get(key) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(self.wrong(key, "a text")),
        }
    }

    /// A list of texts, or one text; empty when absent.
    ///
    /// # Errors
    /// Code 7 when it is something else.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, Error> {
        let wrong = || self.wrong(key, "a list of texts");
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(list)) => {
                list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }

    /// A yes or no; annotations often make a text of it.
    ///
    /// # Errors
    /// Code 7 when it is something else.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    /// A whole number from 0 to `most`, also written as a text.
    ///
    /// # Errors
    /// Code 7 when it is something else.
    pub fn number(&self, key: &str, most: u32) -> Result<Option<u32>, Error> {
        let number = match self.get(key) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        let number = number.filter(|number| *number <= most);
        number.map(Some).ok_or_else(|| self.wrong(key, &format!("a whole number from 0 to {most}")))
    }

    /// An object.
    ///
    /// # Errors
    /// Code 7 when it is something else.
    pub fn object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(self.wrong(key, "an object")),
        }
    }

    /// A network in the text of a key; host bits do not count.
    ///
    /// # Errors
    /// Code 7 when it is none.
    pub fn net(&self, key: &str, text: &str) -> Result<IpNet, Error> {
        text.parse::<IpNet>().map(|net| net.trunc()).map_err(|_| {
            let message = format!("{}{key}: `{text}` is no network", self.path);
            Error::new(code::INVALID_CONFIG, message).with_details("it is written like 192.168.0.0/16")
        })
    }

    /// A MAC address of one station, in small letters.
    ///
    /// # Errors
    /// Code 7 when it is none.
    pub fn mac(&self, key: &str) -> Result<Option<String>, Error> {
        let text = self.text(key)?.to_ascii_lowercase();
        if text.is_empty() {
            return Ok(None);
        }
        let first = bytes(&text, 6).filter(|bytes| bytes.iter().any(|byte| *byte != 0));
        match first.and_then(|bytes| bytes.first().copied()) {
            Some(first) if first & 1 == 0 => Ok(Some(text)),
            Some(_) => {
                Err(self.wrong(key, "the MAC address of one station: clear the lowest bit of its first byte"))
            }
            None => Err(self.wrong(key, "a MAC address like 02:00:00:00:00:01")),
        }
    }

    /// A GUID of an InfiniBand port, in small letters.
    ///
    /// # Errors
    /// Code 7 when it is none.
    pub fn guid(&self, key: &str) -> Result<Option<String>, Error> {
        let text = self.text(key)?.to_ascii_lowercase();
        if text.is_empty() {
            return Ok(None);
        }
        match bytes(&text, 8) {
            Some(_) => Ok(Some(text)),
            None => Err(self.wrong(key, "a GUID like c2:11:22:33:44:55:66:77")),
        }
    }

    /// A list of addresses, each with or without prefix length.
    ///
    /// # Errors
    /// Code 7 when one is none.
    pub fn static_ips(&self, key: &str) -> Result<Vec<StaticIp>, Error> {
        let texts = self.texts(key)?;
        let each = texts.iter().map(|text| StaticIp::parse(text));
        each.collect::<Option<_>>().ok_or_else(|| self.wrong(key, "a list of addresses like 192.168.0.1/18"))
    }
}

/// Pairs of hexadecimal digits with colons between them.
fn bytes(text: &str, count: usize) -> Option<Vec<u8>> {
    let byte = |pair: &str| {
        let digits = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
    };
    let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
    bytes.filter(|bytes| bytes.len() == count)
}

impl StaticIp {
    /// An address, with or without prefix length.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Some(Self { address: net.addr(), prefix_len: Some(net.prefix_len()) });
        }
        text.parse().ok().map(|address| Self { address, prefix_len: None })
    }
}

//! The query of a request: names and values, percent-decoded, every name known.

use openapi::ProblemCode;

use super::problem::{Refusal, shown};

/// The names and values of a query, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads what stands behind the `?`. Every name must be among `known`.
    pub(crate) fn parse<'a>(
        raw: Option<&str>,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, Refusal> {
        let mut pairs = Vec::new();
        for part in raw.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !known.clone().any(|one| one == name) {
                return Err(Refusal::parameter(&name, known));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// A query without parameters.
    pub(crate) fn none(raw: Option<&str>) -> Result<(), Refusal> {
        Self::parse(raw, std::iter::empty()).map(|_| ())
    }

    /// Every name with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Percent-decoding, with `+` for a blank (WHATWG URL §5.1).
pub(crate) fn decode(text: &str) -> Result<String, Refusal> {
    let wrong = || {
        let detail = format!("`{}` is not percent-encoded UTF-8", shown(text));
        Refusal::new(ProblemCode::MalformedRequest, detail)
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
                (high * 16 + low) as u8
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::{Query, decode};

    #[test]
    fn encoded_text_is_decoded_and_nonsense_refused() {
        assert_eq!(decode("a%2Fb+c%C3%A9").unwrap(), "a/b cé");
        for text in ["%", "%2", "%zz", "%ff", "a%"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn unknown_parameter_is_named_with_its_neighbours() {
        let known = ["class", "state", "driver"];

        let refusal = Query::parse(Some("class=high&stat=up"), known.into_iter()).unwrap_err();

        assert_eq!(refusal.0.parameter.as_deref(), Some("stat"));
        assert_eq!(refusal.0.nearest, ["state"]);
    }
}

//! How a value lies in the store: one version byte, then JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of the values that this program writes.
const VERSION: u8 = 1;

/// Why a value cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It is empty.
    #[error("the value is empty")]
    Empty,
    /// A newer program wrote it.
    #[error("the value has version {0}, this program knows {VERSION}")]
    Newer(u8),
    /// It is not what it should be.
    #[error("the value cannot be read")]
    Json(#[from] serde_json::Error),
}

/// A value as bytes.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, value)?;
    Ok(bytes)
}

/// A value from bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    match bytes.split_first() {
        None => Err(RecordError::Empty),
        Some((&VERSION, json)) => Ok(serde_json::from_slice(json)?),
        Some((version, _)) => Err(RecordError::Newer(*version)),
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordError, decode, encode};
    use ipam::{Change, Owner, State};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_row_with_broken_bytes_is_an_error_or_another_row(
            breaks in proptest::collection::vec((0usize..300, any::<u8>()), 0..4), cut in 0usize..300)
        {
            let owner = Owner {
                network: "red".to_owned(),
                container_id: "c1".to_owned(),
                ifname: "net1".to_owned(),
                index: 0,
            };
            let change = Change {
                network: "red".to_owned(),
                block: "10.0.0.0/24".parse().unwrap(),
                address: "10.0.0.1".parse().unwrap(),
                state: State::Held { owner, since: 1_795_498_023 },
            };
            let mut bytes = encode(&change).unwrap();
            for (at, byte) in breaks {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            bytes.truncate(if cut % 4 == 0 { bytes.len().saturating_sub(cut) } else { bytes.len() });

            if let Ok(read) = decode::<Change>(&bytes) {
                prop_assert_eq!(decode::<Change>(&encode(&read).unwrap()).unwrap(), read);
            }
        }
    }

    #[test]
    fn value_reads_back_and_its_first_byte_is_the_version() {
        let bytes = encode(&["a", "b"]).unwrap();

        assert_eq!(bytes[0], 1);
        assert_eq!(decode::<Vec<String>>(&bytes).unwrap(), ["a", "b"]);
    }

    #[test]
    fn value_of_a_newer_program_and_nonsense_are_told_apart() {
        assert!(matches!(decode::<String>(&[2, b'"', b'"']), Err(RecordError::Newer(2))));
        assert!(matches!(decode::<String>(&[1, b'x']), Err(RecordError::Json(_))));
        assert!(matches!(decode::<String>(&[]), Err(RecordError::Empty)));
    }
}

//! Everything that ethtool says of a NIC, in one value.

use serde::{Deserialize, Serialize};

use super::decode::{self, FeatureBits};
use super::driver_info::{DriverInfo, driver_info};
use super::features::{Features, Fec, PrivateFlag, TimestampInfo};
use super::link_info::LinkInfo;
use super::link_modes::LinkModes;
use super::link_state::LinkState;
use super::queues::{Channels, Coalesce, Pause, Rings};
use super::request::{self, FAMILY, Question, StringSet};
use crate::attribute::Malformed;
use crate::error::{Error, KernelError, libc_errno};
use crate::socket::Socket;

/// The answers of one NIC; absent where its driver does not know the question.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Answers {
    /// Driver, firmware, bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverInfo>,
    /// Port and transceiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_info: Option<LinkInfo>,
    /// Speed, duplex, modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_modes: Option<LinkModes>,
    /// Link and its quality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_state: Option<LinkState>,
    /// Ring sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rings: Option<Rings>,
    /// Queue counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Channels>,
    /// Interrupt moderation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coalesce: Option<Coalesce>,
    /// Flow control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Forward error correction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fec: Option<Fec>,
    /// Offloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
    /// Time stamping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<TimestampInfo>,
    /// The driver's private switches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_flags: Option<Vec<PrivateFlag>>,
    /// Questions that failed otherwise than by "not supported" or "no such device".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<AnswerError>,
}

/// A question that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AnswerError {
    /// The command, as in `linkModes`.
    pub command: String,
    /// What went wrong, in words.
    pub reason: String,
    /// The kernel's error, when it was the kernel that refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelError>,
}

/// All answers of these NICs, in few sends; same order as `indexes`.
///
/// A NIC that is gone has no answers and no errors. [`Error::FamilyAbsent`] on a kernel before
/// 5.6. A question may take the driver's firmware its time: probe and cache, do not ask per use.
pub fn answers(socket: &mut Socket, indexes: &[u32]) -> Result<Vec<(u32, Answers)>, Error> {
    let family = socket.family(FAMILY)?.id;
    let mut requests = vec![request::names(family, StringSet::Features, None)];
    for index in indexes {
        requests.extend(Question::ALL.map(|question| question.request(family, *index)));
    }
    let mut results = socket.batch(&requests).into_iter();
    let feature_names = match results.next() {
        Some(result) => names(result)?,
        None => Vec::new(),
    };

    let mut all = Vec::with_capacity(indexes.len());
    let mut flags = Vec::new();
    for (position, index) in indexes.iter().enumerate() {
        let mut answers = Answers::default();
        for (question, result) in Question::ALL.into_iter().zip(results.by_ref()) {
            match message(result) {
                Ok(None) => {}
                Ok(Some(message)) => match answers.accept(question, &message, &feature_names) {
                    Ok(Some(found)) => flags.push((position, *index, found)),
                    Ok(None) => {}
                    Err(reason) => answers.fail(question.name(), &Error::decode("", reason)),
                },
                Err(error) => answers.fail(question.name(), &error),
            }
        }
        match driver_info(socket, *index) {
            Ok(driver) => answers.driver = driver,
            Err(error) => answers.fail("driver", &error),
        }
        all.push((*index, answers));
    }
    name_flags(socket, family, flags, &mut all);
    Ok(all)
}

/// Bits of the private switches: which there are, which are on.
type Flags = (Vec<u32>, Vec<u32>);

/// Asks for the names of the private switches that were found, in a second batch.
fn name_flags(socket: &mut Socket, family: u16, flags: Vec<(usize, u32, Flags)>, all: &mut [(u32, Answers)]) {
    let requests: Vec<_> = flags
        .iter()
        .map(|(_, index, _)| request::names(family, StringSet::PrivateFlags, Some(*index)))
        .collect();
    for (result, (position, _, (bits, on))) in socket.batch(&requests).into_iter().zip(flags) {
        let Some((_, answers)) = all.get_mut(position) else { continue };
        match names(result) {
            Ok(names) => {
                let named =
                    bits.iter().map(|bit| PrivateFlag { name: name(&names, *bit), on: on.contains(bit) });
                answers.private_flags = Some(named.collect());
            }
            Err(error) => answers.fail(Question::PrivateFlags.name(), &error),
        }
    }
}

type Messages = Result<crate::message::Answers, Error>;

/// The message that answers; absent when the NIC cannot say or is gone.
fn message(result: Messages) -> Result<Option<Vec<u8>>, Error> {
    match result {
        Ok(messages) => Ok(messages.into_iter().next().map(|(_, body)| body)),
        Err(Error::Kernel { source, .. })
            if [libc_errno::EOPNOTSUPP, libc_errno::ENODEV].contains(&source.errno) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn names(result: Messages) -> Result<Vec<String>, Error> {
    match message(result)? {
        Some(message) => {
            decode::names(&message).map_err(|reason| Error::decode("read ethtool names", reason))
        }
        None => Ok(Vec::new()),
    }
}

/// The name of a bit; its number where the kernel has no name for it.
fn name(names: &[String], bit: u32) -> String {
    let known = usize::try_from(bit).ok().and_then(|bit| names.get(bit)).filter(|name| !name.is_empty());
    known.cloned().unwrap_or_else(|| format!("bit{bit}"))
}

impl Answers {
    fn fail(&mut self, command: &str, error: &Error) {
        let (reason, kernel) = match error {
            Error::Kernel { source, .. } => (source.to_string(), Some(source.clone())),
            Error::Decode { reason, .. } => (format!("cannot decode: {reason}"), None),
            Error::Io { source, .. } => (source.to_string(), None),
            other => (other.to_string(), None),
        };
        self.errors.push(AnswerError { command: command.to_owned(), reason, kernel });
    }

    /// Takes one message; gives back private switches, whose names must still be asked for.
    fn accept(
        &mut self,
        question: Question,
        message: &[u8],
        feature_names: &[String],
    ) -> Result<Option<Flags>, Malformed> {
        match question {
            Question::LinkInfo => self.link_info = Some(decode::link_info(message)?),
            Question::LinkModes => self.link_modes = Some(decode::link_modes(message)?),
            Question::LinkState => self.link_state = Some(decode::link_state(message)?),
            Question::Rings => self.rings = Some(decode::rings(message)?),
            Question::Channels => self.channels = Some(decode::channels(message)?),
            Question::Coalesce => self.coalesce = Some(decode::coalesce(message)?),
            Question::Pause => self.pause = Some(decode::pause(message)?),
            Question::Fec => self.fec = Some(decode::fec(message)?),
            Question::Features => self.features = Some(named(&decode::features(message)?, feature_names)),
            Question::Timestamps => self.timestamps = Some(decode::timestamps(message)?),
            Question::PrivateFlags => {
                let flags = decode::private_flags(message)?;
                if !flags.0.is_empty() {
                    return Ok(Some(flags));
                }
            }
        }
        Ok(None)
    }
}

fn named(bits: &FeatureBits, names: &[String]) -> Features {
    let list = |bits: &[u32]| bits.iter().map(|bit| name(names, *bit)).collect();
    Features {
        hardware: list(&bits.hardware),
        wanted: list(&bits.wanted),
        active: list(&bits.active),
        no_change: list(&bits.no_change),
    }
}

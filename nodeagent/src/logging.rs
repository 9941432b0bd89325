//! The log: for a person, for the journal, or for a machine.

use std::fmt;
use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogLevel};

/// Begins to log to standard error. Only the first call of a process counts.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let logger = tracing_subscriber::fmt().with_max_level(level).with_writer(stderr);
    // The client of the API server tells each failure that it also returns.
    let foreign = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
    let targets = ["kube_client", "kube_runtime"].map(|target| (target, foreign));
    let targets = Targets::new().with_default(level).with_targets(targets);
    // The netlink packet crates use `log` and warn about each attribute they do not know.
    let started = match resolved(format, |name| std::env::var_os(name).is_some()) {
        LogFormat::Json => logger.json().flatten_event(true).finish().with(targets).try_init(),
        LogFormat::Journal => logger.with_ansi(false).event_format(Journal).finish().with(targets).try_init(),
        LogFormat::Text | LogFormat::Auto => {
            logger.with_ansi(stderr().is_terminal()).with_target(false).finish().with(targets).try_init()
        }
    };
    if started.is_err() {
        tracing::debug!("the log had begun already");
    }
}

/// What `auto` means here: systemd sets `JOURNAL_STREAM` for a service whose output goes to the journal, and
/// `INVOCATION_ID` for every service (systemd.exec(5)).
fn resolved(format: LogFormat, is_set: impl Fn(&str) -> bool) -> LogFormat {
    match format {
        LogFormat::Auto if is_set("JOURNAL_STREAM") || is_set("INVOCATION_ID") => LogFormat::Journal,
        LogFormat::Auto => LogFormat::Text,
        given => given,
    }
}

/// Lines with a syslog priority in front (sd-daemon(3)) and without time and colour: the journal has both.
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Syslog priorities (RFC 5424 §6.2.1).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::{LogFormat, priority, resolved};

    #[test]
    fn auto_means_the_journal_under_systemd_only() {
        assert_eq!(resolved(LogFormat::Auto, |_| false), LogFormat::Text);
        for name in ["JOURNAL_STREAM", "INVOCATION_ID"] {
            assert_eq!(resolved(LogFormat::Auto, |one| one == name), LogFormat::Journal);
            assert_eq!(resolved(LogFormat::Json, |one| one == name), LogFormat::Json);
        }
    }

    #[test]
    fn graver_levels_have_smaller_priorities() {
        use tracing::Level;
        let priorities = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG].map(priority);

        assert!(priorities.is_sorted_by(|a, b| a < b), "{priorities:?}");
    }
}

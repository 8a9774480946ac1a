//! Log lines: text on a terminal, JSON elsewhere, each with the trace id of the call it belongs to.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;

use keizoku_base::{Clock as _, SystemClock};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

use super::{LogFormat, TelemetryFault};
use crate::context;

/// Events of the targets and levels that are asked for. Spans are for traces only, so logs ask for none.
pub(super) fn filter<S>(levels: &str) -> Result<impl Filter<S> + use<S>, TelemetryFault> {
    let targets: Targets = levels.parse().map_err(|fault| TelemetryFault::Filter(format!("{levels:?}: {fault}")))?;
    Ok(targets.and(filter_fn(|metadata| metadata.is_event())))
}

/// Writes lines to standard error.
pub(super) fn layer<S>(format: LogFormat) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    tracing_subscriber::fmt::layer().with_writer(std::io::stderr).event_format(Lines { json, colour: terminal })
}

/// Logs panics with their place, instead of printing them.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("(no text)");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic = message, place, "a panic");
    }));
}

struct Lines {
    json: bool,
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (time, target) = (SystemClock.now(), event.metadata().target());
        let (level, trace) = (*event.metadata().level(), context::trace().map(|trace| trace.trace_id));
        if self.json {
            let mut line = Map::new();
            line.insert("time".to_owned(), time.to_string().into());
            line.insert("level".to_owned(), level.as_str().into());
            line.insert("message".to_owned(), fields.message.into());
            line.insert("target".to_owned(), target.into());
            if let Some(trace) = trace {
                line.insert("trace_id".to_owned(), trace.to_string().into());
            }
            line.extend(fields.rest);
            return writeln!(writer, "{}", Value::Object(line));
        }
        write!(writer, "{time} {} {target}: {}", shown(level, self.colour), fields.message)?;
        for (name, value) in fields.rest {
            write!(writer, " {name}={value}")?;
        }
        if let Some(trace) = trace {
            write!(writer, " trace_id={trace}")?;
        }
        writeln!(writer)
    }
}

fn shown(level: Level, colour: bool) -> String {
    let code = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    if colour { format!("\u{1b}[{code}m{level:>5}\u{1b}[0m") } else { format!("{level:>5}") }
}

/// The fields of an event, its sentence apart.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.rest.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            write!(self.message, "{value:?}").unwrap_or_default();
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" { value.clone_into(&mut self.message) } else { self.put(field, value.into()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("a page").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Page {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged(json: bool, work: impl FnOnce()) -> String {
        let page = Page::default();
        let lines =
            tracing_subscriber::fmt::layer().with_writer(page.clone()).event_format(Lines { json, colour: false });
        let filter = filter("info,quiet=error").expect("a filter");
        let subscriber = tracing_subscriber::Registry::default().with(lines.with_filter(filter));
        tracing::subscriber::with_default(subscriber, work);
        let bytes = page.0.lock().expect("a page").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn json_lines_carry_fields_and_the_trace_id() {
        let trace = context::Trace::begin();
        let text = logged(true, || {
            context::in_trace(trace, || tracing::info!(count = 3, name = "a \"b\"", "stored what was sent"));
        });
        let line: Value = serde_json::from_str(&text).expect("one JSON object");
        assert_eq!(line["message"], "stored what was sent");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["count"], 3);
        assert_eq!(line["name"], "a \"b\"");
        assert_eq!(line["trace_id"], trace.trace_id.to_string());
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    }

    #[test]
    fn text_lines_are_one_sentence_and_fields() {
        let text = logged(false, || tracing::warn!(port = 7070, "the port is taken"));
        assert!(text.ends_with("the port is taken port=7070\n"), "{text}");
        assert!(text.contains(" WARN "), "{text}");
    }

    #[test]
    fn levels_are_kept_per_target() {
        let text = logged(false, || {
            tracing::debug!("not this");
            tracing::info!(target: "quiet", "nor this");
            tracing::error!(target: "quiet", "but this");
        });
        assert_eq!(text.lines().count(), 1);
    }
}

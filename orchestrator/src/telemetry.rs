//! Logs for people or machines. Spans carry `request.id`, `delivery.id`, `trigger.id`, `run.id`, `step.id`
//! and `promotion.id`, so that each line of a story can be found.

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error; `SALLYPORT_LOG` filters (default `info`).
pub fn start(format: Format) {
    let filter =
        EnvFilter::try_from_env("SALLYPORT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // A second start in one process (tests) keeps the first.
    drop(tracing::subscriber::set_global_default(subscriber(
        format,
        filter,
        std::io::stderr,
    )));
}

/// What writes lines of this format there.
pub fn subscriber<W>(
    format: Format,
    filter: EnvFilter,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match format {
        Format::Human => Box::new(builder.with_ansi(false).finish()),
        Format::Json => Box::new(builder.json().finish()),
    }
}

//! One tool of the instance, run over an input that it cannot change; its report is what it prints.

use super::bench::{Bench, Stop, chain, why};
use crate::sandbox::{Container, Pod, Sink, Stream, WorkArea};
use contract::protocol::{ARTIFACT_BYTES_MAX, Tool, ToolEnd};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How a tool is called.
pub(super) struct Call {
    /// The command, in exec form.
    pub(super) command: Vec<String>,
    /// Its environment.
    pub(super) env: BTreeMap<String, String>,
    /// Exit codes with which it has done its work.
    pub(super) good: &'static [i64],
    /// Under what name its report is kept.
    pub(super) artifact: String,
}

/// Runs the tool, keeps what it printed as an artifact, and says how it ended. A tool that crashed
/// or printed no report is a problem in its end, not an error of this function.
pub(super) async fn run(
    bench: &mut Bench<'_>,
    pod: &Pod,
    tool: &Tool,
    call: Call,
) -> Result<(), Stop> {
    bench
        .log
        .section(&format!("{} {}", tool.name, call.artifact));
    bench.lease.phase("running");
    let printed = Arc::new(Mutex::new(Vec::new()));
    let container = Container {
        image: tool.image.clone(),
        command: call.command,
        env: call.env,
        workdir: "/".to_owned(),
        user: None,
        writable: vec!["/scratch".to_owned()],
        work: WorkArea::ReadOnly,
    };
    let sink = report_apart(bench, printed.clone());
    let ended = match bench.run(pod, container, sink).await {
        Ok(ended) => ended,
        Err(stop) => {
            if matches!(stop, Stop::Ended) {
                bench.claims.tools.push(ToolEnd {
                    name: tool.name.clone(),
                    exit_code: None,
                    problem: Some("ended before it was done".to_owned()),
                });
            }
            return Err(stop);
        }
    };
    let bytes = std::mem::take(&mut *printed.lock().unwrap_or_else(PoisonError::into_inner));
    let good = ended
        .exit_code
        .is_some_and(|code| call.good.contains(&code));
    let problem = if !good {
        Some(why(&ended))
    } else if bytes.len() as u64 > ARTIFACT_BYTES_MAX {
        Some(format!(
            "its report is larger than {ARTIFACT_BYTES_MAX} bytes"
        ))
    } else {
        serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
            .err()
            .map(|error| format!("its report is not JSON: {}", chain(&error)))
    };
    bench.log.line(&match &problem {
        None => format!("{}: {}", tool.name, why(&ended)),
        Some(problem) => format!("{}: {problem}", tool.name),
    });
    if !bytes.is_empty() && bytes.len() as u64 <= ARTIFACT_BYTES_MAX {
        bench.upload(call.artifact, bytes).await?;
    }
    bench.claims.tools.push(ToolEnd {
        name: tool.name.clone(),
        exit_code: ended.exit_code,
        problem,
    });
    Ok(())
}

/// The report goes apart, everything else that the tool says into the log.
fn report_apart(bench: &Bench<'_>, printed: Arc<Mutex<Vec<u8>>>) -> Sink {
    let mut log = bench.log.stream();
    Box::new(move |stream, bytes| match stream {
        Stream::Err => log.write(bytes),
        Stream::Out => {
            let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
            // One byte more than may be is enough to see that it is too much.
            let space = (ARTIFACT_BYTES_MAX as usize + 1).saturating_sub(printed.len());
            printed.extend_from_slice(&bytes[..bytes.len().min(space)]);
        }
    })
}

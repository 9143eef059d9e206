//! The option that names the trace of a command's jobs.

use clap::Args;
use mesh_core::trace::TraceContext;

/// The trace that the jobs of a command belong to.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Tracing")]
pub(crate) struct TraceArgs {
    /// The trace that the job belongs to, as W3C Trace Context writes it:
    /// 00-TRACE-PARENT-FLAGS [default: the variables TRACEPARENT and TRACESTATE, if they are valid]
    #[arg(long, env = "MESH_TRACEPARENT", value_name = "VALUE", value_parser = traceparent)]
    traceparent: Option<TraceContext>,
}

impl TraceArgs {
    /// The trace that the option names, or else the environment. A value of the environment that is
    /// not valid counts as none: somebody else has set it, for all programs.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        let variable = |name| std::env::var(name).ok();
        self.traceparent.clone().or_else(|| {
            TraceContext::parse(&variable("TRACEPARENT")?, variable("TRACESTATE").as_deref())
        })
    }
}

fn traceparent(text: &str) -> Result<TraceContext, &'static str> {
    let expected = "expected 00-TRACE-PARENT-FLAGS with 32, 16 and 2 lower-case hexadecimal digits";
    TraceContext::parse(text, None).ok_or(expected)
}

//! `mesh call`: calls a method of one agent, and shows the result.

use std::time::Duration;

use anyhow::Context as _;
use mesh_core::registry::is_name;
use mesh_node::Clock;
use mesh_node::net::CallRules;
use mesh_node::process::console::print;
use serde_json::{Value, json};

use super::WrongUsage;
use super::addresses::host_port;
use super::args::CallArgs;
use super::orchestrate::{ListedAgent, MeshClient, ms};
use super::remote_text::{harmless, json_text};
use super::security::call_rules;

/// The methods whose params describe a job.
const OF_JOBS: [&str; 2] = ["work", "delegate"];

pub(super) async fn run(clock: Clock, args: &CallArgs) -> anyhow::Result<()> {
    let params = params(args).map_err(WrongUsage)?;
    let named = host_port(args.agent.trim_end_matches("/rpc")).into_iter().collect();
    let registries = args.registries.all().map_err(WrongUsage)?;
    let rules = call_rules(&registries, args.credentials.open()?);
    let net = args.tls.open()?.client(CallRules { named, ..rules });
    let mesh = MeshClient::new(clock, registries, net).in_trace(args.trace.context());
    let agent = agent(&mesh, &args.agent).await?;
    let sent = clock.now();
    let result = mesh.call(&agent, &args.method, &params, args.timeout).await;
    let result =
        result.with_context(|| format!("{} at {} has no result", args.method, agent.url))?;
    let took = clock.now().since(sent);
    let text = if args.json { json_text(&result) } else { harmless(&readable(&result, took)) };
    print(&text);
    Ok(())
}

/// The agent with this address, or with this name in the registry's list.
async fn agent(mesh: &MeshClient, word: &str) -> anyhow::Result<ListedAgent> {
    match host_port(word.trim_end_matches("/rpc")) {
        Ok(url) => Ok(ListedAgent { name: word.to_owned(), url, is_listed: false }),
        Err(_) if is_name(word) => Ok(mesh.find(&mesh.discover().await?, word)?.clone()),
        Err(reason) => {
            Err(WrongUsage(anyhow::anyhow!("{word}: {reason}, or an agent's name")).into())
        }
    }
}

/// The params of the call. Those of a job say how long it may take.
fn params(args: &CallArgs) -> anyhow::Result<Value> {
    let is_job = OF_JOBS.contains(&&*args.method);
    let text = args.params.as_deref();
    let mut params = match text.map(|text| (text, serde_json::from_str::<Value>(text))) {
        None => json!({}),
        Some((_, Ok(params @ (Value::Object(_) | Value::Array(_))))) => params,
        Some((text, _)) if is_job && !text.trim_start().starts_with(['{', '[']) => {
            json!({ "text": text })
        }
        Some((text, Ok(_))) => anyhow::bail!("params are a JSON object or array, and not {text}"),
        Some((text, Err(error))) => anyhow::bail!("params are no JSON: {error}: {text}"),
    };
    if let (true, Some(job)) = (is_job, params.as_object_mut()) {
        job.entry("timeout_ms").or_insert_with(|| ms(args.timeout).into());
    }
    Ok(params)
}

/// A result for people, and how long it took: a line for each field.
fn readable(result: &Value, took: Duration) -> String {
    let round_trip = format!("{:.1} ms", ms(took));
    let mut lines: Vec<(&str, String)> = match result {
        Value::Object(fields) => fields.iter().map(|(name, v)| (&**name, plain(v))).collect(),
        other => vec![("result", plain(other))],
    };
    lines.push(("round trip", round_trip));
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    lines.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
}

/// A value as text: a string without quotation marks, a number with at most two decimals, all others
/// as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let rounded = (number.as_f64().unwrap_or_default() * 100.0).round() / 100.0;
            rounded.to_string()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn params_of(words: &[&str]) -> Result<Value, String> {
        let cli = Cli::parse_from([&["mesh", "call", "a"], words].concat());
        let Command::Call(args) = cli.command else { panic!("a call") };
        params(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn params_are_json_or_the_text_of_a_job() {
        assert_eq!(params_of(&["info"]), Ok(json!({})));
        let job = json!({ "text": "a b", "timeout_ms": 2000.0 });
        assert_eq!(params_of(&["work", "a b", "--timeout", "2s"]), Ok(job));
        let own = json!({ "text": "x", "timeout_ms": 5 });
        assert_eq!(params_of(&["delegate", &own.to_string()]), Ok(own));
        assert_eq!(params_of(&["add", "[1, 2]"]), Ok(json!([1, 2])));
        let refused = |words: &[&str]| params_of(words).expect_err("refused");
        assert!(refused(&["add", "1"]).ends_with("object or array, and not 1"));
        assert!(refused(&["work", "{\"text\":"]).starts_with("params are no JSON: EOF"));
    }

    #[test]
    fn a_result_is_a_line_for_each_field() {
        let took = Duration::from_millis(5);
        let text = readable(&json!({ "agent": "a", "cpu": 1.4999999, "list": [1, "x"] }), took);
        let expected =
            "agent       a\ncpu         1.5\nlist        [1,\"x\"]\nround trip  5.0 ms\n";
        assert_eq!(text, expected);
        assert_eq!(readable(&json!("done"), took), "result      done\nround trip  5.0 ms\n");
    }
}

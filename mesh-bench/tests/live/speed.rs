//! Tests that `mesh-bench throughput` and `idle` measure, not how fast anything is.

use serde_json::Value;

use crate::bench::Bench;

fn figures(args: &[&str]) -> (Value, String) {
    let bench = Bench::new("");
    let output = bench.run(&[args, &["--out", "out.json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let figures = serde_json::from_str(&bench.read("out.json")).unwrap();
    (figures, String::from_utf8(output.stdout).unwrap())
}

#[test]
fn an_agent_is_measured_beside_a_bare_server() {
    let args = ["throughput", "--only", "work", "--seconds", "0.3", "--rounds", "2"];
    let (figures, table) = figures(&[&args[..], &["--connections", "4"]].concat());
    let systems = figures["systems"].as_array().unwrap();
    let names: Vec<&str> = systems.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["bare_hyper", "work"]);
    for row in systems {
        assert!(row["requests_per_s"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["resident_mib"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!((row["failed"].as_u64(), row["opened"].as_u64()), (Some(0), Some(4)), "{row}");
        assert_eq!(row["rounds"].as_array().unwrap().len(), 2, "{row}");
    }
    assert!(systems[1]["ratio"].is_number() && systems[1]["limit_met"].is_boolean(), "{table}");
    assert!(table.lines().any(|line| line.trim_start().starts_with("work ")), "{table}");
}

#[test]
fn an_open_loop_sends_at_its_rate_and_meets_no_limit() {
    let args = ["throughput", "--only", "work_1", "--seconds", "1", "--rounds", "1"];
    let (figures, _) = figures(&[&args[..], &["--rate", "100"]].concat());
    for row in figures["systems"].as_array().unwrap() {
        let rate = row["requests_per_s"].as_f64().unwrap();
        // A busy machine may answer some after the end, and those don't count; none is sent twice.
        assert!(rate > 0.0 && rate <= 110.0, "{row}");
        assert!(row["limit_met"].is_null(), "{row}");
    }
}

#[test]
fn what_doors_cost_is_measured_and_a_machine_without_nginx_is_told_so() {
    let args = ["security", "--seconds", "0.3", "--rounds", "1", "--held", "40"];
    let (figures, table) = figures(&[&args[..], &["--connections", "4"]].concat());
    let rows = |part: &str| figures[part].as_array().unwrap().clone();
    let named = |rows: &[Value], name: &str| {
        let row = rows.iter().find(|row| row["name"] == name).cloned();
        row.unwrap_or_else(|| panic!("no {name}: {table}"))
    };
    for name in ["work", "work_keys", "work_tls", "work_mtls"] {
        let row = named(&rows("systems"), name);
        assert!(row["requests_per_s"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["failed"], 0, "{row}");
        let row = named(&rows("connections"), name);
        assert!(row["connections_per_s"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["failed"], 0, "{row}");
    }
    let has_nginx = rows("systems").iter().any(|row| row["name"] == "nginx_tls");
    assert_eq!(table.contains("left out: nginx_tls"), !has_nginx, "{table}");
    assert_eq!(named(&rows("systems"), "work_tls")["ratio"].is_number(), has_nginx);
}

#[test]
fn agents_at_rest_and_heartbeats_are_measured() {
    let args = ["idle", "--seconds", "1", "--leases", "40", "--heartbeat", "500ms"];
    let (figures, table) = figures(&[&args[..], &["--connections", "3"]].concat());
    let [busy, quiet, agent] = &figures["processes"].as_array().unwrap()[..] else {
        panic!("{table}")
    };
    assert!(busy["requests_per_s"].as_f64().unwrap() > 0.0, "{busy}");
    assert_eq!(busy["sockets"]["open"], 3, "a connection each: {busy}");
    for process in [busy, quiet, agent] {
        assert!(process["resident_mib"].as_f64().unwrap() > 0.0, "{process}");
    }
}

#[test]
fn a_strange_name_is_refused_with_those_that_there_are() {
    let output = Bench::new("").run(&["throughput", "--only", "works"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("p2c_own"), "{error}");
}

#[test]
fn a_mesh_that_is_not_there_is_wrong_usage() {
    for command in ["calibrate", "idle", "throughput"] {
        let output = Bench::new("").run(&[command, "--mesh", "/no/such/mesh"]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.starts_with("error: no `mesh` at /no/such/mesh: "), "{error}");
    }
}

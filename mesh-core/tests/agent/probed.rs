//! Policies that probe peers although no request waits: how many probes they send, and what peers
//! are asked.

use mesh_core::load::ServiceReport;
use mesh_core::protocol::{Reply, Request, ServiceReply};

use crate::driver::{Driver, config, done_by, info, job, load, ms};

const PEERS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Delegates a job, answers everything and says how many probes it took. Peer "a" is the fastest.
fn one_job(driver: &mut Driver) -> (usize, String) {
    let ticket = driver.delegate(job());
    let mut probes = 0;
    while let Some(call) = driver.calls.pop() {
        let result = match call.request {
            Request::Service => {
                probes += 1;
                let expected = if call.peer == "a" { ms(10) } else { ms(90) };
                let service =
                    ServiceReport { expected: Some(expected), ..ServiceReport::default() };
                let info = info(&call.peer, load(50.0, 1));
                Ok(Reply::Service(Box::new(ServiceReply { info, service })))
            }
            Request::Work(_) => done_by(&call.peer),
            other => panic!("{other:?}"),
        };
        driver.end_call(call.id, result);
    }
    driver.advance(ms(10));
    (probes, driver.done_by(ticket).to_owned())
}

#[test]
fn a_pool_is_filled_with_as_many_probes_as_its_setting_says() {
    for policy in ["prequal", "c3 clients=3", "linear", "gmsr"] {
        for (probes_per_job, expected) in [(3.0, 300), (1.5, 150), (0.25, 25), (0.0, 0)] {
            let text = format!("{policy} probes_per_job={probes_per_job}");
            let mut driver = Driver::with_peers(config(&text), &PEERS);
            let sent: usize = (0..100).map(|_| one_job(&mut driver).0).sum();
            assert_eq!(sent, expected, "{text}");
            driver.assert_idle();
        }
    }
}

#[test]
fn the_fastest_of_equally_busy_peers_gets_most_jobs_from_a_pool() {
    let mut driver = Driver::with_peers(config("prequal"), &PEERS);
    let chosen: Vec<String> = (0..100).map(|_| one_job(&mut driver).1).collect();
    let fastest = chosen.iter().filter(|peer| *peer == "a").count();
    // Half of the jobs probe it, and the next job goes to it. By chance it would get 17, with a
    // standard deviation of 4.
    assert!(fastest > 30, "{fastest} of 100");
}

#[test]
fn probes_that_a_job_waits_for_are_as_many_as_the_choices() {
    let mut driver = Driver::with_peers(config("prequal signal=probes compared=4"), &PEERS);
    for _ in 0..10 {
        assert_eq!(one_job(&mut driver).0, 4);
    }
    let mut driver = Driver::with_peers(config("prequal signal=probes compared=0"), &PEERS);
    assert_eq!(one_job(&mut driver), (6, "a".to_owned()), "all are asked");
}

#[test]
fn silent_peers_are_not_probed_in_advance() {
    let mut driver = Driver::with_peers(config("prequal"), &PEERS);
    for _ in 0..40 {
        let peer = {
            driver.delegate(job());
            let work = driver.calls.iter().find(|call| matches!(call.request, Request::Work(_)));
            work.expect("a job").peer.clone()
        };
        let work = driver.calls.iter().position(|call| matches!(call.request, Request::Work(_)));
        let call = driver.calls.remove(work.expect("a job"));
        driver.end_call(call.id, done_by(&peer));
    }
    // No more than a policy may have under way, and the rest is not made up for.
    assert_eq!(driver.calls.len(), mesh_core::routing::MAX_OWN_PROBES);
}

#[test]
fn every_peer_is_asked_once_per_interval_for_the_weights() {
    let mut driver = Driver::with_peers(config("weighted_round_robin"), &PEERS);
    one_job(&mut driver);
    let mut asked = 0;
    for _ in 0..100 {
        driver.advance(ms(100));
        for call in std::mem::take(&mut driver.calls) {
            assert!(matches!(call.request, Request::Service), "{:?}", call.request);
            asked += 1;
            let service = ServiceReport { served_per_s: 3.0, ..ServiceReport::default() };
            let info = info(&call.peer, load(50.0, 1));
            let reply = Reply::Service(Box::new(ServiceReply { info, service }));
            driver.agent.handle_call_result(driver.now, call.id, Ok(reply));
            driver.drain();
        }
    }
    assert!((60..=66).contains(&asked), "{asked} in 10 s");
}

#[test]
fn an_agent_that_is_asked_remembers_its_jobs_from_then_on() {
    let mut driver = Driver::new(config("random"));
    let ask = |driver: &mut Driver| {
        let (ticket, _) = driver.request(Request::Service);
        let Ok(Reply::Service(reply)) = &driver.answers[&ticket] else { panic!("no report") };
        reply.service
    };
    assert_eq!(ask(&mut driver), ServiceReport { slots: Some(1), ..ServiceReport::default() });
    // One slot: the second job waits for the first.
    driver.work(job());
    driver.work(job());
    for _ in 0..2 {
        driver.advance(ms(30));
        let (id, _) = driver.running.remove(0);
        driver.agent.handle_job_result(driver.now, id, Ok(crate::driver::output()));
        driver.drain();
    }
    let report = ask(&mut driver);
    assert_eq!(report.service_time, Some(ms(30)));
    assert_eq!((report.served_per_s, report.failed_per_s), (2.0, 0.0));
    assert_eq!(report.expected, Some(ms(30)), "30 ms per job in flight");
}

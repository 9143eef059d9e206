//! The page in a real browser.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::link::SlowLink;
use crate::process::{Service, http, json_at, until};
use crate::rights::Keys;

/// What a test's agents need, so that figures come soon.
const QUICK: [&str; 8] =
    ["--heartbeat", "500ms", "--refresh", "200ms", "--measure-peers", "200ms", "--demand", "20ms"];

/// The text of what a selector finds.
fn text(selector: &str) -> String {
    format!("(document.querySelector({selector:?})?.textContent ?? '')")
}

/// How many arrows of a kind the graph has.
fn arrows(band: &str) -> String {
    format!("JSON.parse(document.getElementById('graph').dataset.bands ?? '{{}}').{band} ?? 0")
}

fn card(agent: &str) -> String {
    format!("document.querySelector('[data-agent={agent:?}]')")
}

/// What is wrong with the page at its present size, as text; empty if nothing is.
const MISTAKES: &str = r#"(() => {
  const mistakes = [];
  if (document.documentElement.scrollWidth > innerWidth) mistakes.push('wider than the screen');
  for (const element of document.querySelectorAll('body *')) {
    const style = getComputedStyle(element);
    const isShown = element.offsetParent && element.textContent.trim();
    if (isShown && parseFloat(style.fontSize) < 12) mistakes.push(`small text: ${element.textContent.slice(0, 30)}`);
  }
  for (const field of document.querySelectorAll('input, select, textarea')) {
    if (!field.closest('label')) mistakes.push(`a field without a label: ${field.id}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  if (new Set(ids).size < ids.length) mistakes.push('an id occurs twice');
  return mistakes.join('; ');
})()"#;

/// Hands a job to an agent, again and again.
fn delegate(agent: &Service, count: usize) {
    for number in 0..count {
        let params = json!({ "text": format!("job {number}") });
        agent.call("delegate", params).expect("an answer");
    }
}

#[test]
fn the_page_shows_the_mesh_while_it_works() {
    let Some(mut browser) = Chromium::start() else { return };
    let registry = Service::registry(&["--ttl", "3s", "--sweep", "200ms"]);
    browser.open(&format!("http://{}/dashboard", registry.address), 1200, 900, false);
    browser.until(&format!("{}.includes('No agents yet')", text("#agents-note")));

    // Agents appear, with their arrows. `two` is reached over a link that can be made slow.
    let link = SlowLink::new();
    let near = [&QUICK[..], &["--site", "near", "--policy", "round_robin"]].concat();
    let far = [&QUICK[..], &["--site", "far", "--advertise", &link.address]].concat();
    let one = Service::agent("one", &registry.address, &near);
    let two = Service::unregistered("two", &registry.address, &far);
    link.lead_to(&two.address);
    let three = Service::agent("three", &registry.address, &near);
    one.await_peers(2);
    for agent in ["one", "two", "three"] {
        browser.until(&card(agent));
    }
    browser.until(&format!("{} === 6", arrows("good")));
    browser.until(&format!("{}.includes('no traffic yet')", text("[data-agent=one]")));
    browser.until(&format!("{}.includes('● live · 3 agents')", text("#status")));
    assert!(browser.value(&text("#matrix-note")).to_string().contains("No traffic yet"));

    // What is sent by the form shows up.
    browser.value("document.getElementById('send-agent').value = 'one'");
    browser.value("document.getElementById('send-text').value = '<b>by form</b>'");
    browser.value("document.getElementById('send-button').click()");
    browser.until(&format!("{}.includes('Processed: <b>by form</b>')", text("#send-answer")));
    browser.until(&format!("{}.includes('✓ done')", text("#jobs")));
    assert_eq!(browser.value("document.querySelectorAll('#jobs b, #send-answer b').length"), 0);
    let trace = format!("{}.match(/trace ([0-9a-f]{{32}})/)[1]", text("#send-answer"));
    browser.until(&format!("{}.includes({trace})", text("#jobs")));
    delegate(&one, 20);
    browser.until(&format!("{}.includes('100 % ·')", text("#matrix")));

    // An arrow changes its colour when the network becomes slow.
    link.delay(Duration::from_millis(150));
    browser.until(&format!("{} >= 2", arrows("bad")));
    browser.until(&format!("{} >= 2", arrows("good")));
    pictures(&mut browser, "mesh");

    // Keyboard: the arrow keys choose an agent, and its edges are told in words.
    browser.value("document.getElementById('graph').focus()");
    let key = json!({ "type": "keyDown", "key": "ArrowRight" });
    browser.command("Input.dispatchKeyEvent", key);
    browser.until(&format!("{}.startsWith('one at ')", text("#chosen")));
    browser.until(&format!("/to: .*(two|three) \\([0-9.]+ m?s/.test({})", text("#chosen")));
    // Chosen again, it is told of again at once.
    let again = "(() => { const graph = document.getElementById('graph'); \
                 graph.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' })); })()";
    browser.value(again);
    browser.until(&format!("{} === ''", text("#chosen")));
    let key = json!({ "type": "keyDown", "key": "ArrowRight" });
    browser.command("Input.dispatchKeyEvent", key);
    browser.until(&format!("{}.startsWith('one at ')", text("#chosen")));

    // Groups and the filter.
    browser.value(
        "(() => { const group = document.getElementById('group'); group.value = 'site'; \
                   group.dispatchEvent(new Event('input', { bubbles: true })); })()",
    );
    browser.until(&format!("{}.includes('near (2)')", text("#cards")));
    browser.value(
        "(() => { const filter = document.getElementById('filter'); filter.value = 'far'; \
                   filter.dispatchEvent(new Event('input', { bubbles: true })); })()",
    );
    browser.until("document.querySelectorAll('#cards .agent').length === 1");
    browser.value(
        "(() => { const filter = document.getElementById('filter'); filter.value = ''; \
                   filter.dispatchEvent(new Event('input', { bubbles: true })); })()",
    );

    // An agent that has expired is grey, and the event is told.
    three.process.signal("KILL");
    browser.until(&format!("{}?.classList.contains('gone')", card("three")));
    browser.until(&format!("{}.includes('expired')", text("[data-agent=three]")));
    browser.until(&format!("{}.includes('expired')", text("#events")));
    // A job that reaches nobody any more has a reason.
    until("a failure", || {
        let _ = one.call("delegate", json!({ "text": "in vain", "timeout_ms": 100 }));
        json_at(&registry.address, "/dashboard/state").to_string().contains("\"failed\"")
    });
    browser.until(&format!("{}.includes('✗')", text("#jobs")));
}

/// Looks at the page at both sizes in both schemes.
fn pictures(browser: &mut Chromium, name: &str) {
    for (width, height) in [(1200, 900), (400, 800)] {
        for is_dark in [false, true] {
            browser.show(width, height, is_dark);
            // Two frames later, everything is drawn at the new size.
            browser.value(
                "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => \
                 setTimeout(done, 300))))",
            );
            let scheme = if is_dark { "dark" } else { "light" };
            browser.picture(&format!("{name}-{width}-{scheme}"));
            let mistakes = browser.value(MISTAKES);
            assert_eq!(mistakes, "", "{name} at {width} px, {scheme}");
        }
    }
    browser.show(1200, 900, false);
}

#[test]
fn the_page_asks_for_a_key_and_comes_back_after_a_restart() {
    let Some(mut browser) = Chromium::start() else { return };
    let keys = Keys::new();
    let (observe, file) = (keys.key("observe"), keys.file());
    let mut registry = Service::registry(&["--keys", &file]);
    let address = registry.address.clone();
    // The slash at the end is none of the page's.
    browser.open(&format!("http://{address}/dashboard/"), 1200, 900, false);
    browser.until(&format!("{}.includes('sign in to see')", text("#status")));
    let sign_in = |browser: &mut Chromium, key: &str| {
        browser.value(&format!("document.getElementById('key').value = {key:?}"));
        browser.value("document.querySelector('#sign-in button').click()");
    };
    sign_in(&mut browser, "mesh_observe_a1_S3cretS3cretS3cretS3cretS3cretS3cret");
    browser.until(&format!("{}.includes('that is no key')", text("#rights")));
    sign_in(&mut browser, &observe);
    browser.until(&format!("{}.includes('You may see the mesh')", text("#rights")));
    browser.until(&format!("{}.includes('● live · 0 agents')", text("#status")));
    assert_eq!(browser.value("document.cookie"), "", "no script can read the pass");
    assert_eq!(browser.value("document.getElementById('send-button').disabled"), true);

    // The registry is gone, and comes back, with nobody signed in.
    registry.process.signal("KILL");
    registry.process.end();
    browser.until(&format!("{}.includes('✗ not live')", text("#status")));
    let _registry = Service::start(&["registry", "--listen", &address, "--keys", &file]);
    browser.until("document.getElementById('sign-out').hidden");
    sign_in(&mut browser, &observe);
    browser.until(&format!("{}.includes('● live · 0 agents')", text("#status")));
}

#[test]
fn a_mesh_of_two_hundred_is_readable_and_one_of_a_thousand_usable() {
    let Some(mut browser) = Chromium::start() else { return };
    let registry = Service::registry(&["--ttl", "60s"]);
    for number in 0..200 {
        register(&registry.address, number, 200);
    }
    browser.open(&format!("http://{}/dashboard", registry.address), 1200, 900, false);
    browser.until(&format!("{}.includes('200 agents')", text("#status")));
    browser.until("document.querySelectorAll('#cards .agent').length === 60");
    browser.until("document.querySelectorAll('#matrix tbody tr').length === 24");
    let paints =
        "JSON.stringify(performance.getEntriesByType('paint').map(it => [it.name, it.startTime]))";
    eprintln!("with 200 agents: {}", browser.value(paints));
    browser.value(
        "(() => { const group = document.getElementById('group'); group.value = 'site'; \
                   group.dispatchEvent(new Event('input', { bubbles: true })); })()",
    );
    browser.until("document.querySelectorAll('#cards h3').length >= 1");
    let (redraw, all) = (drawing_ms(&mut browser), browser.value(&arrows("good")));
    eprintln!("a drawing of 200 agents with {all} fast arrows: {redraw} ms");
    pictures(&mut browser, "many");
    for number in 200..1000 {
        register(&registry.address, number, 1000);
    }
    browser.until(&format!("{}.includes('1,000 agents')", text("#status")));
    browser.value("document.getElementById('more').click()");
    browser.until("document.querySelectorAll('#cards .agent').length === 120");
    eprintln!("a drawing of 1,000 agents: {} ms", drawing_ms(&mut browser));
    browser.picture("thousand");
    assert_eq!(browser.value(MISTAKES), "");
}

/// How long the page needs to draw everything anew, in milliseconds.
fn drawing_ms(browser: &mut Chromium) -> Value {
    browser.value(
        "new Promise(done => { const began = performance.now(); \
         document.getElementById('amber').value = 20 + Math.random(); \
         document.getElementById('tools').dispatchEvent(new Event('input')); \
         requestAnimationFrame(() => setTimeout(() => done(Math.round(performance.now() - began)))); })",
    )
}

/// Registers an agent that exists only on paper, with twenty edges.
fn register(address: &str, number: usize, of: usize) {
    let edge = |step: usize| {
        let rtt = [0.4, 3.0, 30.0, 250.0][(number + step) % 4];
        json!({
            "to": format!("agent-{}", (number + step * 7) % of), "done": 10 * step, "failed": step % 5 / 4,
            "p50_ms": 20.5, "p99_ms": 140.0, "rtt_ms": rtt, "rtt_age_ms": 100.0,
        })
    };
    let edges: Vec<Value> = (1..=20).map(edge).collect();
    let served =
        json!({ "done": 300 + number, "failed": number % 7, "p50_ms": 20.0, "p99_ms": 90.0 });
    let load =
        json!({ "cpu": number % 100, "mem": 40, "in_flight": number % 4, "queued": number % 2 });
    let telemetry = json!({
        "window_ms": 30000, "served": served, "peers": 20, "edges": edges, "load": load,
        "policy": "power_of_two",
    });
    let body = json!({
        "name": format!("agent-{number}"), "url": format!("127.0.0.1:{}", 10_000 + number),
        "site": format!("site-{}", number % 5), "telemetry": telemetry, "load": load,
    });
    let (status, answer) = http(address, "POST", "/register", &body.to_string());
    assert_eq!(status, 200, "{answer}");
}

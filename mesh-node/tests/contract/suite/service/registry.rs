//! What a registry promises to its agents and clients.

use super::*;

fn registration(incarnation: u64, renew: bool) -> Value {
    json!({ "name": "a", "url": "h:1", "incarnation": incarnation, "renew": renew })
}

pub(crate) async fn a_name_and_a_url_are_enough<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let body = json!({ "name": "agent-214", "url": "127.0.0.1:8612" });
    let granted = json!({ "status": "registered", "ttl_ms": 30_000 });
    assert_eq!(mesh.post(&registry, "/register", &body).await, (StatusCode::OK, granted));
    // A demo agent's heartbeat is the same body again.
    let renewed = json!({ "status": "renewed", "ttl_ms": 30_000 });
    assert_eq!(mesh.post(&registry, "/register", &body).await, (StatusCode::OK, renewed));
    let services = mesh.get(&registry, "/services").await;
    let lease = &services["agent-214"];
    assert_eq!(lease["url"], "127.0.0.1:8612");
    assert!(lease["last_heartbeat_ms"].as_u64().expect("an age") < 10_000);
    assert_eq!((&lease["incarnation"], &lease["load"]), (&Value::Null, &Value::Null));
    let health = json!({ "status": "ok", "leases": 1 });
    assert_eq!(mesh.get(&registry, "/healthz").await, health);
}

pub(crate) async fn a_heartbeat_renews_its_lease<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    mesh.post(&registry, "/register", &registration(1, false)).await;
    tokio::time::sleep(millis(50)).await;
    let mut heartbeat = registration(1, true);
    heartbeat["load"] = json!({ "cpu": 8.7, "mem": 47.3, "in_flight": 3, "queued": 1 });
    let (status, answer) = mesh.post(&registry, "/register", &heartbeat).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("renewed")));
    let lease = mesh.get(&registry, "/services").await["a"].take();
    assert_eq!(lease["load"], heartbeat["load"]);
    assert_eq!(lease["incarnation"], 1);
}

pub(crate) async fn an_unknown_lease_is_not_renewed<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let (status, answer) = mesh.post(&registry, "/register", &registration(1, true)).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::NOT_FOUND, &json!("unknown_lease")));
    assert!(mesh.names(&registry).await.is_empty());
}

pub(crate) async fn a_stale_incarnation_is_refused<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    mesh.post(&registry, "/register", &registration(5, false)).await;
    for renew in [false, true] {
        let (status, answer) = mesh.post(&registry, "/register", &registration(4, renew)).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(answer["reason"], "stale_incarnation");
        assert_eq!(answer["current"], 5);
    }
    assert_eq!(mesh.get(&registry, "/services").await["a"]["incarnation"], 5);
}

pub(crate) async fn a_late_heartbeat_revives_nothing<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    mesh.post(&registry, "/register", &registration(5, false)).await;
    mesh.post(&registry, "/deregister", &json!({ "name": "a", "incarnation": 5 })).await;
    let (status, _) = mesh.post(&registry, "/register", &registration(5, true)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, answer) = mesh.post(&registry, "/register", &registration(5, false)).await;
    assert_eq!((status, &answer["current"]), (StatusCode::CONFLICT, &json!(5)));
    assert!(mesh.names(&registry).await.is_empty());
    let (status, _) = mesh.post(&registry, "/register", &registration(6, false)).await;
    assert_eq!(status, StatusCode::OK);
}

pub(crate) async fn a_lease_ends_after_its_ttl<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let ttl = millis(1000);
    let leases = LeaseConfig { ttl, sweep: Duration::ZERO };
    let registry = mesh.registry(RegistryConfig { leases, ..patient() }).await;
    let start = mesh.clock.now();
    mesh.post(&registry.address, "/register", &registration(1, false)).await;
    until("the list is empty", async || mesh.names(&registry.address).await.is_empty()).await;
    assert!(since(mesh.clock, start) >= ttl, "{:?}", since(mesh.clock, start));
    // The registry notes it by itself, not when it is asked.
    until("the end is noted", async || !registry.noted.notes("Expired").is_empty()).await;
    let (status, _) = mesh.post(&registry.address, "/register", &registration(1, true)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

pub(crate) async fn a_lease_is_given_up<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let give_up = async |body| mesh.post(&registry, "/deregister", &body).await;
    mesh.post(&registry, "/register", &registration(2, false)).await;
    let (status, answer) = give_up(json!({ "name": "a", "incarnation": 1 })).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::CONFLICT, &json!("stale_incarnation")));
    assert_eq!(mesh.names(&registry).await, ["a"]);
    let done = (StatusCode::OK, json!({ "status": "deregistered" }));
    assert_eq!(give_up(json!({ "name": "a" })).await, done);
    assert!(mesh.names(&registry).await.is_empty());
    let (status, answer) = give_up(json!({ "name": "a" })).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::NOT_FOUND, &json!("unknown_lease")));
}

pub(crate) async fn what_is_no_registration_is_refused<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    for body in [
        "{",
        "[]",
        r#"{"name": "a"}"#,
        r#"{"name": "", "url": "h:1"}"#,
        r#"{"name": "a/b", "url": "h:1"}"#,
        r#"{"name": "a", "url": "nowhere"}"#,
        r#"{"name": "a", "url": "h:0"}"#,
        r#"{"name": "a", "url": "h:1", "incarnation": -1}"#,
        r#"{"name": "a", "url": "h:1", "weight": 0}"#,
        r#"{"name": "a", "url": "h:1", "weight": 101}"#,
        r#"{"name": "a", "url": "h:1", "site": "two words"}"#,
        r#"{"name": "a", "url": "h:1", "site": 7}"#,
    ] {
        let answer = mesh.ask(&registry, Method::POST, "/register", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(parsed(&answer)["reason"], "invalid", "{body}");
    }
    assert!(mesh.names(&registry).await.is_empty());
}

pub(crate) async fn weights_and_sites_are_listed_if_agents_say_them<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    for body in [
        json!({ "name": "a", "url": "h:1", "weight": 2.5, "site": "eu" }),
        json!({ "name": "b", "url": "h:2", "weight": 1 }),
    ] {
        assert_eq!(mesh.post(&registry, "/register", &body).await.0, StatusCode::OK);
    }
    let services = mesh.get(&registry, "/services").await;
    assert_eq!((&services["a"]["weight"], &services["a"]["site"]), (&json!(2.5), &json!("eu")));
    assert_eq!((services["b"].get("weight"), services["b"].get("site")), (None, None));
}

pub(crate) async fn a_load_out_of_range_is_refused<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let register = async |cpu: &str, mem: &str| {
        let load = format!(r#"{{"cpu": {cpu}, "mem": {mem}}}"#);
        let body = format!(r#"{{"name": "a", "url": "h:1", "load": {load}}}"#);
        mesh.ask(&registry, Method::POST, "/register", &body).await.status
    };
    for bad in ["-0.1", "100.1", "1e999", "NaN", "null", "\"1\""] {
        assert_eq!(register(bad, "1").await, StatusCode::BAD_REQUEST, "cpu {bad}");
        assert_eq!(register("1", bad).await, StatusCode::BAD_REQUEST, "mem {bad}");
    }
    assert!(mesh.names(&registry).await.is_empty());
    assert_eq!(register("0", "100").await, StatusCode::OK);
}

pub(crate) async fn only_what_is_served_is_answered<N: Net>(net: N) {
    let mesh = Mesh::new(net.clone());
    let registry = mesh.registry(patient()).await.address;
    for (path, allowed, other) in [
        ("/register", "POST, OPTIONS", Method::GET),
        ("/deregister", "POST, OPTIONS", Method::PUT),
        ("/services", "GET, HEAD, OPTIONS", Method::POST),
        ("/healthz", "GET, HEAD, OPTIONS", Method::DELETE),
        ("/metrics", "GET, HEAD, OPTIONS", Method::POST),
    ] {
        mesh.is_not_allowed(&registry, path, allowed, other).await;
    }
    // A client that asks only for the head waits for no news.
    for path in ["/services", "/healthz", "/metrics", "/services?wait=60s&index=0"] {
        mesh.head_is_like_get(&net, &registry, path.split("?wait").next().expect("a path")).await;
        let head = mesh.ask(&registry, Method::HEAD, path, "").await;
        assert_eq!((head.status, &*head.body), (StatusCode::OK, &b""[..]), "{path}");
    }
    let marked = format!("\u{feff}{}", json!({ "name": "a", "url": "h:1" }));
    let answer = mesh.ask(&registry, Method::POST, "/register/", &marked).await;
    assert_eq!(answer.status, StatusCode::OK, "a byte order mark is skipped");
    let answer = mesh.ask(&registry, Method::GET, "/rpc", "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    for path in ["/register", "/deregister"] {
        assert_eq!(post_as_text(&net, &registry, path).await, 415, "{path}");
    }
}

pub(crate) async fn the_epoch_and_the_index_are_told<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let look = async || {
        let answer = mesh.ask(&registry, Method::GET, "/services", "").await;
        assert_eq!(answer.header("mesh-epoch"), Some("7"));
        answer.header("mesh-index").expect("an index").parse::<u64>().expect("a number")
    };
    let empty = look().await;
    mesh.post(&registry, "/register", &registration(1, false)).await;
    let first = look().await;
    assert!(first > empty);
    mesh.post(&registry, "/register", &registration(1, true)).await;
    assert_eq!(look().await, first, "a renewal changes nothing");
    mesh.post(&registry, "/deregister", &json!({ "name": "a" })).await;
    assert!(look().await > first);
}

pub(crate) async fn a_full_registry_says_so<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(RegistryConfig { max_leases: 1, ..patient() }).await.address;
    mesh.post(&registry, "/register", &registration(1, false)).await;
    let other = json!({ "name": "b", "url": "h:1" });
    let (status, answer) = mesh.post(&registry, "/register", &other).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer["reason"], "registry_full");
}

pub(crate) async fn a_long_poll_is_answered_on_change<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    // The index of a registry that has seen nothing yet.
    let path = format!("/services?wait=20s&index={EPOCH}");
    let poll = async || mesh.ask(&registry, Method::GET, &path, "").await;
    let register = async {
        tokio::time::sleep(millis(100)).await;
        mesh.post(&registry, "/register", &registration(1, false)).await;
    };
    let start = mesh.clock.now();
    let (changed, ()) = tokio::join!(poll(), register);
    assert_eq!(parsed(&changed)["a"]["url"], "h:1");
    assert!((millis(100)..millis(10_000)).contains(&since(mesh.clock, start)));
    // The client is one change behind: it is told at once.
    let start = mesh.clock.now();
    assert_eq!(poll().await.body.len(), changed.body.len());
    assert!(since(mesh.clock, start) < millis(10_000));
    for bad in ["wait=soon&index=0", "wait=1s&index=x"] {
        let path = format!("/services?{bad}");
        let answer = mesh.ask(&registry, Method::GET, &path, "").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

pub(crate) async fn a_restarted_registry_holds_no_news_back<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let index = async |address: &str| {
        let answer = mesh.ask(address, Method::GET, "/services", "").await;
        answer.header("mesh-index").expect("an index").parse::<u64>().expect("a number")
    };
    let registry = mesh.registry(patient()).await;
    let address = registry.address.clone();
    mesh.post(&address, "/register", &registration(1, false)).await;
    let known = index(&address).await;
    registry.kill().await;
    let _registry = mesh.registry_at(&address, EPOCH + 1_000_000, patient()).await;
    // Until the client knows that its connection is gone.
    tokio::time::sleep(millis(20)).await;
    // As many changes as the client knows of, and others.
    let other = json!({ "name": "b", "url": "h:1" });
    mesh.post(&address, "/register", &other).await;
    assert!(index(&address).await > known);
    let start = mesh.clock.now();
    let path = format!("/services?wait=20s&index={known}");
    let list = parsed(&mesh.ask(&address, Method::GET, &path, "").await);
    assert_eq!(list["b"]["url"], "h:1");
    assert!(since(mesh.clock, start) < millis(10_000), "at once");
}

pub(crate) async fn two_processes_with_one_name_are_told_of_each_other<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    let ask = async |url: &str, incarnation: u64| {
        let body = json!({ "name": "a", "url": url, "incarnation": incarnation });
        mesh.post(&registry, "/register", &body).await
    };
    ask("h:1", 1).await;
    let (_, taken) = ask("h:2", 2).await;
    assert_eq!(taken, json!({ "status": "registered", "ttl_ms": 30_000 }));
    let (status, refused) = ask("h:1", 1).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!((&refused["current"], &refused["holder"]), (&json!(2), &json!("h:2")));
    assert_eq!(ask("h:2", 2).await.1["rival"], "h:1");
}

pub(crate) async fn a_long_poll_ends_with_its_wait_and_with_the_registry<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await;
    let address = registry.address.clone();
    let poll = async |wait: &str| {
        let path = format!("/services?wait={wait}&index={EPOCH}");
        mesh.ask(&address, Method::GET, &path, "").await
    };
    let start = mesh.clock.now();
    assert_eq!(parsed(&poll("200ms").await), json!({}));
    assert!(since(mesh.clock, start) >= millis(200));
    let stop = async {
        tokio::time::sleep(millis(100)).await;
        registry.stop().await
    };
    let start = mesh.clock.now();
    let (answer, served) = tokio::join!(poll("20s"), stop);
    assert_eq!((answer.status, served.cut_off), (StatusCode::OK, 0));
    assert!(since(mesh.clock, start) < millis(5_000), "it does not hold the registry up");
}

pub(crate) async fn its_metrics_count_what_happened<N: Net>(net: N) {
    let mesh = Mesh::new(net);
    let registry = mesh.registry(patient()).await.address;
    mesh.post(&registry, "/register", &registration(2, false)).await;
    mesh.post(&registry, "/register", &registration(2, true)).await;
    mesh.post(&registry, "/register", &registration(1, false)).await;
    mesh.post(&registry, "/register", &json!({ "name": "b", "url": "h:1" })).await;
    mesh.post(&registry, "/deregister", &json!({ "name": "b" })).await;
    mesh.ask(&registry, Method::GET, "/strange", "").await;
    mesh.has_metrics(
        &registry,
        &[
            "mesh_registry_leases{state=\"live\"} 1",
            "mesh_registry_granted_total 2",
            "mesh_registry_renewed_total 1",
            "mesh_registry_refused_total{reason=\"stale_incarnation\"} 1",
            "mesh_registry_ended_total{kind=\"deregistered\"} 1",
            "mesh_registry_requests_total{path=\"/register\",status=\"200\"} 3",
            "mesh_registry_requests_total{path=\"/register\",status=\"409\"} 1",
            "mesh_registry_requests_total{path=\"other\",status=\"404\"} 1",
        ],
    )
    .await;
}

//! Servers that are killed under load, and servers that are not there.

use std::time::Duration;

use futures_util::future::join_all;
use mesh_core::protocol::Name;
use mesh_node::http::StatusCode;
use mesh_node::registry::store::StorePlace;

use crate::servers::{self, Program, Server};
use crate::service::RunningRegistry;
use crate::subject::LONG;

#[test]
fn redis_that_is_killed_under_load_loses_nothing_acknowledged() {
    survives(Program::Redis);
}

#[test]
fn etcd_that_is_killed_under_load_loses_nothing_acknowledged() {
    survives(Program::Etcd);
}

fn survives(program: Program) {
    if !servers::is_there(program) {
        return;
    }
    let mut server = Server::start(program);
    let place = server.place("killed");
    crate::run(async {
        let registry = RunningRegistry::at(&place, LONG).await;
        assert_eq!(registry.register("old", 1, false).await.status, 200);
        // Registrations one after the other, of which some meet the kill.
        let mut acknowledged: Vec<Name> = vec!["old".into()];
        for round in 0..12 {
            let names: Vec<String> = (0..16).map(|number| format!("a-{round}-{number}")).collect();
            let load = join_all(names.iter().map(|name| registry.register(name, 1, false)));
            let (answers, ()) = tokio::join!(load, async {
                if round == 4 {
                    server.kill();
                }
            });
            for (name, answer) in names.into_iter().zip(answers) {
                match answer.status {
                    StatusCode::OK => acknowledged.push(name.into()),
                    status => {
                        assert_eq!(status, 503, "{:?}", answer.body);
                        assert_eq!(answer.header("retry-after"), Some("1"));
                    }
                }
            }
        }
        assert!(acknowledged.len() > 60 && acknowledged.len() < 190, "{}", acknowledged.len());
        // Without the store: the list, and heartbeats.
        assert!(registry.list().await["old"].is_object());
        assert_eq!(registry.register("old", 1, true).await.status, 200);
        assert_eq!(registry.health().await["store"], "unavailable");
        server.restart();
        crate::until("a registration", async || {
            (registry.register("new", 1, false).await.status == 200).then_some(())
        })
        .await;
        acknowledged.push("new".into());
        let (_, contents) = place.open(LONG).await.expect("a store");
        for name in &acknowledged {
            let is_there = contents.records.iter().any(|record| record.name == *name);
            assert!(is_there, "{name} is lost");
        }
        assert_eq!(registry.health().await["store"], "ok");
    });
    server.kill();
}

/// Why a place can't be opened.
async fn refused(place: &str) -> String {
    let place: StorePlace = place.parse().expect("a place");
    match tokio::time::timeout(Duration::from_secs(10), place.open(LONG)).await {
        Ok(Ok(_)) => panic!("{place} was opened"),
        Ok(Err(error)) => error.to_string(),
        Err(_) => panic!("{place} takes too long"),
    }
}

#[test]
fn a_store_that_is_not_there_is_named_without_its_password() {
    crate::run(async {
        for place in ["redis://:secret@127.0.0.1:1", "etcd://me:secret@127.0.0.1:1"] {
            let error = refused(place).await;
            assert!(error.contains("127.0.0.1:1 can't be used"), "{error}");
            assert!(!error.contains("secret") && !error.contains('\n'), "{error}");
        }
    });
}

#[test]
fn a_wrong_password_is_called_that() {
    if servers::is_there(Program::Redis) {
        let address = servers::shared(Program::Redis).address();
        crate::run(async {
            let error = refused(&format!("redis://nobody:secret@{address}")).await;
            assert!(error.contains("user name or") && !error.contains("secret"), "{error}");
        });
    }
    if servers::is_there(Program::Etcd) {
        let mut server = Server::start(Program::Etcd);
        for (path, body) in [
            ("/v3/auth/user/add", r#"{"name":"root","password":"right"}"#),
            ("/v3/auth/role/add", r#"{"name":"root"}"#),
            ("/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#),
            ("/v3/auth/enable", "{}"),
        ] {
            let answer = server.etcd(path, body);
            assert!(answer.contains(" 200 "), "{path}: {answer}");
        }
        let address = server.address();
        crate::run(async {
            for user in ["root:secret@", ""] {
                let error = refused(&format!("etcd://{user}{address}")).await;
                assert!(error.contains("another user name or password"), "{error}");
                assert!(!error.contains("secret"), "{error}");
            }
            let place: StorePlace =
                format!("etcd://root:right@{address}").parse().expect("a place");
            assert!(place.open(LONG).await.is_ok());
        });
        server.kill();
    }
}

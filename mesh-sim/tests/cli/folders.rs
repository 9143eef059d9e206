//! Where results go: numbered folders, `latest`, `--keep`, and the trial before the runs.

use std::fs;

use super::{TestDir, names, on_event};

fn on_event_dir() -> TestDir {
    let test_dir = TestDir::new();
    test_dir.write("small.toml", &on_event());
    test_dir
}

#[cfg(unix)]
#[test]
fn each_run_has_a_folder_of_its_own_and_latest_leads_to_the_last() {
    let test_dir = on_event_dir();
    for number in 1..=3 {
        let seed = number.to_string();
        let (code, out, err) = test_dir.ran(&["small.toml", "--seed", &seed]);
        assert_eq!((code, err.as_str()), (0, ""));
        let said = format!(" written to results/runs/small/{number} (latest):\n   report.html ");
        assert!(out.contains(&said), "{out}");
        let link = fs::read_link(test_dir.path("results/runs/small/latest")).unwrap();
        assert_eq!(link.to_str(), Some(&*seed), "a relative link");
    }
    let above = test_dir.path("results/runs/small");
    assert_eq!(names(&above), ["1", "2", "3", "latest"], "no hidden folders stay");
    let summary = |folder: &str| fs::read(above.join(folder).join("summary.json")).unwrap();
    assert!(summary("1") != summary("3") && summary("latest") == summary("3"));
    // A number that is gone at the end may be given again, others never.
    fs::remove_dir_all(above.join("2")).unwrap();
    fs::write(above.join("4"), "a file that has the next number").unwrap();
    assert!(test_dir.ran(&["small.toml"]).1.contains("small/5 (latest)"));
}

#[test]
fn runs_at_the_same_time_get_a_number_each() {
    let test_dir = on_event_dir();
    let start = |_| test_dir.command(&["small.toml", "--json"]).output();
    let codes: Vec<Option<i32>> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6).map(|run| scope.spawn(move || start(run))).collect();
        runs.into_iter().map(|run| run.join().unwrap().unwrap().status.code()).collect()
    });
    assert_eq!(codes, [Some(0); 6]);
    let mut found = names(&test_dir.path("results/runs/small"));
    found.retain(|name| name != "latest");
    assert_eq!(found, ["1", "2", "3", "4", "5", "6"]);
}

#[cfg(unix)]
#[test]
fn only_so_many_are_kept_and_nothing_of_the_user_goes() {
    let test_dir = on_event_dir();
    let run = |args: &[&str]| test_dir.ran(&[&["small.toml", "--policy", "random"], args].concat());
    let above = test_dir.path("results/runs/small");
    (0..4).for_each(|_| assert_eq!(run(&[]).0, 0));
    fs::write(above.join("2/notes.txt"), "mine").unwrap();
    fs::remove_file(above.join("3/summary.json")).unwrap();
    fs::create_dir(above.join("0")).unwrap();
    let (code, _, err) = run(&["--keep", "1"]);
    let note = "note: results/runs/small/2/notes.txt is none of the results, so its folder stays\n";
    assert_eq!((code, &*err), (0, note));
    // 3 has no results that are complete, so it is not known to be ours.
    assert_eq!(names(&above), ["0", "2", "3", "5", "latest"]);
    fs::remove_file(above.join("2/notes.txt")).unwrap();
    assert_eq!(run(&["--keep", "2"]).0, 0);
    assert_eq!(names(&above), ["0", "3", "5", "6", "latest"]);
    for wrong in [&["--keep", "0"][..], &["--keep", "2", "--out", "here"]] {
        assert_eq!(run(wrong).0, 2, "{wrong:?}");
    }
    let sweep = ["sweep", "small.toml", "--seeds", "1..2", "--keep", "1"];
    assert_eq!(test_dir.ran(&[&sweep[..], &["--shard", "1/2"]].concat()).0, 2);
    (0..2).for_each(|_| assert_eq!(test_dir.ran(&sweep).0, 0));
    assert_eq!(names(&test_dir.path("results/runs/small-sweep")), ["2", "latest"]);
}

#[cfg(unix)]
#[test]
fn a_folder_of_numbered_runs_stands_for_its_latest() {
    let test_dir = on_event_dir();
    for seed in ["1", "2"] {
        assert_eq!(test_dir.ran(&["small.toml", "--seed", seed]).0, 0);
    }
    let compare = |a: &str| {
        let args = ["compare", a, "--baseline", "random", "--json"];
        let (code, _, err) = test_dir.ran(&[&args[..], &["c.json"]].concat());
        (code, err, fs::read_to_string(test_dir.path("c.json")).unwrap_or_default())
    };
    let latest = compare("results/runs/small");
    assert_eq!(latest.0, 0, "{}", latest.1);
    assert_eq!(latest, compare("results/runs/small/2"));
    assert_ne!(latest, compare("results/runs/small/1"));
    assert_eq!(test_dir.ran(&["small.toml", "--out", "results/runs/small"]).0, 0);
    let (code, err, _) = compare("results/runs/small");
    assert_eq!(code, 1);
    assert!(err.contains("name results/runs/small/latest, or a file in results/runs/small"));
    assert_eq!(compare("results/runs/small/summary.json").0, 0);

    let parts = ["sweep", "small.toml", "--seeds", "1..2"];
    for shard in ["1/2", "2/2"] {
        let (code, out, err) = test_dir.ran(&[&parts[..], &["--shard", shard]].concat());
        assert_eq!(code, 0, "{err}");
        assert!(out.contains(" written: results/runs/small-parts/shard-"), "{out}");
    }
    let (code, out, err) = test_dir.ran(&["merge", "results/runs/small-parts"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains(" written to results/runs/small-sweep/1 (latest):\n"), "{out}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_to_is_found_before_the_runs() {
    let test_dir = on_event_dir();
    test_dir.write("endless.toml", &super::interrupt::endless());
    test_dir.write("file", "");
    fs::create_dir(test_dir.path("mine")).unwrap();
    test_dir.write("mine/scenario.toml", "# mine");
    let before = names(test_dir.0.path());
    for line in [
        "endless.toml --out file",
        "endless.toml --json --out file/below",
        "endless.toml --out /proc/nowhere",
        "endless.toml --out mine",
        "sweep endless.toml --out file",
        "sweep endless.toml --out mine",
        "sweep endless.toml --shard 1/2 --out file",
        "recommend endless.toml --out file",
        "explore endless.toml --runs 1 --out file",
    ] {
        let (code, _, err) = test_dir.ran(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(code, 1, "{line}: {err}");
        assert!(err.starts_with("error: failed to write the results to "), "{line}: {err}");
        assert!(err.contains("another "), "{line}: {err}");
    }
    assert_eq!(names(test_dir.0.path()), before, "nothing is left of the trials");
}

#[test]
fn what_was_made_for_the_trial_goes_with_runs_that_write_nothing() {
    let test_dir = TestDir::new();
    assert_eq!(test_dir.ran(&["explore", "small.toml", "--runs", "1", "--out", "a/b"]).0, 0);
    assert_eq!(names(test_dir.0.path()), ["small.toml"]);
}

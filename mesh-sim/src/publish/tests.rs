use std::collections::BTreeMap;
use std::thread;

use super::*;

/// The content of every file below a folder, by its path from the folder.
fn content(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            assert!(!content(&path).is_empty(), "{} was left behind", path.display());
            found.extend(content(&path).into_iter().map(|(below, text)| (name.join(below), text)));
        } else {
            found.insert(name, fs::read_to_string(path).unwrap());
        }
    }
    found
}

fn files(names: &[&str], text: &str) -> Vec<OutputFile> {
    names.iter().map(|name| ((*name).to_owned(), text.to_owned().into_bytes())).collect()
}

fn nothing(_: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(Vec::new())
}

#[test]
fn a_set_replaces_another_and_leaves_strangers_alone() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("a/b");
    publish(&dir, &files(&["one", "c/two", "c/three", "last"], "1"), nothing).unwrap();
    fs::write(dir.join("notes"), "mine").unwrap();
    let stale = |dir: &Path| Ok(vec![dir.join("c/two"), dir.join("c/three")]);
    let written = publish(&dir, &files(&["one", "last"], "2"), stale).unwrap();
    assert_eq!(written, [dir.join("one"), dir.join("last")]);
    let expected = [("last", "2"), ("notes", "mine"), ("one", "2")];
    let expected = expected.map(|(name, text)| (PathBuf::from(name), text.to_owned()));
    assert_eq!(content(&dir), expected.into());
}

#[test]
fn a_failure_at_any_step_changes_nothing_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    publish(dir, &files(&["a", "b", "last"], "1"), nothing).unwrap();
    // Each of these makes another step fail.
    fs::create_dir(dir.join("c")).unwrap();
    fs::write(dir.join("c/mine"), "mine").unwrap();
    let before = content(dir);
    let name = "n".repeat(300);
    let no_list = |_: &Path| Err(io::ErrorKind::Unsupported.into());
    assert!(publish(dir, &files(&["a", "last"], "2"), no_list).is_err());
    for in_the_way in ["c", "c/mine/below", &name] {
        let files = files(&["a", in_the_way, "last"], "2");
        let error = publish(dir, &files, |dir| Ok(vec![dir.join("b")])).unwrap_err();
        assert_eq!(content(dir), before, "{in_the_way}: {error}");
    }
    let fresh = dir.join("x/y/z");
    assert!(publish(&fresh, &files(&["a", &name], "2"), nothing).is_err());
    assert!(!dir.join("x").exists(), "folders that were made for it go as well");
}

#[test]
fn writers_of_one_folder_never_mix_their_sets() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("shared");
    let stale = |dir: &Path| -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(dir)?.map(|entry| entry.unwrap().path());
        Ok(entries.filter(|path| path.extension().is_some_and(|end| end == "own")).collect())
    };
    let sets =
        ["a", "b", "c"].map(|text| files(&[&format!("{text}.own"), "in/common", "last"], text));
    thread::scope(|scope| {
        for set in &sets {
            let dir = &dir;
            scope.spawn(move || {
                for _ in 0..15 {
                    let only_others = |dir: &Path| {
                        let mut stale = stale(dir)?;
                        stale.retain(|path| *path != dir.join(&set[0].0));
                        Ok(stale)
                    };
                    publish(dir, set, only_others).unwrap();
                }
            });
        }
    });
    let found = content(&dir);
    let texts: Vec<&String> = found.values().collect();
    assert_eq!(texts, [texts[0]; 3], "{found:?}");
    assert!(found.contains_key(Path::new(&format!("{}.own", texts[0]))), "{found:?}");
}

#[test]
fn what_a_killed_writer_left_is_removed_and_what_a_living_one_has_is_not() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    let living = Stage::open(dir, &mut Vec::new()).unwrap();
    let orphan = dir.join(".mesh-1-7.tmp");
    fs::create_dir(&orphan).unwrap();
    fs::write(orphan.join("x"), "x").unwrap();
    publish(dir, &files(&["a"], "1"), nothing).unwrap();
    assert!(living.path.is_dir() && !orphan.exists());
    drop(living);
    assert_eq!(content(dir).len(), 1);
}

#[cfg(unix)]
#[test]
fn a_single_file_goes_where_its_path_leads() {
    use std::os::unix::fs::symlink;

    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    write_file(&at("new/file"), "1").unwrap();
    symlink(at("new/file"), at("link")).unwrap();
    symlink(at("new/later"), at("dangling")).unwrap();
    write_file(&at("link"), "2").unwrap();
    write_file(&at("dangling"), "3").unwrap();
    assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
    let read = |name: &str| fs::read_to_string(at(name)).unwrap();
    assert_eq!((read("new/file"), read("new/later")), ("2".to_owned(), "3".to_owned()));
    write_file(Path::new("/dev/null"), "gone").unwrap();
    let full = write_file(Path::new("/dev/full"), "gone").unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert!(write_file(&at("new"), "4").is_err(), "a folder");
    assert_eq!(content(place.path()).len(), 4);
}

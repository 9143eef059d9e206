//! Reads a corpus of good and bad scenario files, and checks the schema that editors use.

mod scenario_files {
    mod corpus;
    mod engine_limits;
    mod robustness;
    mod schema;

    use std::path::{Path, PathBuf};

    /// The name and the text of every `.toml` file of a part of the corpus.
    fn corpus(part: &str) -> Vec<(String, String)> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(part);
        let entries = std::fs::read_dir(&directory).expect("the corpus is there");
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.expect("it can be listed").path()).collect();
        paths.sort();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
        let read = |path: &Path| std::fs::read_to_string(path).expect("it is UTF-8");
        paths.iter().map(|path| (name(path), read(path))).collect()
    }

    /// Where snapshots are kept: `<part of the corpus>-<file>.snap`.
    fn snapshots() -> insta::Settings {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../scenarios/snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings
    }
}

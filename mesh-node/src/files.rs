//! Reads whole files up to a limit, so that a wrong path can't fill the memory.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use mesh_core::text;

/// Reads a file of at most `most` bytes. Of a larger one, no more than `most + 1` bytes are read.
///
/// # Errors
/// If the file can't be read or is larger.
pub fn read_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_all(File::open(path)?, most)
}

/// Reads everything that a reader has, at most `most` bytes.
///
/// # Errors
/// If reading fails, or if there is more.
pub fn read_all(reader: impl io::Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it is larger than {} MiB", most >> 20)));
    }
    Ok(bytes)
}

/// Reads a UTF-8 file of at most `most` bytes, and drops a byte order mark at its beginning.
///
/// # Errors
/// If the file can't be read, is larger, or is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let bytes = read_bytes(path, most)?;
    let text = text::read(&bytes).map(str::to_owned);
    text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_the_limit() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "four").expect("written");
        assert_eq!(read_text(file.path(), 4).expect("its text"), "four");
        let error = read_text(file.path(), 3).expect_err("too large");
        assert_eq!(error.to_string(), "it is larger than 0 MiB");
        std::fs::write(file.path(), b"\xff").expect("written");
        assert!(read_bytes(file.path(), 4).is_ok());
        let error = read_text(file.path(), 4).expect_err("no text");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        std::fs::write(file.path(), "\u{feff}a").expect("written");
        assert_eq!(read_text(file.path(), 4).expect("its text"), "a");
    }
}

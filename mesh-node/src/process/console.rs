//! Standard output and standard error for programs whose reader may leave, and whose disk may be
//! full.
//!
//! Neither event ends the work. Writing to standard error is best effort. After the first failure
//! on standard output nothing more is printed there, and the failure is remembered: [`exit_code`]
//! makes it an error in the end, unless the reader had only seen enough (`| head`).
//!
//! Clippy bans `println!` and its like, which panic, in favour of these functions.

use std::io::{self, ErrorKind, IsTerminal as _, Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::park_timeout;
use std::time::Duration;

/// The state of this process's standard output.
static OUTPUT: Mutex<StdoutState> = Mutex::new(StdoutState::Open);

/// The pause between two attempts to write to an output that takes nothing at the moment and that
/// can't be waited for.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug)]
enum StdoutState {
    /// Everything that was printed has been written.
    Open,
    /// The reader has left.
    ReaderLeft,
    /// Something could not be written for another reason.
    Failed(io::Error),
}

/// Prints to standard output, unless that has failed before.
pub fn print(text: &str) {
    was_terminal();
    let mut output = output();
    if matches!(*output, StdoutState::Open) {
        output.note(write_whole(&mut stdout().lock(), text.as_bytes()));
    }
}

/// Prints a line to standard error. A failure is ignored.
pub fn say(line: &str) {
    say_bytes(format!("{line}\n").as_bytes());
}

/// Like [`say`], but the line brings its own line feed.
pub fn say_bytes(line: &[u8]) {
    let _ = write_whole(&mut stderr().lock(), line);
}

/// Takes note of the result of a print to standard output that did not go through [`print()`].
pub fn note(result: io::Result<()>) {
    output().note(result);
}

/// Whether everything that was printed so far has been written.
pub fn is_open() -> bool {
    matches!(*output(), StdoutState::Open)
}

/// The exit code of a process that would otherwise end with `code`: 1 instead of 0 if standard
/// output failed. Says on standard error why it failed.
pub fn exit_code(code: u8) -> ExitCode {
    let output = output();
    if let StdoutState::Failed(error) = &*output {
        say(&format!("error: failed to write to standard output: {error}"));
    }
    ExitCode::from(output.exit_code(code))
}

fn output() -> MutexGuard<'static, StdoutState> {
    OUTPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether text on standard output may have colours: it is a terminal that can show them, and
/// `NO_COLOR` is not set (see <https://no-color.org>).
pub fn has_colours() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    was_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Whether standard output was a terminal when it was first used. This is asked only once, because
/// a terminal that is gone does not say any more that it is one.
fn was_terminal() -> bool {
    static TERMINAL: OnceLock<bool> = OnceLock::new();
    *TERMINAL.get_or_init(|| stdout().is_terminal())
}

impl StdoutState {
    /// Remembers the first failure. Later ones only follow from it.
    fn note(&mut self, result: io::Result<()>) {
        if let (Self::Open, Err(error)) = (&self, result) {
            *self = if means_reader_left(&error) { Self::ReaderLeft } else { Self::Failed(error) };
        }
    }

    fn exit_code(&self, code: u8) -> u8 {
        match self {
            Self::Failed(_) => code.max(1),
            Self::Open | Self::ReaderLeft => code,
        }
    }
}

/// Whether this error means that the reader of the output has left.
fn means_reader_left(error: &io::Error) -> bool {
    match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => true,
        #[cfg(unix)]
        _ => error.raw_os_error() == Some(nix::libc::EIO) && was_terminal(),
        #[cfg(not(unix))]
        _ => false,
    }
}

/// Writes everything and flushes. If the other end takes nothing at the moment, this waits; also if
/// another process has made the output non-blocking, which holds for all processes that share it.
fn write_whole(to: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match when_ready(|| to.write(bytes))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    when_ready(|| to.flush())
}

/// Repeats an attempt until it neither was interrupted nor would block.
fn when_ready<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => park_timeout(PAUSE),
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_full_disk_is_one() {
        let mut output = StdoutState::Open;
        output.note(Ok(()));
        assert!(matches!(output, StdoutState::Open));
        output.note(Err(ErrorKind::BrokenPipe.into()));
        output.note(Err(ErrorKind::StorageFull.into()));
        assert!(matches!(output, StdoutState::ReaderLeft), "{output:?}");
        assert_eq!((output.exit_code(0), output.exit_code(4)), (0, 4));

        let mut output = StdoutState::Open;
        output.note(Err(ErrorKind::StorageFull.into()));
        assert!(matches!(output, StdoutState::Failed(_)), "{output:?}");
        assert_eq!((output.exit_code(0), output.exit_code(1), output.exit_code(4)), (1, 1, 4));
    }

    /// Takes three bytes at a time, and nothing every other time.
    struct Slow(Vec<u8>, bool);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let taken = &bytes[..bytes.len().min(3)];
            self.0.extend(taken);
            Ok(taken.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_takes_little_at_a_time_gets_all_of_it() {
        let mut slow = Slow(Vec::new(), false);
        write_whole(&mut slow, b"a line\n").expect("it takes bytes");
        assert_eq!(slow.0, b"a line\n");
    }
}

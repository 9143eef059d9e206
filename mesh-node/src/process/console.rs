//! Standard output and standard error: a reader may leave, and a disk may be full.
//!
//! Neither ends the work. What goes to standard error is best effort. Of what goes to standard
//! output, the first failure ends the printing and is remembered: [`exit_code`] makes it an error
//! in the end, unless it was only that the reader had seen enough (`| head`).
//!
//! Clippy bans `println!` and its like, which panic, in favour of these functions.

use std::io::{self, ErrorKind, IsTerminal as _, Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::park_timeout;
use std::time::Duration;

/// What became of the standard output of this process.
static OUTPUT: Mutex<StdoutState> = Mutex::new(StdoutState::Open);

/// Time between two attempts to write to what takes nothing just now and can't be waited for.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug)]
enum StdoutState {
    /// All that was printed has arrived.
    Open,
    /// The reader has left.
    Left,
    /// Something could not be written.
    Failed(io::Error),
}

/// Prints to standard output, as long as it takes what is printed.
pub fn print(text: &str) {
    was_terminal();
    let mut output = output();
    if matches!(*output, StdoutState::Open) {
        output.note(write_whole(&mut stdout().lock(), text.as_bytes()));
    }
}

/// Says a line on standard error, if that takes it.
pub fn say(line: &str) {
    say_bytes(format!("{line}\n").as_bytes());
}

/// As [`say`], with the end of the line in it.
pub fn say_bytes(line: &[u8]) {
    let _ = write_whole(&mut stderr().lock(), line);
}

/// Takes note of what somebody else has printed to standard output.
pub fn note(result: io::Result<()>) {
    output().note(result);
}

/// Whether standard output still takes what is printed.
pub fn is_open() -> bool {
    matches!(*output(), StdoutState::Open)
}

/// The exit code of a process that otherwise ends with `code`: if that is 0 and standard output
/// failed, it is 1. Says why standard output failed.
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

/// Whether standard output was a terminal when it was first used. Asked once, because a terminal that
/// is gone no longer says that it is one.
fn was_terminal() -> bool {
    static TERMINAL: OnceLock<bool> = OnceLock::new();
    *TERMINAL.get_or_init(|| stdout().is_terminal())
}

impl StdoutState {
    /// What was printed first decides: later failures follow from it.
    fn note(&mut self, result: io::Result<()>) {
        if let (Self::Open, Err(error)) = (&self, result) {
            *self = if has_left(&error) { Self::Left } else { Self::Failed(error) };
        }
    }

    fn exit_code(&self, code: u8) -> u8 {
        match self {
            Self::Failed(_) => code.max(1),
            Self::Open | Self::Left => code,
        }
    }
}

/// Whether the error means that the reader of the output has left.
fn has_left(error: &io::Error) -> bool {
    match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => true,
        #[cfg(unix)]
        _ => error.raw_os_error() == Some(nix::libc::EIO) && was_terminal(),
        #[cfg(not(unix))]
        _ => false,
    }
}

/// Writes all of it and flushes. Waits where the other end takes nothing for the moment, also if
/// another process has made it non-blocking, which all who share it then have.
fn write_whole(to: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match when_ready(|| to.write(bytes))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    when_ready(|| to.flush())
}

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
        assert!(matches!(output, StdoutState::Left), "{output:?}");
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

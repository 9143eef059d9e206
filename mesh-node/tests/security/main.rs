//! Who gets in and who does not, with clients of other people: raw sockets, curl, openssl, a
//! browser, Python and Node.

mod browser;
mod clients;
mod doors;
mod keys;
#[path = "../cli/process.rs"]
#[expect(dead_code, reason = "shared with the tests of the command line")]
mod process;
mod tls;
mod upstream;

//! The process of one host of a scenario: it starts, dies and leaves as the scenario says.

use std::path::Path;

use anyhow::Context as _;
use mesh_core::Timestamp;
use mesh_node::{Net as _, TokioNet};

use super::mesh::ANY_PORT;
use super::process::Process;

/// The process of one host, which may be there or not.
#[derive(Debug)]
pub(super) struct HostProcess {
    pub(super) name: String,
    pub(super) address: String,
    /// The arguments that start it, also again on the same port.
    args: Vec<String>,
    joins: Timestamp,
    /// [`Timestamp::MAX`] if it stays to the end.
    leaves: Timestamp,
    /// `None` while the host is down, and while its process is not in the mesh.
    process: Option<Process>,
    /// Whether the process has been told to end.
    is_leaving: bool,
}

impl HostProcess {
    /// A process with these arguments, which joins the mesh and leaves it at these times. It starts
    /// now if it is there from the beginning.
    pub(super) async fn new(
        binary: &Path,
        name: &str,
        args: Vec<String>,
        [joins, leaves]: [Timestamp; 2],
    ) -> anyhow::Result<Self> {
        let name = name.to_owned();
        let mut host = Self {
            name,
            address: String::new(),
            args,
            joins,
            leaves,
            process: None,
            is_leaving: false,
        };
        if joins > Timestamp::ZERO {
            host.set_address(free_address().await?);
        } else {
            host.start(binary).await?;
        }
        Ok(host)
    }

    /// The process id; `None` without a process.
    pub(super) fn id(&self) -> Option<u32> {
        self.process.as_ref()?.id()
    }

    /// Whether there is a process.
    pub(super) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Whether the host is in the mesh from the beginning.
    pub(super) fn is_there_at_start(&self) -> bool {
        self.joins == Timestamp::ZERO
    }

    /// Starts, kills or ends the process as the scenario says for `now`. `is_down` says whether a
    /// fault has stopped the host.
    pub(super) async fn update(
        &mut self,
        binary: &Path,
        now: Timestamp,
        is_down: bool,
    ) -> anyhow::Result<()> {
        if is_down {
            return match self.process.take() {
                Some(process) => process.kill().await,
                None => Ok(()),
            };
        }
        let is_member = (self.joins..self.leaves).contains(&now);
        match &self.process {
            None if is_member => self.start(binary).await?,
            Some(process) if !is_member && !self.is_leaving => {
                process.end()?;
                self.is_leaving = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Fails if the process has ended by itself, without having been told.
    pub(super) fn must_live(&mut self) -> anyhow::Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        if !self.is_leaving {
            return process.must_live();
        }
        if process.has_ended()? {
            self.process = None;
        }
        Ok(())
    }

    async fn start(&mut self, binary: &Path) -> anyhow::Result<()> {
        let process = Process::start(binary, &self.name, &self.args).await?;
        self.set_address(process.address.clone());
        self.process = Some(process);
        Ok(())
    }

    /// Keeps the address, so that the process always starts there.
    fn set_address(&mut self, address: String) {
        for arg in self.args.iter_mut().filter(|arg| *arg == ANY_PORT) {
            arg.clone_from(&address);
        }
        self.address = address;
    }
}

/// An address at which nobody listens.
async fn free_address() -> anyhow::Result<String> {
    let listener = TokioNet.bind(ANY_PORT).await.context("failed to find a free port")?;
    Ok(listener.local_addr()?.to_string())
}

//! What stands between a registration that has been read and the rules of the registry.

use std::sync::{Arc, Mutex, PoisonError};

use mesh_core::Timestamp;
use mesh_core::held_names::HeldNames;
use mesh_core::registry::{Registry, address, is_address, is_name};

use super::driver::RegistryDriver;
use super::http::{body, json};
use crate::Observer;
use crate::http::{Head, Request, Response, StatusCode};
use crate::security::{AccessDoor, AddressBook, Caller};
use crate::wire::{DeregisterBody, RefusedBody, RegisterBody};

/// Decides who may register what. By default everybody may register everything.
#[derive(Debug, Default)]
pub struct RegistrationGuard {
    /// Which addresses may be registered; `None` for all.
    pub addresses: Option<AddressBook>,
    /// Who may register under which names; `None` for everybody. The same door must be among the
    /// checks of the registry.
    pub access: Option<Arc<AccessDoor>>,
    /// The owners of names that are registered.
    pub held: Mutex<HeldNames>,
}

impl<O: Observer> RegistryDriver<O> {
    /// The door that callers have passed; `None` if nobody is asked who he is.
    pub(super) fn access(&self) -> Option<&Arc<AccessDoor>> {
        self.guard.get()?.access.as_ref()
    }

    /// The registration that a request carries, if its sender may make it, and who that is.
    pub(super) async fn admitted(
        &self,
        request: &Request,
    ) -> Result<(RegisterBody, Option<Arc<str>>), Box<Response>> {
        let registration: RegisterBody = body(request)?;
        let Some(guard) = self.guard.get() else { return Ok((registration, None)) };
        let RegisterBody { name, url, .. } = &registration;
        let caller = self.named(&request.head, name)?;
        let owner = caller.map(|caller| caller.owner);
        if !is_name(name) || !is_address(address(url)) {
            // The registry's rules refuse it.
            return Ok((registration, owner));
        }
        if let Some(addresses) = &guard.addresses {
            let certificate = request.head.certificate.as_ref();
            let names = certificate.map(|shown| shown.dns_names()).unwrap_or_default();
            let vetted = addresses.vet(name, url, request.head.client, names).await;
            vetted.map_err(|error| {
                let error = error.to_string();
                tracing::warn!(agent = %name, %url, error, "registration refused");
                json(StatusCode::FORBIDDEN, &RefusedBody::new(error, "address"))
            })?;
        }
        Ok((registration, owner))
    }

    /// The end of a lease that a request asks for, if its sender may end it, and who that is.
    pub(super) fn leaving(
        &self,
        request: &Request,
    ) -> Result<(DeregisterBody, Option<Arc<str>>), Box<Response>> {
        let leaving: DeregisterBody = body(request)?;
        let caller = self.named(&request.head, &leaving.name)?;
        Ok((leaving, caller.map(|caller| caller.owner)))
    }

    /// Who sends a request about this name, if that caller may use it; `None` if nobody is asked who
    /// he is.
    fn named(&self, head: &Head, name: &str) -> Result<Option<Caller>, Box<Response>> {
        let Some(access) = self.access() else { return Ok(None) };
        // It has passed the door, and so has a key; but that may have been revoked since.
        match access.caller(head) {
            Ok(None) => Ok(None),
            Ok(Some(caller)) if caller.may_register(name) => Ok(Some(caller)),
            _ => Err(access.forbid(head, "this key or certificate is not for that name")),
        }
    }

    /// The address of the name's live lease, if the lease is not the caller's.
    pub(super) fn other_holder(
        &self,
        registry: &mut Registry,
        now: Timestamp,
        name: &str,
        caller: Option<&str>,
    ) -> Option<Arc<str>> {
        let held = &self.guard.get()?.held;
        let holder = registry.get(now, name)?.url.clone();
        let held = held.lock().unwrap_or_else(PoisonError::into_inner);
        (!held.may_take(name, caller, true)).then_some(holder)
    }

    /// Remembers that the name is the caller's.
    pub(super) fn hold(
        &self,
        registry: &mut Registry,
        now: Timestamp,
        name: &str,
        caller: Arc<str>,
    ) {
        let Some(guard) = self.guard.get() else { return };
        let mut held = guard.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.hold(name.into(), caller, |name| registry.get(now, name).is_some());
    }
}

/// The answer to a registration under a name that is somebody else's. Logged here, because the
/// registry's rules never see it.
pub(super) fn held(registration: &RegisterBody, holder: &Arc<str>) -> Response {
    let RegisterBody { name, url, .. } = registration;
    tracing::warn!(
        agent = %name, %url, %holder,
        "registration refused: the name is held by somebody else"
    );
    let error = format!("the name {name} is held by somebody else, at {holder}");
    let mut refused = RefusedBody::new(error, "held");
    refused.holder = Some(holder.clone());
    json(StatusCode::CONFLICT, &refused)
}

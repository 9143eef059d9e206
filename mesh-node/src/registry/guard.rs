//! What stands between a registration that has been read and the rules of the registry.

use std::sync::Arc;

use mesh_core::registry::{Registration, address, is_address, is_name};
use serde_json::value::RawValue;

use super::driver::RegistryDriver;
use super::http::{body, json};
use crate::Observer;
use crate::http::{Head, Request, Response, StatusCode};
use crate::security::{AccessDoor, AddressBook, Caller};
use crate::wire::{DeregisterBody, DrainBody, RefusedBody, RegisterBody};

/// Decides who may register what. By default everybody may register everything.
#[derive(Debug, Default)]
pub struct RegistrationGuard {
    /// Which addresses may be registered; `None` for all.
    pub addresses: Option<AddressBook>,
    /// Who may register under which names; `None` for everybody. The same door must be among the
    /// checks of the registry.
    pub access: Option<Arc<AccessDoor>>,
}

/// What comes with a registration that is not the registry's business: telemetry, and what an agent
/// of a set tells its autoscaler.
pub(super) type RegisterExtras = (Option<Box<RawValue>>, Option<Box<RawValue>>);

impl<O: Observer> RegistryDriver<O> {
    /// The door that callers have passed; `None` if nobody is asked who he is.
    pub(super) fn access(&self) -> Option<&Arc<AccessDoor>> {
        self.guard.get()?.access.as_ref()
    }

    /// The registration that a request carries, with its owner, if its sender may make it; and what
    /// came with it.
    pub(super) async fn admitted(
        &self,
        request: &Request,
    ) -> Result<(Registration, RegisterExtras), Box<Response>> {
        let mut body: RegisterBody = body(request)?;
        let extras = (body.telemetry.take(), body.member.take());
        Ok((self.guarded(request, Registration::from(body)).await?, extras))
    }

    async fn guarded(
        &self,
        request: &Request,
        registration: Registration,
    ) -> Result<Registration, Box<Response>> {
        let Some(guard) = self.guard.get() else { return Ok(registration) };
        let caller = self.named(&request.head, &registration.name)?;
        let owner = caller.map(|caller| caller.owner);
        let registration = Registration { owner, ..registration };
        let Registration { name, url, .. } = &registration;
        if !is_name(name) || !is_address(address(url)) {
            // The registry's rules refuse it.
            return Ok(registration);
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
        Ok(registration)
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

    /// The mark of draining that a request sets, if its sender may set it. Only `admin` gets here.
    pub(super) fn draining(&self, request: &Request) -> Result<DrainBody, Box<Response>> {
        let draining: DrainBody = body(request)?;
        self.named(&request.head, &draining.name)?;
        Ok(draining)
    }

    /// Who sends a request about this name, if that caller may use it; `None` if nobody is asked who
    /// he is.
    pub(super) fn named(&self, head: &Head, name: &str) -> Result<Option<Caller>, Box<Response>> {
        let Some(access) = self.access() else { return Ok(None) };
        // It has passed the door, and so has a key; but that may have been revoked since.
        match access.caller(head) {
            Ok(None) => Ok(None),
            Ok(Some(caller)) if caller.may_register(name) => Ok(Some(caller)),
            _ => Err(access.forbid(head, "this key or certificate is not for that name")),
        }
    }
}

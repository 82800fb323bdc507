//! What is checked when a member starts, and the random numbers that it starts with.

use std::net::SocketAddr;

use certs::{Identity, Trust};
use ring::rand::{SecureRandom, SystemRandom};
use swim_core::MemberName;

use crate::error::StartError;
use crate::live_identity::unproven;

/// Whether an identity may be used here, if it is one for development.
pub(crate) fn check_development(
    identity: &Identity,
    is_allowed: bool,
    bind: SocketAddr,
) -> Result<(), StartError> {
    if !identity.is_for_development() {
        return Ok(());
    }
    match is_allowed {
        false => Err(StartError::DevelopmentIdentity),
        true if !bind.ip().to_canonical().is_loopback() => {
            Err(StartError::NotLoopback { address: bind })
        }
        true => Ok(()),
    }
}

/// Whether the certificate proves the name to those who have this trust.
pub(crate) fn check_name(name: &str, identity: &Identity, trust: &Trust) -> Result<(), StartError> {
    match unproven(name, identity, trust) {
        None => Ok(()),
        Some(reading) => Err(StartError::NameNotInCertificate { name: name.to_owned(), reading }),
    }
}

/// Says so if nothing keeps clusters of one authority apart.
pub(crate) fn note_label(name: &MemberName, label: &[u8]) {
    if label.is_empty() {
        log::info!(
            "{name} has no cluster label: a member of another cluster of the same authority would \
             be let in; set a label"
        );
    }
}

pub(crate) fn random_bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], StartError> {
    let mut bytes = [0; LENGTH];
    // The error says nothing: ring keeps causes to itself.
    SystemRandom::new().fill(&mut bytes).map_err(|_| StartError::Randomness)?;
    Ok(bytes)
}

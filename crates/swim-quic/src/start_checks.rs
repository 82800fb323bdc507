//! What is checked when a member starts, and the random numbers that it starts with.

use std::net::SocketAddr;

use certs::Identity;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::StartError;

pub(crate) fn check_names(name: &str, identity: &Identity) -> Result<(), StartError> {
    let proven = identity.names();
    if proven.iter().any(|proven| proven == name) {
        return Ok(());
    }
    Err(StartError::NameNotInCertificate { name: name.to_owned(), proven: proven.to_vec() })
}

pub(crate) fn check_development(is_allowed: bool, bind: SocketAddr) -> Result<(), StartError> {
    match is_allowed {
        false => Err(StartError::DevelopmentIdentity),
        true if !bind.ip().to_canonical().is_loopback() => {
            Err(StartError::NotLoopback { address: bind })
        }
        true => Ok(()),
    }
}

pub(crate) fn random_bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], StartError> {
    let mut bytes = [0; LENGTH];
    // The error says nothing: ring keeps causes to itself.
    SystemRandom::new().fill(&mut bytes).map_err(|_| StartError::Randomness)?;
    Ok(bytes)
}

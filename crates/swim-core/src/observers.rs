//! Who watches whom when not everybody watches everybody: each member by the few that rank
//! highest for it.
//!
//! With few observers a member keeps few connections, at any number of members. Rankings are
//! independent from subject to subject (rendezvous hashing) and follow from names alone, so that
//! members with the same view agree without a word.

mod candidates;
mod observing;
mod ranking;
mod tickets;

pub(crate) use observing::Observing;
#[cfg(test)]
use ranking::OBSERVERS;

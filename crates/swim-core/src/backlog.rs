//! What streams do not take at once, and how much of it may wait for one peer.

use std::collections::BTreeMap;

use crate::output::StreamId;
use crate::payer::Payer;

/// What a stream would not take at once.
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) bytes: Vec<u8>,
    pub(crate) taken: usize,
    pub(crate) finish: bool,
    /// The machine is done with the stream: stop it when everything was taken.
    pub(crate) stop: bool,
    /// Who asked for it, if it is an answer.
    pub(crate) asked_by: Option<Payer>,
}

/// The most bytes of answers that wait until whoever asked takes them, in all and for one peer, and
/// how many of them. An answer alone may be longer. A peer that takes nothing has its further
/// answers reset.
const MAX_ANSWERS: usize = 32 << 20;
const MAX_ANSWER_BYTES_OF_ONE: usize = 4 << 20;
const MAX_ANSWERS_OF_ONE: usize = 64;

/// Whether the answer on a stream waits beside so many others that it is not kept.
pub(crate) fn exceeds_its_share(backlogs: &BTreeMap<StreamId, Backlog>, id: StreamId) -> bool {
    let backlog = backlogs.get(&id);
    let Some(payer) = backlog.and_then(|backlog| backlog.asked_by.as_ref()) else {
        return false;
    };
    let waiting = |backlog: &Backlog| backlog.bytes.len() - backlog.taken;
    let answers = backlogs.values().filter(|backlog| backlog.asked_by.is_some());
    let all: usize = answers.clone().map(waiting).sum();
    let theirs = answers.filter(|backlog| backlog.asked_by.as_ref() == Some(payer));
    let (number, bytes) =
        theirs.fold((0, 0), |(number, bytes), backlog| (number + 1, bytes + waiting(backlog)));
    let shares = payer.shares();
    number > MAX_ANSWERS_OF_ONE * shares
        || number > 1 && (all > MAX_ANSWERS || bytes > MAX_ANSWER_BYTES_OF_ONE * shares)
}

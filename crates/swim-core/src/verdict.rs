//! The rules of membership as a pure function: (what is held, what is claimed) to a verdict.
//!
//! The rules are those of Go's memberlist, with four exceptions. The highest incarnation of a dead
//! or suspected member is never forgotten (of one that left: the highest at which it left, since
//! a push-pull takes a leave at its word). The sender of a stale alive message is told what is
//! believed of it, so that it can refute; memberlist drops the message. A stale suspicion of
//! ourselves is answered with what we say of ourselves, since whoever sent it missed that. And
//! where certificates prove names, a member that comes back at another address is believed once
//! its name is proven and nobody answers at the old address; memberlist refuses it until it was
//! seen to leave.

use crate::member::MemberState::{self, Alive, Dead, Left, Suspect};

/// What is held about the member a claim is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) subject: Subject,
    pub(crate) state: MemberState,
    pub(crate) incarnation: u32,
}

/// Whom a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Other,
    Me,
    /// Ourselves, after our own leave began.
    MeLeaving,
}

/// What is claimed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claim {
    Alive {
        incarnation: u32,
        address: AddressMatch,
        proof: Proof,
        /// Metadata or versions differ from what is held. Looked at only for ourselves.
        differs: bool,
    },
    Suspect {
        incarnation: u32,
    },
    Dead {
        incarnation: u32,
    },
    Left {
        incarnation: u32,
    },
}

/// How the address of an alive message compares with the one held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressMatch {
    Same,
    Moved,
    /// Another one, and the name is free: its holder left, or died long enough ago.
    MovedToFreeName,
}

/// Who stands for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nobody proves names here, or the bearer did not.
    Unverified,
    /// A member that proves another name passes it on.
    Hearsay,
    /// It came over a connection whose certificate proves the name.
    Proven,
}

/// What to do about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Believe it and pass it on.
    Apply,
    /// Believe it whatever the incarnations: the free name belongs to another member from here on.
    Reclaim,
    /// One more member that suspects it.
    Confirm,
    /// Believe only its incarnation; pass nothing on.
    RaiseIncarnation,
    /// It is stale: tell the member what is believed of it.
    NotifyStale,
    /// It is about us and wrong: announce a higher incarnation.
    Refute,
    /// It is about us, wrong, and older than what we say of ourselves: repeat that to whoever still
    /// believes it.
    RepeatAlive,
    /// The name belongs to another address.
    Conflict,
    /// Find out who has the name: by a ping to the old address, and one to the new address unless
    /// the name is proven already.
    Examine,
    /// The claimant is who it says it is, but its incarnation is too low: tell it what is held.
    TellClaimant,
    /// Drop it.
    Ignore(Reason),
}

/// Why a claim is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing is held of this member that could change.
    Unknown,
    /// Something newer is held, or the very same.
    Stale,
    /// It is dead or has left already.
    Settled,
    /// We are leaving; nothing about us matters any more.
    Leaving,
}

/// Judges `claim` against what is held: nothing, if the name is unknown.
pub(crate) fn judge(held: Option<Held>, claim: Claim) -> Verdict {
    let Some(held) = held else {
        return match claim {
            Claim::Alive { .. } => Verdict::Apply,
            Claim::Suspect { .. } | Claim::Dead { .. } | Claim::Left { .. } => {
                Verdict::Ignore(Reason::Unknown)
            }
        };
    };
    match (held.subject, claim) {
        (Subject::MeLeaving, _) => Verdict::Ignore(Reason::Leaving),
        (Subject::Me, Claim::Alive { incarnation, address, proof, differs }) => {
            judge_self_alive(held, incarnation, (address, proof), differs)
        }
        (Subject::Other, Claim::Alive { incarnation, address, proof, .. }) => {
            judge_alive(held, incarnation, address, proof)
        }
        (
            subject,
            Claim::Suspect { incarnation }
            | Claim::Dead { incarnation }
            | Claim::Left { incarnation },
        ) => {
            if subject == Subject::Me {
                let is_stale = incarnation < held.incarnation;
                if is_stale { Verdict::RepeatAlive } else { Verdict::Refute }
            } else if incarnation < held.incarnation {
                Verdict::Ignore(Reason::Stale)
            } else {
                judge_suspect_or_dead(held, claim, incarnation)
            }
        }
    }
}

fn judge_self_alive(
    held: Held,
    incarnation: u32,
    place: (AddressMatch, Proof),
    differs: bool,
) -> Verdict {
    match place {
        (AddressMatch::Same, _) => {}
        (_, Proof::Hearsay) if incarnation < held.incarnation => {
            return Verdict::Ignore(Reason::Stale);
        }
        (_, Proof::Hearsay) => return Verdict::Examine,
        (_, Proof::Unverified | Proof::Proven) => return Verdict::Conflict,
    }
    if incarnation > held.incarnation || (incarnation == held.incarnation && differs) {
        Verdict::Refute
    } else {
        // Our own message coming back: a replay must not make us send.
        Verdict::Ignore(Reason::Stale)
    }
}

fn judge_alive(held: Held, incarnation: u32, address: AddressMatch, proof: Proof) -> Verdict {
    match (address, proof) {
        (AddressMatch::Same, _) => judge_alive_in_place(held, incarnation),
        (AddressMatch::Moved, Proof::Unverified) => Verdict::Conflict,
        (AddressMatch::MovedToFreeName, Proof::Unverified) => Verdict::Reclaim,
        (_, Proof::Hearsay) if incarnation <= held.incarnation => Verdict::Ignore(Reason::Stale),
        (_, Proof::Proven) if incarnation <= held.incarnation && !held.state.is_live() => {
            Verdict::TellClaimant
        }
        (_, Proof::Hearsay | Proof::Proven) => Verdict::Examine,
    }
}

fn judge_alive_in_place(held: Held, incarnation: u32) -> Verdict {
    match held.state {
        _ if incarnation > held.incarnation => Verdict::Apply,
        Alive => Verdict::Ignore(Reason::Stale),
        Suspect | Dead | Left => Verdict::NotifyStale,
    }
}

fn judge_suspect_or_dead(held: Held, claim: Claim, incarnation: u32) -> Verdict {
    match held.state {
        Alive => Verdict::Apply,
        Suspect => match claim {
            Claim::Suspect { .. } | Claim::Alive { .. } => Verdict::Confirm,
            Claim::Dead { .. } | Claim::Left { .. } => Verdict::Apply,
        },
        // Others suspect it, so it came back; that does not say that it left once more.
        Left if !matches!(claim, Claim::Left { .. }) => Verdict::Ignore(Reason::Settled),
        Dead | Left if incarnation > held.incarnation => Verdict::RaiseIncarnation,
        Dead | Left => Verdict::Ignore(Reason::Settled),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    const HELD: u32 = 5;
    const OLDER_SAME_NEWER: [u32; 3] = [4, 5, 6];

    fn held(subject: Subject, state: MemberState) -> Option<Held> {
        Some(Held { subject, state, incarnation: HELD })
    }

    fn show(verdict: Verdict) -> String {
        if let Verdict::Ignore(reason) = verdict {
            format!("-{reason:?}")
        } else {
            format!("{verdict:?}")
        }
    }

    type NamedClaim = (&'static str, fn(u32) -> Claim);

    fn claims() -> Vec<NamedClaim> {
        use AddressMatch::{Moved, MovedToFreeName, Same};
        use Proof::{Hearsay, Proven, Unverified};
        fn alive(incarnation: u32, address: AddressMatch, proof: Proof) -> Claim {
            Claim::Alive { incarnation, address, proof, differs: false }
        }
        vec![
            ("alive", |incarnation| alive(incarnation, Same, Unverified)),
            ("alive, differs", |incarnation| Claim::Alive {
                incarnation,
                address: Same,
                proof: Hearsay,
                differs: true,
            }),
            ("alive, moved", |incarnation| alive(incarnation, Moved, Unverified)),
            ("alive, free name", |incarnation| alive(incarnation, MovedToFreeName, Unverified)),
            ("moved, hearsay", |incarnation| alive(incarnation, Moved, Hearsay)),
            ("moved, proven", |incarnation| alive(incarnation, Moved, Proven)),
            ("free, hearsay", |incarnation| alive(incarnation, MovedToFreeName, Hearsay)),
            ("free, proven", |incarnation| alive(incarnation, MovedToFreeName, Proven)),
            ("suspect", |incarnation| Claim::Suspect { incarnation }),
            ("dead", |incarnation| Claim::Dead { incarnation }),
            ("left", |incarnation| Claim::Left { incarnation }),
        ]
    }

    #[test]
    fn the_whole_product_reads_as_agreed() {
        let holdings = [
            ("unknown", None),
            ("alive", held(Subject::Other, Alive)),
            ("suspect", held(Subject::Other, Suspect)),
            ("dead", held(Subject::Other, Dead)),
            ("left", held(Subject::Other, Left)),
            ("me", held(Subject::Me, Alive)),
            ("me leaving", held(Subject::MeLeaving, Left)),
        ];
        let mut table = String::new();
        for (holding, held) in holdings {
            for (name, claim) in claims() {
                let [older, same, newer] =
                    OLDER_SAME_NEWER.map(|incarnation| show(judge(held, claim(incarnation))));
                writeln!(table, "{holding:10} | {name:16} | {older:11} {same:11} {newer}").unwrap();
            }
        }
        assert_eq!(table, TABLE, "got:\n{table}");
    }

    // held       | claim            | older       same        newer
    const TABLE: &str = "\
unknown    | alive            | Apply       Apply       Apply
unknown    | alive, differs   | Apply       Apply       Apply
unknown    | alive, moved     | Apply       Apply       Apply
unknown    | alive, free name | Apply       Apply       Apply
unknown    | moved, hearsay   | Apply       Apply       Apply
unknown    | moved, proven    | Apply       Apply       Apply
unknown    | free, hearsay    | Apply       Apply       Apply
unknown    | free, proven     | Apply       Apply       Apply
unknown    | suspect          | -Unknown    -Unknown    -Unknown
unknown    | dead             | -Unknown    -Unknown    -Unknown
unknown    | left             | -Unknown    -Unknown    -Unknown
alive      | alive            | -Stale      -Stale      Apply
alive      | alive, differs   | -Stale      -Stale      Apply
alive      | alive, moved     | Conflict    Conflict    Conflict
alive      | alive, free name | Reclaim     Reclaim     Reclaim
alive      | moved, hearsay   | -Stale      -Stale      Examine
alive      | moved, proven    | Examine     Examine     Examine
alive      | free, hearsay    | -Stale      -Stale      Examine
alive      | free, proven     | Examine     Examine     Examine
alive      | suspect          | -Stale      Apply       Apply
alive      | dead             | -Stale      Apply       Apply
alive      | left             | -Stale      Apply       Apply
suspect    | alive            | NotifyStale NotifyStale Apply
suspect    | alive, differs   | NotifyStale NotifyStale Apply
suspect    | alive, moved     | Conflict    Conflict    Conflict
suspect    | alive, free name | Reclaim     Reclaim     Reclaim
suspect    | moved, hearsay   | -Stale      -Stale      Examine
suspect    | moved, proven    | Examine     Examine     Examine
suspect    | free, hearsay    | -Stale      -Stale      Examine
suspect    | free, proven     | Examine     Examine     Examine
suspect    | suspect          | -Stale      Confirm     Confirm
suspect    | dead             | -Stale      Apply       Apply
suspect    | left             | -Stale      Apply       Apply
dead       | alive            | NotifyStale NotifyStale Apply
dead       | alive, differs   | NotifyStale NotifyStale Apply
dead       | alive, moved     | Conflict    Conflict    Conflict
dead       | alive, free name | Reclaim     Reclaim     Reclaim
dead       | moved, hearsay   | -Stale      -Stale      Examine
dead       | moved, proven    | TellClaimant TellClaimant Examine
dead       | free, hearsay    | -Stale      -Stale      Examine
dead       | free, proven     | TellClaimant TellClaimant Examine
dead       | suspect          | -Stale      -Settled    RaiseIncarnation
dead       | dead             | -Stale      -Settled    RaiseIncarnation
dead       | left             | -Stale      -Settled    RaiseIncarnation
left       | alive            | NotifyStale NotifyStale Apply
left       | alive, differs   | NotifyStale NotifyStale Apply
left       | alive, moved     | Conflict    Conflict    Conflict
left       | alive, free name | Reclaim     Reclaim     Reclaim
left       | moved, hearsay   | -Stale      -Stale      Examine
left       | moved, proven    | TellClaimant TellClaimant Examine
left       | free, hearsay    | -Stale      -Stale      Examine
left       | free, proven     | TellClaimant TellClaimant Examine
left       | suspect          | -Stale      -Settled    -Settled
left       | dead             | -Stale      -Settled    -Settled
left       | left             | -Stale      -Settled    RaiseIncarnation
me         | alive            | -Stale      -Stale      Refute
me         | alive, differs   | -Stale      Refute      Refute
me         | alive, moved     | Conflict    Conflict    Conflict
me         | alive, free name | Conflict    Conflict    Conflict
me         | moved, hearsay   | -Stale      Examine     Examine
me         | moved, proven    | Conflict    Conflict    Conflict
me         | free, hearsay    | -Stale      Examine     Examine
me         | free, proven     | Conflict    Conflict    Conflict
me         | suspect          | RepeatAlive Refute      Refute
me         | dead             | RepeatAlive Refute      Refute
me         | left             | RepeatAlive Refute      Refute
me leaving | alive            | -Leaving    -Leaving    -Leaving
me leaving | alive, differs   | -Leaving    -Leaving    -Leaving
me leaving | alive, moved     | -Leaving    -Leaving    -Leaving
me leaving | alive, free name | -Leaving    -Leaving    -Leaving
me leaving | moved, hearsay   | -Leaving    -Leaving    -Leaving
me leaving | moved, proven    | -Leaving    -Leaving    -Leaving
me leaving | free, hearsay    | -Leaving    -Leaving    -Leaving
me leaving | free, proven     | -Leaving    -Leaving    -Leaving
me leaving | suspect          | -Leaving    -Leaving    -Leaving
me leaving | dead             | -Leaving    -Leaving    -Leaving
me leaving | left             | -Leaving    -Leaving    -Leaving
";
}

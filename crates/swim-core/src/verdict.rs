//! The rules of membership: (what is held, what is claimed) to a verdict.
//!
//! Pure and total; the conductor carries verdicts out. The rules are those of Go's memberlist,
//! except that the highest incarnation of a dead or suspected member is never forgotten (of one
//! that left: the highest at which it left, since a full exchange takes a leave at its word), and
//! that a stale claim of life is answered instead of dropped.

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
        place: Place,
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

/// How the address of a claim of life compares with the one held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Same,
    Moved,
    /// Another one, and the name is free: its holder left, or died long enough ago.
    MovedToFreeName,
}

/// What to do about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Believe it and pass it on.
    Adopt,
    /// Believe it whatever the incarnations: somebody else bears the name from here on.
    Takeover,
    /// One more accuser of a suspect.
    Confirm,
    /// Believe only its incarnation; pass nothing on.
    Remember,
    /// It is stale: tell the accused what is believed of it.
    Answer,
    /// It is about us and wrong: object.
    Refute,
    /// The name belongs to another address.
    Conflict,
    /// Drop it.
    Ignore(Reason),
}

/// Why a claim is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A death we never knew of needs no funeral.
    Unknown,
    /// Something newer is held, or the very same.
    Stale,
    /// It is over already.
    Settled,
    /// We are leaving; nothing about us matters any more.
    Leaving,
}

/// Judges `claim` against what is held: nothing, if the name is unknown.
pub(crate) fn judge(held: Option<Held>, claim: Claim) -> Verdict {
    let Some(held) = held else {
        return match claim {
            Claim::Alive { .. } => Verdict::Adopt,
            Claim::Suspect { .. } | Claim::Dead { .. } | Claim::Left { .. } => {
                Verdict::Ignore(Reason::Unknown)
            }
        };
    };
    match (held.subject, claim) {
        (Subject::MeLeaving, _) => Verdict::Ignore(Reason::Leaving),
        (Subject::Me, Claim::Alive { incarnation, place, differs }) => {
            judge_my_life(held, incarnation, place, differs)
        }
        (Subject::Other, Claim::Alive { incarnation, place, .. }) => {
            judge_life(held, incarnation, place)
        }
        (
            subject,
            Claim::Suspect { incarnation }
            | Claim::Dead { incarnation }
            | Claim::Left { incarnation },
        ) => {
            if incarnation < held.incarnation {
                Verdict::Ignore(Reason::Stale)
            } else if subject == Subject::Me {
                Verdict::Refute
            } else {
                judge_accusation(held, claim, incarnation)
            }
        }
    }
}

fn judge_my_life(held: Held, incarnation: u32, place: Place, differs: bool) -> Verdict {
    if place != Place::Same {
        return Verdict::Conflict;
    }
    if incarnation > held.incarnation || (incarnation == held.incarnation && differs) {
        Verdict::Refute
    } else {
        // Our own words coming back: replays must not make us talk.
        Verdict::Ignore(Reason::Stale)
    }
}

fn judge_life(held: Held, incarnation: u32, place: Place) -> Verdict {
    match (place, held.state) {
        (Place::Moved, _) => Verdict::Conflict,
        (Place::MovedToFreeName, _) => Verdict::Takeover,
        (Place::Same, _) if incarnation > held.incarnation => Verdict::Adopt,
        (Place::Same, Alive) => Verdict::Ignore(Reason::Stale),
        (Place::Same, Suspect | Dead | Left) => Verdict::Answer,
    }
}

fn judge_accusation(held: Held, claim: Claim, incarnation: u32) -> Verdict {
    match held.state {
        Alive => Verdict::Adopt,
        Suspect => match claim {
            Claim::Suspect { .. } | Claim::Alive { .. } => Verdict::Confirm,
            Claim::Dead { .. } | Claim::Left { .. } => Verdict::Adopt,
        },
        // An accusation says that it came back and is accused, not that it left once more.
        Left if !matches!(claim, Claim::Left { .. }) => Verdict::Ignore(Reason::Settled),
        Dead | Left if incarnation > held.incarnation => Verdict::Remember,
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
        use Place::{Moved, MovedToFreeName, Same};
        vec![
            ("alive", |incarnation| Claim::Alive { incarnation, place: Same, differs: false }),
            ("alive, differs", |incarnation| Claim::Alive {
                incarnation,
                place: Same,
                differs: true,
            }),
            ("alive, moved", |incarnation| Claim::Alive {
                incarnation,
                place: Moved,
                differs: false,
            }),
            ("alive, free name", |incarnation| Claim::Alive {
                incarnation,
                place: MovedToFreeName,
                differs: false,
            }),
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
                writeln!(table, "{holding:10} | {name:16} | {older:9} {same:9} {newer}").unwrap();
            }
        }
        assert_eq!(table, TABLE, "got:\n{table}");
    }

    // held       | claim            | older     same      newer
    const TABLE: &str = "\
unknown    | alive            | Adopt     Adopt     Adopt
unknown    | alive, differs   | Adopt     Adopt     Adopt
unknown    | alive, moved     | Adopt     Adopt     Adopt
unknown    | alive, free name | Adopt     Adopt     Adopt
unknown    | suspect          | -Unknown  -Unknown  -Unknown
unknown    | dead             | -Unknown  -Unknown  -Unknown
unknown    | left             | -Unknown  -Unknown  -Unknown
alive      | alive            | -Stale    -Stale    Adopt
alive      | alive, differs   | -Stale    -Stale    Adopt
alive      | alive, moved     | Conflict  Conflict  Conflict
alive      | alive, free name | Takeover  Takeover  Takeover
alive      | suspect          | -Stale    Adopt     Adopt
alive      | dead             | -Stale    Adopt     Adopt
alive      | left             | -Stale    Adopt     Adopt
suspect    | alive            | Answer    Answer    Adopt
suspect    | alive, differs   | Answer    Answer    Adopt
suspect    | alive, moved     | Conflict  Conflict  Conflict
suspect    | alive, free name | Takeover  Takeover  Takeover
suspect    | suspect          | -Stale    Confirm   Confirm
suspect    | dead             | -Stale    Adopt     Adopt
suspect    | left             | -Stale    Adopt     Adopt
dead       | alive            | Answer    Answer    Adopt
dead       | alive, differs   | Answer    Answer    Adopt
dead       | alive, moved     | Conflict  Conflict  Conflict
dead       | alive, free name | Takeover  Takeover  Takeover
dead       | suspect          | -Stale    -Settled  Remember
dead       | dead             | -Stale    -Settled  Remember
dead       | left             | -Stale    -Settled  Remember
left       | alive            | Answer    Answer    Adopt
left       | alive, differs   | Answer    Answer    Adopt
left       | alive, moved     | Conflict  Conflict  Conflict
left       | alive, free name | Takeover  Takeover  Takeover
left       | suspect          | -Stale    -Settled  -Settled
left       | dead             | -Stale    -Settled  -Settled
left       | left             | -Stale    -Settled  Remember
me         | alive            | -Stale    -Stale    Refute
me         | alive, differs   | -Stale    Refute    Refute
me         | alive, moved     | Conflict  Conflict  Conflict
me         | alive, free name | Conflict  Conflict  Conflict
me         | suspect          | -Stale    Refute    Refute
me         | dead             | -Stale    Refute    Refute
me         | left             | -Stale    Refute    Refute
me leaving | alive            | -Leaving  -Leaving  -Leaving
me leaving | alive, differs   | -Leaving  -Leaving  -Leaving
me leaving | alive, moved     | -Leaving  -Leaving  -Leaving
me leaving | alive, free name | -Leaving  -Leaving  -Leaving
me leaving | suspect          | -Leaving  -Leaving  -Leaving
me leaving | dead             | -Leaving  -Leaving  -Leaving
me leaving | left             | -Leaving  -Leaving  -Leaving
";
}

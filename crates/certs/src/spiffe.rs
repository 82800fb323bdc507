//! SPIFFE IDs in which one part of the path is a member's name.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

const SCHEME: &str = "spiffe://";

/// The part of a pattern that stands for the member's name.
const NAME: &str = "{name}";

/// The longest SPIFFE ID, in bytes (SPIFFE-ID, section 2.3).
const MAX_ID: usize = 2_048;

/// The longest trust domain, in bytes (SPIFFE-ID, section 2.3).
const MAX_TRUST_DOMAIN: usize = 255;

/// `spiffe://TRUST-DOMAIN/PATH`, where one part of the path is `{name}`:
/// `spiffe://example.org/ns/prod/member/{name}`. A SPIFFE ID fits if it is the same, byte for byte,
/// except for that part, which is the member's name. No other part is left open: two workloads that
/// differ in it would have one name.
///
/// ```
/// let pattern: certs::SpiffePattern = "spiffe://example.org/member/{name}".parse()?;
/// assert_eq!(pattern.name_in("spiffe://example.org/member/ada"), Some("ada"));
/// assert_eq!(pattern.name_in("spiffe://example.com/member/ada"), None);
/// # Ok::<(), certs::SpiffePatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpiffePattern {
    /// What is before the name, from the scheme on.
    before: String,
    /// What is behind it.
    after: String,
}

/// Why a text is no pattern of SPIFFE IDs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpiffePatternError {
    /// It does not begin with `spiffe://`, in lower case.
    #[error("{pattern:?} does not begin with {SCHEME}: write {SCHEME}TRUST-DOMAIN/PATH/{NAME}")]
    Scheme {
        /// What was given.
        pattern: String,
    },
    /// The trust domain is empty, too long, or holds something that none may hold.
    #[error(
        "{trust_domain:?} is no trust domain: it has 1 to {MAX_TRUST_DOMAIN} lower-case letters, \
         digits, '.', '-' and '_', without a port or a user"
    )]
    TrustDomain {
        /// What stands in its place.
        trust_domain: String,
    },
    /// A part of the path is empty, `.` or `..`, or holds something that none may hold.
    #[error(
        "{part:?} is no part of a SPIFFE ID's path: each has letters, digits, '.', '-' and '_', is \
         not \".\" or \"..\", and none is empty"
    )]
    Part {
        /// As it stands between two slashes.
        part: String,
    },
    /// Not one part of the path is `{name}`.
    #[error("{found} parts of {pattern:?} are {NAME}: exactly one is the member's name")]
    Name {
        /// How many there are.
        found: usize,
        /// What was given.
        pattern: String,
    },
    /// It is longer than a SPIFFE ID can be.
    #[error("a SPIFFE ID of {length} bytes: the longest has {MAX_ID}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl FromStr for SpiffePattern {
    type Err = SpiffePatternError;

    fn from_str(pattern: &str) -> Result<Self, SpiffePatternError> {
        let parts = path(pattern)?;
        if let Some(part) = parts.iter().find(|part| **part != NAME && !is_part(part)) {
            return Err(SpiffePatternError::Part { part: (*part).to_owned() });
        }
        let found = parts.iter().filter(|part| **part == NAME).count();
        match pattern.split_once(NAME) {
            Some((before, after)) if found == 1 => {
                Ok(Self { before: before.to_owned(), after: after.to_owned() })
            }
            Some(_) | None => Err(SpiffePatternError::Name { found, pattern: pattern.to_owned() }),
        }
    }
}

impl fmt::Display for SpiffePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{NAME}{}", self.before, self.after)
    }
}

impl SpiffePattern {
    /// The name in a SPIFFE ID, if the ID fits. Nothing is decoded, and case counts.
    ///
    /// ```
    /// # use certs::SpiffePattern;
    /// let pattern: SpiffePattern = "spiffe://example.org/{name}/member".parse()?;
    /// assert_eq!(pattern.name_in("spiffe://example.org/ada/member"), Some("ada"));
    /// assert_eq!(pattern.name_in("spiffe://example.org/a/b/member"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name_in<'a>(&self, id: &'a str) -> Option<&'a str> {
        let name = id.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        (id.len() <= MAX_ID && is_part(name)).then_some(name)
    }
}

/// Whether a text is a SPIFFE ID with a path.
///
/// # Errors
///
/// [`SpiffePatternError`], of all but [`Name`](SpiffePatternError::Name).
pub(crate) fn check_id(id: &str) -> Result<(), SpiffePatternError> {
    match path(id)?.into_iter().find(|part| !is_part(part)) {
        Some(part) => Err(SpiffePatternError::Part { part: part.to_owned() }),
        None => Ok(()),
    }
}

/// The parts of the path, behind a scheme and a trust domain that are in order.
fn path(id: &str) -> Result<Vec<&str>, SpiffePatternError> {
    if id.len() > MAX_ID {
        return Err(SpiffePatternError::TooLong { length: id.len() });
    }
    let rest = id.strip_prefix(SCHEME);
    let rest = rest.ok_or_else(|| SpiffePatternError::Scheme { pattern: id.to_owned() })?;
    let (trust_domain, path) = rest.split_once('/').unwrap_or((rest, ""));
    let fits =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    if !(1..=MAX_TRUST_DOMAIN).contains(&trust_domain.len()) || !trust_domain.bytes().all(fits) {
        return Err(SpiffePatternError::TrustDomain { trust_domain: trust_domain.to_owned() });
    }
    Ok(path.split('/').collect())
}

/// Whether a path may hold this between two slashes (SPIFFE-ID, section 2.2).
fn is_part(part: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !matches!(part, "" | "." | "..") && part.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> SpiffePattern {
        text.parse().unwrap()
    }

    #[test]
    fn one_part_is_the_name_and_all_others_are_as_they_are_given() {
        let last = pattern("spiffe://example.org/ns/prod/{name}");
        let middle = pattern("spiffe://example.org/{name}/agent");
        for (pattern, id, name) in [
            (&last, "spiffe://example.org/ns/prod/ada", Some("ada")),
            (&last, "spiffe://example.org/ns/prod/Ada_1.b-c", Some("Ada_1.b-c")),
            (&middle, "spiffe://example.org/ada/agent", Some("ada")),
            (&last, "spiffe://example.com/ns/prod/ada", None),
            (&last, "spiffe://Example.org/ns/prod/ada", None),
            (&last, "SPIFFE://example.org/ns/prod/ada", None),
            (&last, "https://example.org/ns/prod/ada", None),
            (&last, "spiffe://example.org/ns/test/ada", None),
            (&last, "spiffe://example.org/ns/Prod/ada", None),
            (&last, "spiffe://example.org/ns/prod/", None),
            (&last, "spiffe://example.org/ns/prod", None),
            (&last, "spiffe://example.org/ns/prod/ada/", None),
            (&last, "spiffe://example.org/ns/prod/ada/bob", None),
            (&last, "spiffe://example.org/ns/prod//ada", None),
            (&last, "spiffe://example.org/ns/prod/..", None),
            (&last, "spiffe://example.org/ns/prod/.", None),
            (&last, "spiffe://example.org/ns/prod/*", None),
            (&last, "spiffe://example.org/ns/prod/a%64a", None),
            (&last, "spiffe://example.org/ns/prod/ada?bob", None),
            (&last, "spiffe://example.org/ns/prod/ada#bob", None),
            (&last, "spiffe://example.org/ns/prod/zo\u{eb}", None),
            (&last, "spiffe://example.org/ns/prod/ada\0", None),
            (&last, "spiffe://example.org/ns/prod/{name}", None),
            (&last, " spiffe://example.org/ns/prod/ada", None),
            (&middle, "spiffe://example.org/ada/agent/", None),
            (&middle, "spiffe://example.org//agent", None),
            (&middle, "spiffe://example.org/agent", None),
            (&middle, "spiffe://example.org/ada/bob/agent", None),
        ] {
            assert_eq!(pattern.name_in(id), name, "{pattern} {id:?}");
        }
        let long = format!("spiffe://example.org/ns/prod/{}", "a".repeat(MAX_ID));
        assert_eq!(last.name_in(&long), None);
        assert_eq!(last.to_string(), "spiffe://example.org/ns/prod/{name}");
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_part_that_is_wrong() {
        use SpiffePatternError as E;
        let part = |part: &str| E::Part { part: part.to_owned() };
        let domain = |text: &str| E::TrustDomain { trust_domain: text.to_owned() };
        let name = |found, pattern: &str| E::Name { found, pattern: pattern.to_owned() };
        let scheme = |pattern: &str| E::Scheme { pattern: pattern.to_owned() };
        for (pattern, error) in [
            ("", scheme("")),
            ("SPIFFE://a/{name}", scheme("SPIFFE://a/{name}")),
            ("https://a/{name}", scheme("https://a/{name}")),
            ("spiffe:///{name}", domain("")),
            ("spiffe://A/{name}", domain("A")),
            ("spiffe://a:1/{name}", domain("a:1")),
            ("spiffe://u@a/{name}", domain("u@a")),
            ("spiffe://*/{name}", domain("*")),
            ("spiffe://{name}/a", domain("{name}")),
            ("spiffe://a", part("")),
            ("spiffe://a/", part("")),
            ("spiffe://a/{name}/", part("")),
            ("spiffe://a//{name}", part("")),
            ("spiffe://a/*/{name}", part("*")),
            ("spiffe://a/../{name}", part("..")),
            ("spiffe://a/x-{name}", part("x-{name}")),
            ("spiffe://a/{name}?b", part("{name}?b")),
            ("spiffe://a/b", name(0, "spiffe://a/b")),
            ("spiffe://a/{name}/{name}", name(2, "spiffe://a/{name}/{name}")),
        ] {
            assert_eq!(pattern.parse::<SpiffePattern>(), Err(error), "{pattern:?}");
        }
        let long = format!("spiffe://a/{}/{NAME}", "a".repeat(MAX_ID));
        assert_eq!(long.parse::<SpiffePattern>(), Err(E::TooLong { length: long.len() }));
        let long = format!("spiffe://{}/{NAME}", "a".repeat(MAX_TRUST_DOMAIN + 1));
        assert!(matches!(long.parse::<SpiffePattern>(), Err(E::TrustDomain { .. })));
    }

    #[test]
    fn an_id_needs_a_path_and_no_open_part() {
        assert_eq!(check_id("spiffe://example.org/member/ada"), Ok(()));
        for id in ["spiffe://example.org", "spiffe://example.org/{name}", "spiffe://a/b,DNS:c", "a"]
        {
            assert!(check_id(id).is_err(), "{id}");
        }
    }
}

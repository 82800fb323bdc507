//! What calls take to name a member.

use swim_core::{Member, MemberName};

/// What names a member in a call: a text, a [`MemberName`], or a [`Member`], or a reference to one.
/// Not for other types.
///
/// A name is bytes, and those of Go members may not be UTF-8, so that `AsRef<str>` would not do;
/// and `AsRef<[u8]>` would let a member's metadata pass for its name.
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::Cluster;
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// cluster.ping("bob", Duration::from_secs(1))?;
/// for member in &cluster.members() {
///     cluster.send(member, "hello")?;
///     cluster.ping(member.name(), Duration::from_secs(1))?;
/// }
/// # Ok(())
/// # }
/// ```
pub trait ToMemberName: sealed::Named {}

impl ToMemberName for str {}
impl ToMemberName for String {}
impl ToMemberName for MemberName {}
impl ToMemberName for Member {}
impl<T: ToMemberName + ?Sized> ToMemberName for &T {}

mod sealed {
    use swim_core::{Member, MemberName};

    #[expect(unnameable_types, reason = "it seals `ToMemberName`")]
    pub trait Named {
        /// What is perhaps a name.
        fn name_bytes(&self) -> &[u8];
    }

    impl Named for str {
        fn name_bytes(&self) -> &[u8] {
            self.as_bytes()
        }
    }

    impl Named for String {
        fn name_bytes(&self) -> &[u8] {
            self.as_bytes()
        }
    }

    impl Named for MemberName {
        fn name_bytes(&self) -> &[u8] {
            self.as_bytes()
        }
    }

    impl Named for Member {
        fn name_bytes(&self) -> &[u8] {
            self.name().as_bytes()
        }
    }

    impl<T: Named + ?Sized> Named for &T {
        fn name_bytes(&self) -> &[u8] {
            T::name_bytes(self)
        }
    }
}

/// The name, checked.
pub(crate) fn member_name(named: &impl ToMemberName) -> Result<MemberName, swim_core::NameError> {
    MemberName::try_from(sealed::Named::name_bytes(named))
}

/// The bytes of the name, unchecked.
pub(crate) fn name_bytes(named: &impl ToMemberName) -> &[u8] {
    sealed::Named::name_bytes(named)
}

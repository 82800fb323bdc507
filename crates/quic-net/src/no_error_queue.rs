//! Where the kernel has no queue of errors with the destinations that they are about: nothing is
//! known of refused packets.

use std::net::SocketAddr;

use crate::host_error::ReportedError;

pub(crate) fn enable<T>(_socket: &T, _address: SocketAddr) {}

pub(crate) fn drain<T>(_socket: &T, _take: impl FnMut(ReportedError)) {}

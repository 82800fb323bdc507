//! Iterators over what arrives.

use super::Incoming;

/// # Iterators
impl<T> Incoming<T> {
    /// Waits for one item after the other, until it ends; on a driver thread ends at once.
    ///
    /// ```no_run
    /// # use swim_quic::{Event, Subscription};
    /// # fn example(events: &Subscription) {
    /// let joined = events.iter().find_map(|event| match event {
    ///     Event::Joined(member) => Some(member),
    ///     _ => None,
    /// });
    /// # }
    /// ```
    pub fn iter(&self) -> IncomingIter<'_, T> {
        IncomingIter { incoming: self }
    }

    /// What waits at this moment. Never blocks.
    ///
    /// ```no_run
    /// # use swim_quic::Subscription;
    /// # fn example(events: &Subscription) {
    /// for event in events.try_iter() {
    ///     println!("{event:?}");
    /// }
    /// # }
    /// ```
    pub fn try_iter(&self) -> IncomingTryIter<'_, T> {
        IncomingTryIter { incoming: self }
    }
}

impl<'a, T> IntoIterator for &'a Incoming<T> {
    type Item = T;
    type IntoIter = IncomingIter<'a, T>;

    fn into_iter(self) -> IncomingIter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Incoming<T> {
    type Item = T;
    type IntoIter = IncomingIntoIter<T>;

    fn into_iter(self) -> IncomingIntoIter<T> {
        IncomingIntoIter { incoming: self }
    }
}

/// Waits for the items of an [`Incoming`] until it ends; on a driver thread ends at once.
#[derive(Debug)]
pub struct IncomingIter<'a, T> {
    incoming: &'a Incoming<T>,
}

impl<T> Iterator for IncomingIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.incoming.next()
    }
}

/// The items of an [`Incoming`] that wait already.
#[derive(Debug)]
pub struct IncomingTryIter<'a, T> {
    incoming: &'a Incoming<T>,
}

impl<T> Iterator for IncomingTryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.incoming.try_recv().ok()
    }
}

/// Waits for the items of an [`Incoming`], which it owns, until it ends; on a driver thread ends at
/// once.
#[derive(Debug)]
pub struct IncomingIntoIter<T> {
    incoming: Incoming<T>,
}

impl<T> Iterator for IncomingIntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.incoming.next()
    }
}

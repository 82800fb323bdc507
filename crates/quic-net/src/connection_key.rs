//! The name of a connection inside its endpoint: a slot of the pool, and how often it was reused.

/// Names a connection of one endpoint. A key whose connection is gone leads nowhere, also when
/// another connection has taken its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionKey {
    index: u32,
    generation: u32,
}

impl ConnectionKey {
    /// The slot's `generation`-th connection.
    pub(crate) fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// The slot.
    pub(crate) fn index(self) -> u32 {
        self.index
    }

    /// How many connections the slot held before, modulo 2^32.
    pub(crate) fn generation(self) -> u32 {
        self.generation
    }
}

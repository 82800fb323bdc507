//! What certificates prove, told with a cast: Ada and Bob are members, others would like to be.

#[cfg(test)]
mod authority;
#[cfg(test)]
mod cast;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod reload;

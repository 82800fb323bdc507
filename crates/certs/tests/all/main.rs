//! What certificates prove, told by example: Ada and Bob are members, others would like to be.

#[cfg(test)]
mod authority;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod name_fields;
#[cfg(test)]
mod others;
#[cfg(test)]
mod participants;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod tool;
#[cfg(test)]
mod verification;

//! The shop's side: accounts, what belongs to one of them alone, and sessions, in the shop's own tables.

pub(crate) mod account;
pub(crate) mod allotment;
pub(crate) mod claims;
mod columns;
mod companion;
pub(crate) mod examination;
mod fingerprint;
pub(crate) mod leftovers;
pub(crate) mod session;
pub(crate) mod writing;

#[cfg(test)]
mod tests;

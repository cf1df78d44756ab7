//! The store in the database of a ShopXO: accounts, openids and session tokens are the shop's own rows, which its PHP goes on
//! reading and writing; what the shop has no place for stands in tables of mobile-bind's own, which begin with `mb_`.
//!
//! MySQL 5.7 or later, MariaDB 10.3 or later, or a system that speaks their protocol. No gap lock is relied on, and no lock in
//! this process; any number of nodes may use one database. The tables of mobile-bind's own stand in `migrations/`.

#![expect(dead_code, reason = "the store on top of it comes next")]

mod address;
mod allotment;
mod connect;
mod fault;
mod keys;
mod options;
mod purge;
mod records;
mod schema;
mod shop;
mod tables;
mod tokens;

pub use crate::fault::OpenError;
pub use crate::options::Options;
pub use crate::schema::{install, uninstall};
pub use crate::tokens::ShopTokens;

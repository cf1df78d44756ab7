//! The whole service against a simple reference, step by step, concurrent steps included.
//!
//! [`reference`] says in plain maps what must happen; [`steps`] generates what people do; [`system`] does it to the
//! service over a real store and holds each answer to the reference. Steps that run together have no order of their own: the
//! system keeps every reference state that explains all answers so far, and fails when none is left.

pub mod ambience;
pub mod interleaved;
pub mod reference;
mod service;
pub mod steps;
pub mod system;

pub use system::Model;

//! Session tokens: JWTs (RFC 7519, practised as RFC 8725 says), or opaque ones for clients with short columns.

mod jwt;
mod key;
mod opaque;

pub use jwt::JwtIssuer;
pub use key::{Algorithm, KeyError, TokenKey, TokenKeys};
pub use opaque::OpaqueIssuer;

//! Attacks over real HTTP, one file each: every one first succeeds with its guard switched off, and then fails with it on.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod address_spoofing;
mod audit_tampering;
mod bombing;
mod brute_force;
mod code_killing;
mod enumeration;
mod pumping;
mod racing_binds;
mod rebind_hijack;
mod repeats;
mod replayed_log_in_code;
mod stage;
mod stale_tokens;
mod stolen_openid;
mod stolen_unionid;
mod support;
mod ticket_replay;
mod token_confusion;

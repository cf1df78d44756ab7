//! Attacks, one file each, over real HTTP: each first succeeds with the guard switched off, or with what the guard asks for, and
//! then fails with the guard on. To add one: a file here, and its name below.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod replayed_log_in_code;
mod stage;
mod stale_tokens;
mod stolen_openid;
mod stolen_unionid;
mod ticket_replay;
mod token_confusion;

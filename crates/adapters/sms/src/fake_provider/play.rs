//! What a fake does with the messages that it is given.

use std::fmt;
use std::str::FromStr;

use crate::config::Kind;

/// What a fake does with good requests; wrong signatures are refused whatever it plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Play {
    /// Accepts them.
    Accept,
    /// Answers with one of the vendor's error codes.
    Error(String),
    /// Answers with an HTTP status and a gateway's page.
    Status(u16),
    /// Never answers.
    Hang,
    /// Answers 200 with bytes that mean nothing.
    Garbage,
    /// Answers that it accepts them, and sends nothing.
    Lie,
    /// Sends them, and closes in the middle of the answer.
    Cut,
    /// Closes without an answer.
    Close,
}

/// No behaviour has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of accept, error:CODE, status:NUMBER, hang, garbage, lie, cut, close")]
pub struct UnknownPlay;

impl FromStr for Play {
    type Err = UnknownPlay;

    fn from_str(text: &str) -> Result<Self, UnknownPlay> {
        Ok(match text.split_once(':') {
            Some(("error", code)) if !code.is_empty() => Self::Error(code.to_owned()),
            Some(("status", number)) => {
                let status = number.parse().ok().filter(|status| (200..600).contains(status));
                Self::Status(status.ok_or(UnknownPlay)?)
            }
            None if text == "accept" => Self::Accept,
            None if text == "hang" => Self::Hang,
            None if text == "garbage" => Self::Garbage,
            None if text == "lie" => Self::Lie,
            None if text == "cut" => Self::Cut,
            None if text == "close" => Self::Close,
            _ => return Err(UnknownPlay),
        })
    }
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Error(code) => write!(f, "error:{code}"),
            Self::Status(status) => write!(f, "status:{status}"),
            Self::Hang => f.write_str("hang"),
            Self::Garbage => f.write_str("garbage"),
            Self::Lie => f.write_str("lie"),
            Self::Cut => f.write_str("cut"),
            Self::Close => f.write_str("close"),
        }
    }
}

/// The error codes that a vendor documents for sending one message.
#[must_use]
pub fn documented_errors(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Aliyun => super::aliyun::ERRORS,
        Kind::Tencent => super::tencent::ERRORS,
        Kind::Twilio => super::twilio::ERRORS,
        Kind::Webhook => super::webhook::ERRORS,
        Kind::Smpp => super::centre::ERRORS,
    }
}

#[cfg(test)]
mod tests {
    use super::{Play, UnknownPlay};

    #[test]
    fn plays_are_written_as_they_are_read() {
        for text in ["accept", "error:isv.X", "status:503", "hang", "garbage", "lie", "cut", "close"] {
            assert_eq!(text.parse::<Play>().unwrap().to_string(), text);
        }
        for text in ["", "refuse", "error:", "status:", "status:99", "status:x", "hang:1"] {
            assert_eq!(text.parse::<Play>(), Err(UnknownPlay), "{text}");
        }
    }
}

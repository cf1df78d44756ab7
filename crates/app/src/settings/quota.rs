//! Quotas as an operator writes them: `5/1h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use mobile_bind_domain::Quota;
use serde::{Deserialize, Serialize};

/// A quota, written as `LIMIT/WINDOW`: `10/60s`, `600/1m`, `5/1h`, `10/1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuotaText(pub Quota);

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

impl FromStr for QuotaText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (limit, window) = text.trim().split_once('/')?;
            let unit = window.chars().next_back()?;
            let (_, seconds) = UNITS.into_iter().find(|&(name, _)| name == unit)?;
            let count: u64 = window.strip_suffix(unit)?.parse().ok()?;
            let seconds = count.checked_mul(seconds).filter(|&seconds| seconds > 0)?;
            Some(Self(Quota::new(limit.parse().ok()?, seconds)))
        };
        read().ok_or_else(|| format!("'{text}' is no quota: write LIMIT/WINDOW, such as 5/1h or 10/1d"))
    }
}

impl TryFrom<String> for QuotaText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<QuotaText> for String {
    fn from(quota: QuotaText) -> Self {
        quota.to_string()
    }
}

impl fmt::Display for QuotaText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::as_secs(&self.0.window);
        let whole = UNITS.into_iter().find(|&(_, unit)| seconds.is_multiple_of(unit));
        let (name, unit) = whole.unwrap_or(('s', 1));
        write!(f, "{}/{}{name}", self.0.limit, seconds / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::QuotaText;

    #[test]
    fn quotas_are_written_as_they_are_read() {
        for text in ["5/1h", "10/1d", "600/1m", "1/90s", "0/1h"] {
            assert_eq!(text.parse::<QuotaText>().unwrap().to_string(), text);
        }
        for text in ["", "5", "5/h", "5/0h", "-1/1h", "5/1w", "5/1é"] {
            assert!(text.parse::<QuotaText>().is_err(), "{text}");
        }
    }
}

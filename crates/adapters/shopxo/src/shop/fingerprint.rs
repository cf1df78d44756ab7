//! What tells whether the shop has changed an account since mobile-bind wrote it.

use mobile_bind_domain::{Platform, Revision};
use mysql_async::Value;
use sha2::{Digest, Sha256};

use super::columns::ShopColumns;
use super::companion::Companion;

/// No revision that is allotted has it.
const MADE_OF_A_FINGERPRINT: u64 = 1 << 63;

/// The first 64 bits of SHA-256 over the columns, each with its length.
pub(super) fn of(columns: &ShopColumns) -> u64 {
    let mut digest = Sha256::new();
    let mut add = |value: &Value| {
        let bytes = match value {
            Value::Bytes(bytes) => bytes.clone(),
            Value::Int(number) => number.to_be_bytes().to_vec(),
            other => other.as_sql(true).into_bytes(),
        };
        digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(bytes);
    };
    columns.user().iter().for_each(|(_, value)| add(value));
    for platform in Platform::ALL {
        columns.platform(platform).iter().for_each(|(_, value)| add(value));
    }
    add(&columns.weixin_web_openid.as_str().into());
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.finalize().into();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The revision that mobile-bind wrote, where the columns are as they were then; else one that these columns alone have.
pub(super) fn revision(columns: &ShopColumns, companion: Option<&Companion>) -> Revision {
    let now = of(columns);
    match companion {
        Some(companion) if companion.fingerprint == now => companion.revision,
        _ => Revision(now | MADE_OF_A_FINGERPRINT),
    }
}

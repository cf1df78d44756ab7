//! The server's keys: made at first start, for its owner's eyes alone, and changed on request.
//!
//! `{data_dir}/keys/tokens.json` and `codes.json`, mode 0600, in a folder of mode 0700; or rows of the
//! database that the nodes share. Each holds a JSON array of `{"id", "algorithm", "secret"}`, newest first: the first key is the current one, the others are only read
//! with. `secret` is 32 bytes in base64.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use data_encoding::{BASE64, HEXLOWER};
use mobile_bind_domain::ports::{Randomness, StoreError};
use mobile_bind_domain::{CodeKey, CodeKeys, KeyId};
use mobile_bind_jwt::{Algorithm, TokenKey, TokenKeys};
use mobile_bind_postgres::PostgresStore;
use mobile_bind_shopxo::ShopxoStore;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::settings::TokenAlgorithm;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Making session tokens.
    Tokens(TokenAlgorithm),
    /// MACing verification codes, and what is derived from that.
    Codes,
}

#[derive(Deserialize, Serialize)]
struct StoredKey {
    id: String,
    algorithm: StoredAlgorithm,
    secret: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
enum StoredAlgorithm {
    #[serde(rename = "HS256")]
    Hs256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// Where keys are kept.
#[derive(Clone)]
pub enum KeyPlace {
    /// In files of a folder.
    Folder(PathBuf),
    /// In a database.
    Database(PostgresStore),
    /// In a shop's database.
    Shop(ShopxoStore),
}

impl KeyPlace {
    fn file(folder: &Path, purpose: Purpose) -> PathBuf {
        folder.join(format!("{}.json", purpose.name()))
    }

    async fn read(&self, purpose: Purpose) -> Result<Option<Zeroizing<String>>> {
        match self {
            Self::Folder(folder) => read(&Self::file(folder, purpose)),
            Self::Database(store) => found(store.keys(purpose.name()).await),
            Self::Shop(store) => found(store.keys(purpose.name()).await),
        }
    }

    /// Stores keys in place of those that were read; `false` where another node was faster.
    async fn replace(&self, purpose: Purpose, known: Option<&str>, keys: &str) -> Result<bool> {
        match self {
            Self::Folder(folder) => write(&Self::file(folder, purpose), keys).map(|()| true),
            Self::Database(store) => replaced(store.replace_keys(purpose.name(), known, keys).await),
            Self::Shop(store) => replaced(store.replace_keys(purpose.name(), known, keys).await),
        }
    }
}

fn found(keys: Result<Option<String>, StoreError>) -> Result<Option<Zeroizing<String>>> {
    let keys = keys.map_err(|error| anyhow!(error)).context("the keys in the database cannot be read")?;
    Ok(keys.map(Zeroizing::new))
}

fn replaced(replaced: Result<bool, StoreError>) -> Result<bool> {
    replaced.map_err(|error| anyhow!(error)).context("the keys in the database cannot be changed")
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Tokens(_) => "tokens",
            Self::Codes => "codes",
        }
    }

    fn algorithm(self) -> StoredAlgorithm {
        match self {
            Self::Tokens(TokenAlgorithm::EdDsa) => StoredAlgorithm::EdDsa,
            Self::Tokens(TokenAlgorithm::Hs256) | Self::Codes => StoredAlgorithm::Hs256,
        }
    }
}

/// The keys for session tokens; made now where there are none, or none of that algorithm is current.
///
/// # Errors
/// Where the file cannot be read or written, or is damaged.
pub async fn token_keys(place: &KeyPlace, algorithm: TokenAlgorithm, randomness: &dyn Randomness) -> Result<TokenKeys> {
    let stored = load_or_make(place, Purpose::Tokens(algorithm), randomness).await?;
    let read = |key: &StoredKey| {
        let algorithm = match key.algorithm {
            StoredAlgorithm::Hs256 => Algorithm::Hs256,
            StoredAlgorithm::EdDsa => Algorithm::EdDsa,
        };
        Ok(TokenKey::new(key_id(key)?, algorithm, *secret(key)?))
    };
    let mut keys = stored.iter().map(read).collect::<Result<Vec<_>>>()?;
    anyhow::ensure!(!keys.is_empty(), "there is no key for session tokens");
    Ok(TokenKeys { current: keys.remove(0), older: keys })
}

/// The keys for verification codes; made now where there are none.
///
/// # Errors
/// Where the file cannot be read or written, or is damaged.
pub async fn code_keys(place: &KeyPlace, randomness: &dyn Randomness) -> Result<CodeKeys> {
    let stored = load_or_make(place, Purpose::Codes, randomness).await?;
    let read = |key: &StoredKey| Ok(CodeKey::new(key_id(key)?, *secret(key)?));
    let mut keys = stored.iter().map(read).collect::<Result<Vec<_>>>()?;
    anyhow::ensure!(!keys.is_empty(), "there is no key for verification codes");
    let current = keys.remove(0);
    Ok(CodeKeys::new(current, keys))
}

/// Makes a new key the current one; the others stay to read with. A running service takes it up when it starts again.
///
/// # Errors
/// Where the file cannot be read or written, or is damaged.
pub async fn change(place: &KeyPlace, purpose: Purpose, randomness: &dyn Randomness) -> Result<String> {
    let keys = put_first(place, purpose, randomness, |_| false).await?;
    Ok(keys.first().map(|key| key.id.clone()).unwrap_or_default())
}

async fn load_or_make(place: &KeyPlace, purpose: Purpose, randomness: &dyn Randomness) -> Result<Vec<StoredKey>> {
    put_first(place, purpose, randomness, |current| current.algorithm == purpose.algorithm()).await
}

/// Puts a new key before the others, unless the current one will do.
async fn put_first(
    place: &KeyPlace,
    purpose: Purpose,
    randomness: &dyn Randomness,
    will_do: impl Fn(&StoredKey) -> bool,
) -> Result<Vec<StoredKey>> {
    loop {
        let known = place.read(purpose).await?;
        // The parser's own error would quote the keys.
        let parsed = known.as_ref().map(|text| serde_json::from_str(text).ok()).map(|keys| {
            keys.with_context(|| match place {
                KeyPlace::Folder(folder) => format!("{} is damaged", KeyPlace::file(folder, purpose).display()),
                KeyPlace::Database(_) | KeyPlace::Shop(_) => {
                    format!("the {} keys in the database are damaged", purpose.name())
                }
            })
        });
        let mut keys: Vec<StoredKey> = parsed.transpose()?.unwrap_or_default();
        if keys.first().is_some_and(&will_do) {
            return Ok(keys);
        }
        keys.insert(0, generate(purpose, randomness));
        let text = Zeroizing::new(serde_json::to_string_pretty(&keys)?);
        if place.replace(purpose, known.as_ref().map(|text| text.as_str()), &text).await? {
            return Ok(keys);
        }
    }
}

/// Makes the keys of one place the current ones of another; those that are there stay to read with.
pub(crate) async fn copy(from: &KeyPlace, to: &KeyPlace, purpose: Purpose) -> Result<()> {
    let Some(text) = from.read(purpose).await? else { return Ok(()) };
    let mut keys: Vec<StoredKey> = serde_json::from_str(&text).ok().context("the keys to copy are damaged")?;
    loop {
        let known = to.read(purpose).await?;
        let there: Vec<StoredKey> = match &known {
            Some(text) => serde_json::from_str(text).ok().context("the keys at the target are damaged")?,
            None => Vec::new(),
        };
        for key in there {
            if keys.iter().all(|copied| copied.id != key.id) {
                keys.push(key);
            }
        }
        let text = Zeroizing::new(serde_json::to_string_pretty(&keys)?);
        if to.replace(purpose, known.as_ref().map(|text| text.as_str()), &text).await? {
            return Ok(());
        }
    }
}

fn generate(purpose: Purpose, randomness: &dyn Randomness) -> StoredKey {
    let (mut id, mut secret) = ([0; 8], Zeroizing::new([0; 32]));
    randomness.fill(&mut id);
    randomness.fill(secret.as_mut());
    StoredKey { id: HEXLOWER.encode(&id), algorithm: purpose.algorithm(), secret: BASE64.encode(secret.as_ref()) }
}

fn key_id(key: &StoredKey) -> Result<KeyId> {
    KeyId::new(&key.id).context("a key's id is malformed")
}

fn secret(key: &StoredKey) -> Result<Zeroizing<[u8; 32]>> {
    let decoded = Zeroizing::new(BASE64.decode(key.secret.as_bytes()).context("a key is not in base64")?);
    let bytes: [u8; 32] = decoded.as_slice().try_into().context("a key has not 32 bytes")?;
    Ok(Zeroizing::new(bytes))
}

fn read(file: &Path) -> Result<Option<Zeroizing<String>>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Replaces the file as a whole: a crash leaves the old keys or the new ones, never half of either.
fn write(file: &Path, keys: &str) -> Result<()> {
    let folder = file.parent().context("a key file is in a folder")?;
    let replace = || -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let fresh = file.with_extension("json.new");
        let mut options = OpenOptions::new();
        let mut written = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        written.write_all(keys.as_bytes())?;
        written.sync_all()?;
        std::fs::rename(&fresh, file)?;
        File::open(folder)?.sync_all()
    };
    replace().with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{KeyPlace, Purpose, change, code_keys, token_keys};
    use crate::ambient::SystemRandomness;
    use crate::settings::TokenAlgorithm;

    fn place(folder: &tempfile::TempDir) -> KeyPlace {
        KeyPlace::Folder(folder.path().join("keys"))
    }

    #[tokio::test]
    async fn keys_are_made_once_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = token_keys(&place(&folder), TokenAlgorithm::Hs256, &SystemRandomness).await.unwrap();
        let again = token_keys(&place(&folder), TokenAlgorithm::Hs256, &SystemRandomness).await.unwrap();
        assert_eq!(first.current.id, again.current.id);
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("keys"), mode("keys/tokens.json")), (0o700, 0o600));
    }

    #[tokio::test]
    async fn a_change_keeps_the_old_key_to_read_with() {
        let folder = tempfile::tempdir().unwrap();
        let old = token_keys(&place(&folder), TokenAlgorithm::Hs256, &SystemRandomness).await.unwrap();
        let id = change(&place(&folder), Purpose::Tokens(TokenAlgorithm::Hs256), &SystemRandomness).await.unwrap();
        let changed = token_keys(&place(&folder), TokenAlgorithm::Hs256, &SystemRandomness).await.unwrap();
        assert_eq!((changed.current.id.as_str(), changed.older.len()), (id.as_str(), 1));
        assert_eq!(changed.older[0].id, old.current.id);
        let other = token_keys(&place(&folder), TokenAlgorithm::EdDsa, &SystemRandomness).await.unwrap();
        assert_eq!(other.older.len(), 2);
    }

    #[tokio::test]
    async fn damage_is_told_without_the_contents() {
        let folder = tempfile::tempdir().unwrap();
        code_keys(&place(&folder), &SystemRandomness).await.unwrap();
        std::fs::write(folder.path().join("keys/codes.json"), "[{\"secret\": \"hush\"").unwrap();
        let error = format!("{:#}", code_keys(&place(&folder), &SystemRandomness).await.unwrap_err());
        assert!(error.contains("codes.json is damaged") && !error.contains("hush"), "{error}");
    }
}

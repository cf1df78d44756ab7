//! The store that the settings name like a URL, and where the server's keys are kept with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mobile_bind_domain::ports::Store;
use mobile_bind_memory::MemoryStore;
use mobile_bind_postgres::PostgresStore;
use mobile_bind_shopxo::ShopxoStore;
use mobile_bind_sled::{Options, SledStore};

use crate::keys::KeyPlace;
use crate::settings::{Migrate, Settings};

/// An open store, as the adapter that it is.
#[derive(Clone)]
pub(crate) enum OpenStore {
    Sled(Arc<SledStore>),
    Postgres(PostgresStore),
    Shopxo(ShopxoStore),
    Memory(Arc<MemoryStore>),
}

impl OpenStore {
    /// Opens the store that the settings name.
    ///
    /// # Errors
    /// Where there is no such store, or it cannot be opened.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let address = settings.store_address()?;
        ensure!(
            settings.keys_dir.is_empty() || is_shared(&address),
            "keys_dir is for nodes that share a database; with another store the keys are in {{data_dir}}/keys, where backups \
             look for them"
        );
        if let Some(folder) = sled_folder(settings, &address) {
            let store = SledStore::open(&folder, store_options(settings));
            let store = store.with_context(|| format!("the store in {} cannot be opened", folder.display()))?;
            return Ok(Self::Sled(Arc::new(store)));
        }
        if is_postgres(&address) {
            let store = PostgresStore::open(postgres_options(settings, &address)?).await;
            return store.map(Self::Postgres).context("the database cannot be used as the store");
        }
        if is_shopxo(&address) {
            let store = ShopxoStore::open(shopxo_options(settings)?).await;
            return store.map(Self::Shopxo).context("the shop's database cannot be used as the store");
        }
        match scheme(&address) {
            "memory" => Ok(Self::Memory(Arc::new(MemoryStore::new()))),
            // The rest may be a password.
            other => bail!(
                "store = \"{other}:…\" names no known store: there are \"sled:\", \"postgres://…\" and \"shopxo:mysql://…\""
            ),
        }
    }

    /// The port.
    pub(crate) fn port(&self) -> Arc<dyn Store> {
        match self {
            Self::Sled(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Postgres(store) => Arc::new(store.clone()),
            Self::Shopxo(store) => Arc::new(store.clone()),
            Self::Memory(store) => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    /// The embedded store, where it is that.
    pub(crate) fn embedded(&self) -> Option<Arc<SledStore>> {
        if let Self::Sled(store) = self { Some(Arc::clone(store)) } else { None }
    }

    /// Where the server's keys are: where the settings say, else in the database that the nodes share, else in the data
    /// folder.
    pub(crate) fn keys(&self, settings: &Settings) -> KeyPlace {
        match self {
            Self::Postgres(store) if settings.keys_dir.is_empty() => KeyPlace::Database(store.clone()),
            Self::Shopxo(store) if settings.keys_dir.is_empty() => KeyPlace::Shop(store.clone()),
            _ => KeyPlace::Folder(settings.keys_folder()),
        }
    }
}

fn scheme(address: &str) -> &str {
    address.split(':').next().unwrap_or_default()
}

fn is_postgres(address: &str) -> bool {
    matches!(scheme(address), "postgres" | "postgresql")
}

fn is_shopxo(address: &str) -> bool {
    scheme(address) == "shopxo"
}

/// Whether nodes share the store, and so its keys.
fn is_shared(address: &str) -> bool {
    is_postgres(address) || is_shopxo(address)
}

/// Whether the server's keys are in the store.
///
/// # Errors
/// Where the store's address cannot be read.
pub(crate) fn has_keys(settings: &Settings) -> Result<bool> {
    Ok(settings.keys_dir.is_empty() && is_shared(&settings.store_address()?))
}

fn sled_folder(settings: &Settings, address: &str) -> Option<PathBuf> {
    let place = if address == "sled" { "" } else { address.strip_prefix("sled:")? };
    Some(if place.is_empty() { settings.data_dir.join("store") } else { PathBuf::from(place) })
}

/// Where the embedded store is; `None` where another one is named.
pub(crate) fn store_folder(settings: &Settings) -> Option<PathBuf> {
    sled_folder(settings, &settings.store_address().ok()?)
}

/// Memory for the embedded store's cache.
pub(crate) fn cache_bytes(settings: &Settings) -> u64 {
    settings.sled.cache_mib.saturating_mul(1024 * 1024)
}

/// The embedded store's options.
pub(crate) fn store_options(settings: &Settings) -> Options {
    Options {
        cache_bytes: cache_bytes(settings),
        journal_bytes: settings.sled.journal_mib.saturating_mul(1024 * 1024),
        ..Options::default()
    }
}

fn postgres_options(settings: &Settings, address: &str) -> Result<mobile_bind_postgres::Options> {
    let set = &settings.postgres;
    ensure!(set.connections > 0, "postgres.connections must be at least 1");
    let millis = |value: u64, name: &str| {
        ensure!(value > 0, "postgres.{name} must be at least 1");
        Ok(Duration::from_millis(value))
    };
    let certificates = &set.root_certificates;
    Ok(mobile_bind_postgres::Options {
        address: address.to_owned(),
        connections: set.connections,
        timeout: millis(set.timeout_ms, "timeout_ms")?,
        lock_timeout: millis(set.lock_timeout_ms, "lock_timeout_ms")?,
        connect_timeout: millis(set.connect_timeout_ms, "connect_timeout_ms")?,
        connection_lifetime: Duration::from_secs(set.connection_lifetime_s),
        root_certificates: (!certificates.is_empty()).then(|| PathBuf::from(certificates)),
        migrate: set.migrate == Migrate::Auto,
    })
}

/// The options of a store in a shop's own database.
///
/// # Errors
/// Where the settings name another store, or cannot be used.
pub(crate) fn shopxo_options(settings: &Settings) -> Result<mobile_bind_shopxo::Options> {
    let address = settings.store_address()?;
    ensure!(is_shopxo(&address), "the store is no shop's database: name one with --store shopxo:… or store_file");
    let set = &settings.shopxo;
    ensure!(set.connections > 0, "shopxo.connections must be at least 1");
    let millis = |value: u64, name: &str| {
        ensure!(value > 0, "shopxo.{name} must be at least 1");
        Ok(Duration::from_millis(value))
    };
    let certificates = &set.root_certificates;
    Ok(mobile_bind_shopxo::Options {
        address,
        connections: set.connections,
        timeout: millis(set.timeout_ms, "timeout_ms")?,
        lock_timeout: millis(set.lock_timeout_ms, "lock_timeout_ms")?,
        connect_timeout: millis(set.connect_timeout_ms, "connect_timeout_ms")?,
        root_certificates: (!certificates.is_empty()).then(|| PathBuf::from(certificates)),
        migrate: set.migrate == Migrate::Auto,
        cache: shop_cache(settings)?,
    })
}

/// The shop's cache, where it is in Redis.
///
/// # Errors
/// Where its address is given twice, or its file cannot be read.
fn shop_cache(settings: &Settings) -> Result<Option<mobile_bind_shopxo::CacheOptions>> {
    let (set, file) = (&settings.shopxo, &settings.shopxo.cache_url_file);
    let url = if file.as_os_str().is_empty() {
        set.cache_url.0.expose().to_owned()
    } else {
        ensure!(set.cache_url.0.is_empty(), "shopxo.cache_url and shopxo.cache_url_file are both given");
        let text = std::fs::read_to_string(file);
        text.with_context(|| format!("shopxo.cache_url_file {} cannot be read", file.display()))?.trim().to_owned()
    };
    let prefix = set.cache_prefix.clone();
    Ok((!url.is_empty()).then_some(mobile_bind_shopxo::CacheOptions { url, prefix }))
}

/// Whether the store that the settings name is in a shop's own database.
///
/// # Errors
/// Where the store's address cannot be read.
pub(crate) fn is_of_shop(settings: &Settings) -> Result<bool> {
    Ok(is_shopxo(&settings.store_address()?))
}

/// Brings the database's schema up to date; says what it did.
///
/// # Errors
/// Where the store is no database, or it cannot be reached or changed.
pub(crate) async fn migrate(settings: &Settings) -> Result<String> {
    ensure!(!is_of_shop(settings)?, "on a shop's own database the tables are made by mobile-bind shopxo install");
    let options = database(settings)?;
    let options = options.context("the store is no database: name one with --store postgres://… or store_file")?;
    let taken = mobile_bind_postgres::migrate(&options).await.context("the schema could not be brought up to date")?;
    Ok(match taken {
        0 => "the schema is up to date\n".to_owned(),
        steps => format!("the schema was brought up to date, steps taken: {steps}\n"),
    })
}

/// The database that the settings name; `None` where the store is another.
///
/// # Errors
/// Where the settings cannot be used.
pub(crate) fn database(settings: &Settings) -> Result<Option<mobile_bind_postgres::Options>> {
    let address = settings.store_address()?;
    is_postgres(&address).then(|| postgres_options(settings, &address)).transpose()
}

/// An address to show: without its password.
pub(crate) fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        let masked = address.split(' ').map(|pair| if pair.starts_with("password=") { "password=***" } else { pair });
        return masked.collect::<Vec<_>>().join(" ");
    };
    let Some((who, place)) = rest.rsplit_once('@') else { return address.to_owned() };
    match who.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***@{place}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{OpenStore, without_password};
    use crate::settings::Settings;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_password("postgres://u:hu@sh@db.example/d"), "postgres://u:***@db.example/d");
        assert_eq!(without_password("postgres://u@db.example/d"), "postgres://u@db.example/d");
        assert_eq!(without_password("shopxo:mysql://u:hush@h/d?prefix=a_"), "shopxo:mysql://u:***@h/d?prefix=a_");
        assert_eq!(without_password("sled:/some/folder"), "sled:/some/folder");
    }

    #[tokio::test]
    async fn an_unknown_store_is_refused_without_its_password() {
        let settings = Settings { store: "postgre://u:hush@h/d".to_owned(), ..Settings::default() };
        let error = OpenStore::open(&settings).await.err().unwrap().to_string();
        assert!(error.contains("postgre:") && !error.contains("hush"), "{error}");
    }

    #[tokio::test]
    async fn a_file_may_name_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("address");
        std::fs::write(&file, "memory:\n").unwrap();
        let settings = Settings { store_file: file.to_string_lossy().into_owned(), ..Settings::default() };
        assert!(matches!(OpenStore::open(&settings).await.unwrap(), OpenStore::Memory(_)));
        std::fs::write(&file, "\n").unwrap();
        assert!(OpenStore::open(&settings).await.err().unwrap().to_string().contains("store_file"));
    }

    #[tokio::test]
    async fn a_database_that_is_not_there_is_told() {
        for store in ["postgres://u:hush@127.0.0.1:1/d", "shopxo:mysql://u:hush@127.0.0.1:1/d"] {
            let settings = Settings { store: store.to_owned(), ..Settings::default() };
            let told = format!("{:#}", OpenStore::open(&settings).await.err().unwrap());
            assert!(told.contains("database") && !told.contains("hush"), "{told}");
        }
    }
}

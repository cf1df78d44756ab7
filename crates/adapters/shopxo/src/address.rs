//! The address of a shop: a MySQL one, what its tables' names begin with, and whether there is TLS.

use mysql_async::{Opts, OptsBuilder};

use crate::fault::OpenError;
use crate::tables::Tables;

const SCHEME: &str = "shopxo:";

/// What the tables of a shop begin with unless it says so otherwise.
const PREFIX: &str = "sxo_";

/// An address, read.
pub(crate) struct Address {
    pub(crate) driver: OptsBuilder,
    pub(crate) tables: Tables,
    /// Whether the server must show its certificate.
    pub(crate) secured: bool,
}

/// Reads `shopxo:mysql://user:password@host:port/database?prefix=sxo_&ssl-mode=DISABLED`. To a machine that is not this one
/// TLS is required unless the address says `DISABLED`, and then all of the certificate is checked, which MySQL calls
/// `VERIFY_IDENTITY`: <https://dev.mysql.com/doc/refman/8.4/en/connection-options.html#option_general_ssl-mode>.
pub(crate) fn read(text: &str) -> Result<Address, OpenError> {
    let address = text.strip_prefix(SCHEME).unwrap_or(text);
    let (place, query) = address.split_once('?').unwrap_or((address, ""));
    let (mut prefix, mut mode, mut others) = (PREFIX, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("prefix", value)) => prefix = value,
            Some(("ssl-mode", value)) => mode = Some(secured(value).ok_or(OpenError::Address)?),
            _ => others.push(pair),
        }
    }
    let address = if others.is_empty() { place.to_owned() } else { format!("{place}?{}", others.join("&")) };
    // The driver's own error may quote what it could not read.
    let driver = Opts::from_url(&address).map_err(|_| OpenError::Address)?;
    if driver.db_name().is_none_or(str::is_empty) {
        return Err(OpenError::NoDatabase);
    }
    let here =
        driver.socket().is_some() || matches!(driver.ip_or_hostname(), "localhost" | "127.0.0.1" | "::1" | "[::1]");
    let tables = Tables::new(prefix).ok_or(OpenError::Prefix)?;
    Ok(Address { driver: OptsBuilder::from_opts(driver), tables, secured: mode.unwrap_or(!here) })
}

fn secured(mode: &str) -> Option<bool> {
    let known = |name: &str| mode.eq_ignore_ascii_case(name);
    match () {
        () if known("DISABLED") => Some(false),
        () if known("REQUIRED") || known("VERIFY_CA") || known("VERIFY_IDENTITY") => Some(true),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::fault::OpenError;

    #[test]
    fn tls_is_left_out_on_this_machine_alone() {
        let secured = |address: &str| read(address).unwrap().secured;
        assert!(!secured("shopxo:mysql://u@127.0.0.1:3306/shop"));
        assert!(!secured("shopxo:mysql://u@localhost/shop?prefix=x_"));
        assert!(!secured("shopxo:mysql://u@localhost/shop?socket=/run/mysqld/mysqld.sock"));
        assert!(secured("shopxo:mysql://u@db.example/shop"));
        assert!(secured("shopxo:mysql://u@127.0.0.1/shop?ssl-mode=verify_identity"));
        assert!(!secured("shopxo:mysql://u@db.example/shop?ssl-mode=DISABLED&prefix=x_"));
    }

    #[test]
    fn the_prefix_is_the_shops_own_or_the_usual_one() {
        let user = |address: &str| read(address).unwrap().tables.user().to_owned();
        assert_eq!(user("shopxo:mysql://u@h/shop"), "`sxo_user`");
        assert_eq!(user("shopxo:mysql://u@h/shop?prefix=a1_"), "`a1_user`");
        assert_eq!(user("shopxo:mysql://u@h/shop?prefix="), "`user`");
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_repeated() {
        for address in [
            "shopxo:mysql://u:hush@h/d?nonsense=hush",
            "shopxo:mysql://u:hush@h/d?ssl-mode=hush",
            "shopxo:mysql://u:hush@h/d?prefix=hush`",
            "shopxo:mysql://u:hush@h",
            "shopxo:hush",
        ] {
            let error = read(address).err().unwrap();
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
        assert!(matches!(read("shopxo:mysql://u@h/").err().unwrap(), OpenError::NoDatabase));
        assert!(matches!(read("shopxo:mysql://u@h/d?prefix=a b").err().unwrap(), OpenError::Prefix));
    }
}

//! The shop's PHP, as far as it writes users: the same statements in the same order, each committed by itself. It looks
//! first and writes afterwards; nothing keeps what it saw from changing in between.
//!
//! After ShopXO 6.9, `app/service/UserService.php`: Reg, Login, AppAccountsBindhHandle, UserInsert, UserUpdateHandle,
//! UserTokenUpdate, UserSave, UserDelete; the owner's closing of his account in `app/service/SafetyService.php`.

use anyhow::Result;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Value};

use super::Shop;

/// One PHP process with its connection.
pub struct PhpWriter {
    connection: Conn,
    /// What time() says there, in seconds.
    now: u32,
    /// Makes the next token differ.
    tokens: u32,
}

/// What became of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// A new user, logged in.
    Made(LogIn),
    /// A live user has the number.
    Held(u32),
}

/// A user with the token that he got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIn {
    /// Whose it is.
    pub user: u32,
    /// 32 hexadecimal digits.
    pub token: String,
}

impl PhpWriter {
    /// Connects to the shop's database.
    ///
    /// # Errors
    /// Where that fails.
    pub async fn new(shop: &Shop, now: u32) -> Result<Self> {
        let mut connection = shop.connect().await?;
        let thread: Option<u32> = connection.query_first("SELECT CONNECTION_ID()").await?;
        Ok(Self { connection, now, tokens: thread.unwrap_or_default().wrapping_mul(1_000_000) })
    }

    /// The first live user with a number, as the shop's check finds him.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn holder_of_mobile(&mut self, mobile: &str) -> Result<Option<u32>> {
        let query = "SELECT * FROM sxo_user WHERE mobile = ? AND is_delete_time = 0 AND is_logout_time = 0 LIMIT 1";
        let row: Option<mysql_async::Row> = self.connection.exec_first(query, (mobile,)).await?;
        Ok(row.and_then(|row| row.get("id")))
    }

    /// Registers a number: the check, and then the insertion.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn register(&mut self, mobile: &str, platform: &str) -> Result<Registration> {
        if let Some(holder) = self.holder_of_mobile(mobile).await? {
            return Ok(Registration::Held(holder));
        }
        self.insert_user(mobile, platform, &[]).await.map(Registration::Made)
    }

    /// The insertion of a registration whose check is done: user, platform, member code and token, one after the other.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn insert_user(&mut self, mobile: &str, platform: &str, identity: &[(&str, &str)]) -> Result<LogIn> {
        let user = [("mobile", Value::from(mobile)), ("add_time", Value::from(self.now))];
        let user = insert(&mut self.connection, "sxo_user", &user).await?;
        self.insert_platform(user, platform, identity).await?;
        self.set_number_code(user).await?;
        self.replace_token(user, platform).await
    }

    /// Logs the holder of a number in by a code in a text message: the token of the platform is replaced.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn log_in(&mut self, mobile: &str, platform: &str) -> Result<Option<LogIn>> {
        let Some(user) = self.holder_of_mobile(mobile).await? else { return Ok(None) };
        self.make_platform(user, platform).await?;
        self.replace_token(user, platform).await.map(Some)
    }

    /// Binds a number: to the user who has a token, else to the one who has the number, else to a new one.
    /// None where another user has the number, or the caller himself (-50, -51).
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn bind(&mut self, mobile: &str, platform: &str, token: &str) -> Result<Option<LogIn>> {
        let holder = self.holder_of_mobile(mobile).await?;
        let caller = self.holder_of_token(token, platform).await?;
        let user = match (caller, holder) {
            (Some(_), Some(_)) => return Ok(None),
            (Some(user), None) | (None, Some(user)) => user,
            (None, None) => return self.insert_user(mobile, platform, &[]).await.map(Some),
        };
        self.save(user, &[("mobile", Value::from(mobile))]).await?;
        self.make_platform(user, platform).await?;
        self.replace_token(user, platform).await.map(Some)
    }

    /// The user whom a token is good for at the shop when it is not cached; from any platform, the own first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn holder_of_token(&mut self, token: &str, platform: &str) -> Result<Option<u32>> {
        if token.is_empty() {
            return Ok(None);
        }
        let query = "SELECT u.id FROM sxo_user u INNER JOIN sxo_user_platform up ON u.id = up.user_id
            WHERE up.token = ? AND up.system_type = 'default' AND up.platform = ?
            AND u.is_delete_time = 0 AND u.is_logout_time = 0 LIMIT 1";
        if let Some(user) = self.connection.exec_first(query, (token, platform)).await? {
            return Ok(Some(user));
        }
        let query = "SELECT user_id FROM sxo_user_platform WHERE token = ?";
        let Some(user): Option<u32> = self.connection.exec_first(query, (token,)).await? else { return Ok(None) };
        let query = "SELECT id FROM sxo_user WHERE id = ? AND is_delete_time = 0 AND is_logout_time = 0 LIMIT 1";
        Ok(self.connection.exec_first(query, (user,)).await?)
    }

    /// Changes a user's columns, as the administration and the user's own pages do.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn save(&mut self, user: u32, columns: &[(&str, Value)]) -> Result<()> {
        let mut names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        names.push("upd_time");
        let mut values: Vec<Value> = columns.iter().map(|(_, value)| value.clone()).collect();
        values.extend([Value::from(self.now), Value::from(user)]);
        let statement = format!("UPDATE sxo_user SET {} = ? WHERE id = ?", names.join(" = ?, "));
        Ok(self.connection.exec_drop(statement, Params::Positional(values)).await?)
    }

    /// Deletes a user, as the administration does: his rows go.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delete(&mut self, user: u32) -> Result<()> {
        self.connection.exec_drop("DELETE FROM sxo_user WHERE id = ?", (user,)).await?;
        Ok(self.connection.exec_drop("DELETE FROM sxo_user_platform WHERE user_id = ?", (user,)).await?)
    }

    /// Closes an account, as its owner does: the row stays, and frees its number.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn close(&mut self, user: u32) -> Result<()> {
        self.save(user, &[("is_logout_time", Value::from(self.now))]).await
    }

    async fn make_platform(&mut self, user: u32, platform: &str) -> Result<()> {
        let query =
            "SELECT * FROM sxo_user_platform WHERE user_id = ? AND system_type = 'default' AND platform = ? LIMIT 1";
        let found: Option<mysql_async::Row> = self.connection.exec_first(query, (user, platform)).await?;
        if found.is_none() {
            self.insert_platform(user, platform, &[]).await?;
        }
        Ok(())
    }

    async fn insert_platform(&mut self, user: u32, platform: &str, identity: &[(&str, &str)]) -> Result<()> {
        let mut columns = vec![("user_id", Value::from(user)), ("system_type", Value::from("default"))];
        columns.extend([("platform", Value::from(platform)), ("add_time", Value::from(self.now))]);
        columns.extend(identity.iter().map(|(name, value)| (*name, Value::from(*value))));
        insert(&mut self.connection, "sxo_user_platform", &columns).await?;
        Ok(())
    }

    /// 8888, then random digits, of which some zeros will do here, and the id in the last of ten.
    async fn set_number_code(&mut self, user: u32) -> Result<()> {
        let code = format!("8888{user:010}");
        Ok(self.connection.exec_drop("UPDATE sxo_user SET number_code = ? WHERE id = ?", (code, user)).await?)
    }

    async fn replace_token(&mut self, user: u32, platform: &str) -> Result<LogIn> {
        self.tokens = self.tokens.wrapping_add(1);
        let token = format!("{:08x}{:08x}{user:016x}", self.now, self.tokens);
        let statement = "UPDATE sxo_user_platform SET token = ?, upd_time = ?
            WHERE user_id = ? AND system_type = 'default' AND platform = ?";
        self.connection.exec_drop(statement, (&token, self.now, user, platform)).await?;
        Ok(LogIn { user, token })
    }
}

/// Inserts a row, and answers its id.
pub(super) async fn insert(connection: &mut Conn, table: &str, columns: &[(&str, Value)]) -> Result<u32> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let statement = format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "));
    let values = columns.iter().map(|(_, value)| value.clone()).collect();
    connection.exec_drop(statement, Params::Positional(values)).await?;
    Ok(u32::try_from(connection.last_insert_id().unwrap_or_default())?)
}

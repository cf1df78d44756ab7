//! Mini-program identities. An openid means nothing without its platform and app.

use std::fmt;

use crate::Platform;

/// The longest openid, unionid and app id, in characters (ShopXO's columns).
pub const MAX_CHARS: usize = 60;

macro_rules! identifier {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// `None` where the text is empty or longer than [`MAX_CHARS`].
            #[must_use]
            pub fn new(text: &str) -> Option<Self> {
                let well_formed = !text.is_empty() && text.chars().count() <= MAX_CHARS;
                well_formed.then(|| Self(text.into()))
            }

            /// The identifier as the platform gave it; letter case counts.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Its first three characters, `oB6***`.
            #[must_use]
            pub fn masked(&self) -> String {
                self.0.chars().take(3).chain(['*', '*', '*']).collect()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.masked())
            }
        }
    };
}

identifier! {
    /// A user of one app on one platform.
    OpenId
}
identifier! {
    /// A user across the apps of one owner on one platform.
    UnionId
}

/// A mini-program's app id; empty where none is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Box<str>);

impl AppId {
    /// `None` where the text is longer than [`MAX_CHARS`].
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (text.chars().count() <= MAX_CHARS).then(|| Self(text.into()))
    }

    /// The app id as the platform gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What belongs to at most one live account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The platform.
    pub platform: Platform,
    /// The app on it.
    pub app: AppId,
    /// The user of that app.
    pub openid: OpenId,
}

//! The shop's columns that mobile-bind reads and writes, as ShopXO 6.9 has them.

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// A text of so many characters.
    Text(u64),
    /// A whole number of so many bytes, signed or not.
    Whole { bytes: u64, unsigned: bool },
}

/// The name of a column, its type, and whether mobile-bind looks rows up by it.
pub(super) type Column = (&'static str, Type, bool);

const fn text(length: u64) -> Type {
    Type::Text(length)
}

const INT: Type = Type::Whole { bytes: 4, unsigned: false };
const UNSIGNED: Type = Type::Whole { bytes: 4, unsigned: true };
const TINY: Type = Type::Whole { bytes: 1, unsigned: false };

pub(super) const USER: [Column; 23] = [
    ("id", UNSIGNED, true),
    ("number_code", text(30), false),
    ("status", TINY, false),
    ("salt", text(32), false),
    ("pwd", text(32), false),
    ("username", text(60), true),
    ("nickname", text(60), false),
    ("mobile", text(30), true),
    ("email", text(60), false),
    ("gender", TINY, false),
    ("avatar", text(255), false),
    ("province", text(60), false),
    ("city", text(60), false),
    ("county", text(60), false),
    ("birthday", INT, false),
    ("address", text(150), false),
    ("integral", INT, false),
    ("locking_integral", INT, false),
    ("referrer", UNSIGNED, false),
    ("is_delete_time", UNSIGNED, false),
    ("is_logout_time", UNSIGNED, false),
    ("add_time", UNSIGNED, false),
    ("upd_time", UNSIGNED, false),
];

pub(super) const USER_PLATFORM: [Column; 17] = [
    ("id", UNSIGNED, true),
    ("user_id", UNSIGNED, true),
    ("system_type", text(60), false),
    ("platform", text(30), false),
    ("token", text(60), true),
    ("alipay_openid", text(60), true),
    ("weixin_openid", text(60), true),
    ("weixin_unionid", text(60), true),
    ("weixin_web_openid", text(60), false),
    ("baidu_openid", text(60), true),
    ("toutiao_openid", text(60), true),
    ("toutiao_unionid", text(60), true),
    ("qq_openid", text(60), true),
    ("qq_unionid", text(60), true),
    ("kuaishou_openid", text(60), true),
    ("add_time", UNSIGNED, false),
    ("upd_time", UNSIGNED, false),
];

/// The columns that hold what one account alone may have on a platform.
pub(super) const IDENTITIES: [&str; 9] = [
    "alipay_openid",
    "weixin_openid",
    "weixin_unionid",
    "baidu_openid",
    "toutiao_openid",
    "toutiao_unionid",
    "qq_openid",
    "qq_unionid",
    "kuaishou_openid",
];

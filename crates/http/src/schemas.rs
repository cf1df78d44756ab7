//! The schemas of the document that no Rust type stands for: request bodies in three encodings, and the envelopes.

use mobile_bind_domain::outbox::SendStatus;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::Type;
use serde_json::{Value, json};

use crate::parameters::Parameter;
use crate::refusal_table;
use crate::user::User;

/// The interface document's example of a user, and plausible values of what came after it.
pub(crate) const USER_EXAMPLE: &str = r#"{
    "id": "1",
    "alipay_openid": "",
    "weixin_openid": "oB6US5SNOngn196qzb3lagEBTh6w",
    "weixin_unionid": "o1Ang5xo5tiJD-l7Y1kY7-hT6emk",
    "weixin_web_openid": "obfTQw7y972CqaHw2ohJ2PcETUw8",
    "baidu_openid": "",
    "toutiao_openid": "",
    "qq_openid": "",
    "qq_unionid": "",
    "status": "0",
    "token": "1fa48232d7a0392ca22269a3d35b540f",
    "username": "qqqqqq",
    "nickname": "qqqqqq",
    "mobile": "17602128368",
    "email": "",
    "gender": "0",
    "avatar": "https://d1.shopxo.vip/static/index/default/images/default-user-avatar.jpg",
    "province": "",
    "city": "",
    "birthday": "0",
    "address": "",
    "integral": "1189",
    "locking_integral": "0",
    "referrer": "0",
    "plugins_distribution_level": "0",
    "plugins_user_level": "0",
    "is_delete_time": "0",
    "add_time": "1627535697",
    "upd_time": "1634727340",
    "add_time_text": "2021-07-29 13:14:57",
    "upd_time_text": "2021-10-20 18:55:40",
    "gender_text": "保密",
    "birthday_text": "",
    "mobile_security": "176***368",
    "email_security": "",
    "user_name_view": "qqqqqq",
    "is_mandatory_bind_mobile": 0,
    "number_code": "88880000000001",
    "county": "",
    "toutiao_unionid": "",
    "kuaishou_openid": "",
    "is_logout_time": "0",
    "system_type": "default",
    "platform": "weixin",
    "address_info": "",
    "is_setup_pwd": 0
}"#;

/// A schema that stands where it is used.
pub(crate) fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

/// What the document says of a parameter.
pub(crate) fn parameter(parameter: Parameter) -> MetaSchema {
    let text = |description| MetaSchema { description: Some(description), ..MetaSchema::new("string") };
    let limited = |description, limit| MetaSchema { max_length: Some(limit), ..text(description) };
    match parameter {
        Parameter::Application => MetaSchema {
            enum_items: vec![json!("web"), json!("app")],
            default: Some(json!("web")),
            ..text("The requesting application.")
        },
        Parameter::ClientType => MetaSchema {
            enum_items: mobile_bind_domain::ClientType::ALL.map(|client_type| json!(client_type.name())).to_vec(),
            default: Some(json!("pc")),
            ..text("The kind of client. An unknown one counts as `pc`.")
        },
        Parameter::Token => text("The caller's session token; `Authorization: Bearer` says the same."),
        Parameter::Uuid => limited(
            "The client installation's id, made once and sent with every request. A code belongs to the installation \
             that asked for it.",
            mobile_bind_domain::Installation::MAX_CHARS,
        ),
        Parameter::Lang => MetaSchema {
            enum_items: ["zh", "en", "cht", "spa"].map(Value::from).to_vec(),
            ..text("The language of the answer; else `Accept-Language` decides, else it is `zh`.")
        },
        Parameter::Mobile => {
            text("The mobile number: eleven digits of mainland China, unless the shop sets another rule.")
        }
        Parameter::Verify => text("The code that was received by SMS. A string: `0944` keeps its zero."),
        Parameter::OldVerify => text(
            "The code that was sent to the number that the account has now, where the last answer wanted one: an answer with \
             `old_mobile`. Ask for it by `user/appmobilebindverifysend` with that number.",
        ),
        Parameter::Avatar => limited("The avatar: an http(s) URL, or a path on the shop's host. May be empty.", 255),
        Parameter::Province => limited("The province. May be empty.", 60),
        Parameter::City => limited("The city. May be empty.", 60),
        Parameter::County => limited("The county. May be empty.", 60),
        Parameter::Gender => text_or_integer("`0` undisclosed, `1` female, `2` male; anything else counts as `0`."),
        Parameter::Nickname => limited("The nickname. May be empty.", 60),
        Parameter::Referrer => text_or_integer(
            "The inviting user: id, member code, mobile number or encoded id. Counts only for a new account; what names \
             nobody counts as none.",
        ),
        Parameter::Captcha => limited(
            "What the captcha's widget gave, where the last answer wanted one: an answer with `captcha`.",
            mobile_bind_domain::ports::CaptchaResponse::MAX_CHARS,
        ),
        Parameter::AuthTicket => text(
            "The ticket that `user/appminiuserauth` answered: it proves the openid where the `uuid` does not, or does not \
             suffice. Good once, for ten minutes.",
        ),
        Parameter::AuthCode => text("The log-in code of the mini-program's platform (`wx.login` and the like)."),
        Parameter::Code => text("WeChat's code for the phone number, from `getPhoneNumber`; not the log-in code."),
        Parameter::EncryptedData => text("What the platform encrypted with the phone number in it, in base64."),
        Parameter::Iv => text("The initialisation vector that goes with `encrypted_data`, in base64."),
        Parameter::OpenId => limited("The openid on the client type's platform.", 60),
        Parameter::WeixinOpenid => limited("The openid on WeChat; needed where the client type is `weixin`.", 60),
        Parameter::WeixinUnionid => limited("The unionid on WeChat, where the client type is `weixin`.", 60),
        Parameter::AlipayOpenid => limited("The openid on Alipay; needed where the client type is `alipay`.", 60),
        Parameter::BaiduOpenid => limited("The openid on Baidu; needed where the client type is `baidu`.", 60),
        Parameter::ToutiaoOpenid => limited("The openid on Toutiao; needed where the client type is `toutiao`.", 60),
        Parameter::ToutiaoUnionid => limited("The unionid on Toutiao, where the client type is `toutiao`.", 60),
        Parameter::QqOpenid => limited("The openid on QQ; needed where the client type is `qq`.", 60),
        Parameter::QqUnionid => limited("The unionid on QQ, where the client type is `qq`.", 60),
        Parameter::KuaishouOpenid => limited("The openid on Kuaishou; needed where the client type is `kuaishou`.", 60),
    }
}

fn text_or_integer(description: &'static str) -> MetaSchema {
    MetaSchema {
        description: Some(description),
        one_of: vec![inline(MetaSchema::new("string")), inline(MetaSchema::new("integer"))],
        ..MetaSchema::ANY
    }
}

/// A request body of these parameters.
pub(crate) fn request(
    description: &'static str,
    parameters: &[Parameter],
    required: &[Parameter],
    example: Value,
) -> MetaSchema {
    MetaSchema {
        description: Some(description),
        required: required.iter().map(|parameter| parameter.name()).collect(),
        properties: parameters.iter().map(|&taken| (taken.name(), inline(parameter(taken)))).collect(),
        example: Some(example),
        ..MetaSchema::new("object")
    }
}

/// The example of a user. A constant that a test reads; where it could not be read, the document would go without.
pub(crate) fn user_example() -> Option<Value> {
    serde_json::from_str(USER_EXAMPLE).ok()
}

/// The envelope of a success that has a user to answer.
pub(crate) fn user_envelope() -> MetaSchema {
    let user = MetaSchema {
        description: Some("The account, and the token to go on with."),
        all_of: vec![User::schema_ref()],
        ..MetaSchema::ANY
    };
    let example = user_example().map(|user| json!({ "msg": "绑定成功", "code": 0, "data": user }));
    let description = "A success. `data` is the user.";
    MetaSchema { example, ..envelope(description, success_code(), user) }
}

/// What a log-in of somebody without an account answers.
pub(crate) fn stranger_example() -> Value {
    json!({
        "is_user_exist": 0,
        "openid": "oB6US5SNOngn196qzb3lagEBTh6w",
        "unionid": "o1Ang5xo5tiJD-l7Y1kY7-hT6emk",
        "auth_ticket": "t1.5f1d0c2a9b3e4f60.AAECAwQFBgc.AAECAwQFBgc",
    })
}

/// The envelope of a log-in: the user with some fields more, or those fields alone.
pub(crate) fn log_in_envelope() -> MetaSchema {
    let text = |description| inline(MetaSchema { description: Some(description), ..MetaSchema::new("string") });
    let told = |exists: i32, description| MetaSchema {
        description: Some(description),
        required: vec!["is_user_exist", "openid", "unionid", "auth_ticket"],
        properties: vec![
            (
                "is_user_exist",
                inline(MetaSchema {
                    description: Some("1 where the openid has an account, else 0."),
                    enum_items: vec![json!(exists)],
                    ..MetaSchema::new_with_format("integer", "int32")
                }),
            ),
            ("openid", text("The openid on the client type's platform.")),
            ("unionid", text("The unionid, where the platform tells; else empty.")),
            ("auth_ticket", text("Proves the openid in one bind, within ten minutes.")),
        ],
        ..MetaSchema::new("object")
    };
    let known = MetaSchema {
        description: Some("Somebody who has an account: the user, with the token to go on with."),
        all_of: vec![User::schema_ref(), inline(told(1, "What a log-in adds to the user."))],
        ..MetaSchema::ANY
    };
    let data = MetaSchema {
        description: Some("Who logged in."),
        one_of: vec![inline(known), inline(told(0, "Somebody who has no account yet."))],
        ..MetaSchema::ANY
    };
    let example = Some(json!({ "msg": "授权登录成功", "code": 0, "data": stranger_example() }));
    MetaSchema { example, ..envelope("A success. `data` is who logged in.", success_code(), data) }
}

/// What is answered of a code that a provider has taken.
pub(crate) fn code_status_example() -> Value {
    json!({ "status": SendStatus::Accepted.name() })
}

/// The envelope of how far a code came.
pub(crate) fn code_status_envelope() -> MetaSchema {
    let status = MetaSchema {
        description: Some("`accepted`: an SMS provider has taken the code. `failed`: none did. `pending`: not known."),
        enum_items: SendStatus::ALL.map(|status| status.name().into()).to_vec(),
        ..MetaSchema::new("string")
    };
    let data = MetaSchema {
        description: Some("How far the code came."),
        required: vec!["status"],
        properties: vec![("status", inline(status))],
        ..MetaSchema::new("object")
    };
    let example = Some(json!({ "msg": "操作成功", "code": 0, "data": code_status_example() }));
    MetaSchema { example, ..envelope("A success. `data` is how far the code came.", success_code(), data) }
}

/// The envelope of a success that has nothing to answer.
pub(crate) fn empty_envelope() -> MetaSchema {
    let example = Some(json!({ "msg": "发送成功", "code": 0, "data": [] }));
    let description = "A success. `data` is an empty array.";
    MetaSchema { example, ..envelope(description, success_code(), no_data()) }
}

/// The envelope of everything that is no success.
pub(crate) fn error_envelope() -> MetaSchema {
    let code = MetaSchema {
        description: Some(
            "What went wrong: -1 a parameter is missing or invalid, -2 the number is malformed, -10 no live code, -11 wrong \
             code, -20 no openid, -50 the number is another account's or several have it, -51 the number is the caller's already, -100 not \
             sent or not bound now, -110 the account is disabled or waits for approval, -400 log in again, -500 a fault \
             of the service, -1000 no such address.",
        ),
        enum_items: refusal_table::CODES.map(Value::from).to_vec(),
        ..MetaSchema::new_with_format("integer", "int32")
    };
    let example = Some(json!({ "msg": "error", "code": -1, "data": [] }));
    let description = "A refusal or a fault. `data` is an empty array.";
    let mut schema = envelope(description, code, no_data());
    schema.properties.push(("captcha", inline(captcha())));
    schema.properties.push(("old_mobile", inline(old_mobile())));
    MetaSchema { example, ..schema }
}

/// What a refusal has that a solved captcha helps with.
fn captcha() -> MetaSchema {
    let text = |description| inline(MetaSchema { description: Some(description), ..MetaSchema::new("string") });
    MetaSchema {
        description: Some(
            "Only where a solved captcha helps: show the provider's widget, and ask again with what it gave as `captcha`.",
        ),
        required: vec!["provider", "site_key"],
        properties: vec![
            ("provider", text("Whose captcha it is: `turnstile` or `hcaptcha`.")),
            ("site_key", text("The key that its widget is made with.")),
        ],
        ..MetaSchema::new("object")
    }
}

/// What a refusal has that a code for the account's own number helps with.
fn old_mobile() -> MetaSchema {
    MetaSchema {
        description: Some(
            "Only where the account has a number, and the shop wants a code sent to that too: the number, masked. Ask again \
             with that code as `old_verify`; `verify` is not used up yet.",
        ),
        ..MetaSchema::new("string")
    }
}

fn envelope(description: &'static str, code: MetaSchema, data: MetaSchema) -> MetaSchema {
    let message = MetaSchema {
        description: Some("What to show the person, in the language asked for."),
        ..MetaSchema::new("string")
    };
    MetaSchema {
        description: Some(description),
        required: vec!["msg", "code", "data"],
        properties: vec![("msg", inline(message)), ("code", inline(code)), ("data", inline(data))],
        ..MetaSchema::new("object")
    }
}

fn success_code() -> MetaSchema {
    MetaSchema {
        description: Some("Always 0."),
        enum_items: vec![json!(0)],
        ..MetaSchema::new_with_format("integer", "int32")
    }
}

/// The empty array that PHP makes of no data.
fn no_data() -> MetaSchema {
    MetaSchema {
        description: Some("Always empty."),
        items: Some(Box::new(inline(MetaSchema::new("string")))),
        max_items: Some(0),
        ..MetaSchema::new("array")
    }
}

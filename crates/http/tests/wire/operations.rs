//! The four operations, by every way in.

use std::sync::Arc;

use mobile_bind_domain::ports::CallerQuery;
use poem::http::Method;
use serde_json::json;

use crate::shop::{CODE, HANGING_MOBILE, MOBILE, RESTING_MOBILE, Shop, TOKEN, envelope};

const DOCUMENT_BODY: &str = r#"{
    "mobile": "17602128368",
    "verify": "0944",
    "avatar": "https://d1.shopxo.vip/static/index/default/images/default-user-avatar.jpg",
    "city": "",
    "gender": "0",
    "nickname": "qqqqqq",
    "province": "",
    "referrer": 0,
    "weixin_openid": "oB6US5SNOngn196qzb3lagEBTh6w",
    "weixin_unionid": "o1Ang5xo5tiJD-l7Y1kY7-hT6emk"
}"#;

/// The document's fields, and what today's ShopXO adds.
const FIELDS: &str = "id alipay_openid weixin_openid weixin_unionid weixin_web_openid baidu_openid toutiao_openid \
    qq_openid qq_unionid status token username nickname mobile email gender avatar province city birthday address \
    integral locking_integral referrer plugins_distribution_level plugins_user_level is_delete_time add_time upd_time \
    add_time_text upd_time_text gender_text birthday_text mobile_security email_security user_name_view \
    is_mandatory_bind_mobile number_code county toutiao_unionid kuaishou_openid is_logout_time system_type platform \
    address_info is_setup_pwd";

#[tokio::test]
async fn the_interface_documents_own_request() {
    let shop = Arc::new(Shop::default());
    let uri = "/user/appmobilebind?application=web&application_client_type=weixin";
    let response = shop.client().post(uri).content_type("application/json").body(DOCUMENT_BODY).send().await;
    response.assert_status_is_ok();
    let (code, envelope) = envelope(response).await;
    assert_eq!((code, envelope["msg"].as_str().unwrap()), (0, "绑定成功"));
    let user = envelope["data"].as_object().unwrap();
    assert_eq!(user.keys().map(String::as_str).collect::<Vec<_>>(), FIELDS.split_whitespace().collect::<Vec<_>>());
    assert_eq!(user["weixin_openid"], "oB6US5SNOngn196qzb3lagEBTh6w");
    assert_eq!(user["weixin_unionid"], "o1Ang5xo5tiJD-l7Y1kY7-hT6emk");
    assert_eq!((&user["token"], &user["platform"]), (&json!(TOKEN), &json!("weixin")));
    assert_eq!((&user["mobile"], &user["gender_text"]), (&json!(MOBILE), &json!("保密")));
    assert_eq!(shop.commits.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn every_way_in_leads_to_the_same_answer() {
    let shop = Arc::new(Shop::default());
    let client = shop.client();
    let parameters = [("mobile", MOBILE), ("verify", CODE), ("nickname", "编码 a+b")];
    let json = json!({ "mobile": 17_602_128_368_u64, "verify": CODE, "nickname": "编码 a+b", "city": null });
    let form = poem::test::TestForm::new().text("mobile", MOBILE).text("verify", CODE).text("nickname", "编码 a+b");
    let query = format!("mobile={MOBILE}&verify={CODE}&nickname=%E7%BC%96%E7%A0%81+a%2Bb");
    let requests = [
        client.post("/user/appmobilebind").body_json(&json),
        client.post("/api.php?s=user/appmobilebind&token=&uuid=").body_json(&json),
        client.post("/User/AppMobileBind.html").form(&parameters),
        client.post("/api.php?s=/USER/appmobilebind.html&mobile=1").form(&parameters),
        client.post("/user/appmobilebind").multipart(form),
        client.post(format!("/user/appmobilebind?{query}")),
        client.get(format!("/user/appmobilebind?{query}")),
        client.get(format!("/api.php?s=user%2fappmobilebind&{query}")).content_type("text/plain").body("x"),
    ];
    let mut answers = Vec::new();
    for request in requests {
        let (code, envelope) = envelope(request.send().await).await;
        assert_eq!(code, 0, "{envelope}");
        answers.push(envelope);
    }
    assert_eq!(answers[0]["data"]["nickname"], "编码 a+b");
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test]
async fn sessions_are_looked_up_and_ended() {
    let client = Arc::new(Shop::default()).client();
    for (uri, success) in [("/user/tokenuserinfo", "操作成功"), ("/user/logout", "退出成功")] {
        let requests = [
            client.post(format!("{uri}?token={TOKEN}")),
            client.post(format!("{uri}?token=")).header("authorization", format!("bearer {TOKEN}")),
            client.post(uri).form(&[("token", TOKEN)]),
            client.get(format!("{uri}?token={TOKEN}")),
        ];
        for request in requests {
            let (code, envelope) = envelope(request.send().await).await;
            assert_eq!((code, envelope["msg"].as_str().unwrap()), (0, success));
            assert_eq!(envelope["data"].is_object(), uri.ends_with("info"));
        }
    }
    for (uri, expected) in [("/user/tokenuserinfo", -1), ("/user/logout", -400)] {
        for token in ["", "?token=unknown"] {
            let (code, _) = envelope(client.post(format!("{uri}{token}")).send().await).await;
            assert_eq!(code, expected);
        }
    }
}

#[tokio::test]
async fn refusals_say_when_to_try_again() {
    let client = Arc::new(Shop::default()).client();
    let sent = client.post("/user/appmobilebindverifysend").form(&[("mobile", MOBILE)]).send().await;
    let (code, answer) = envelope(sent).await;
    assert_eq!((code, answer["msg"].as_str().unwrap(), &answer["data"]), (0, "发送成功", &json!([])));
    let resting = client.post("/user/appmobilebindverifysend").form(&[("mobile", RESTING_MOBILE)]).send().await;
    resting.assert_status_is_ok();
    resting.assert_header("retry-after", "42");
    let (code, answer) = envelope(resting).await;
    assert_eq!((code, answer["msg"].as_str().unwrap()), (-100, "发送失败[发送过于频繁，请 42 秒后再试]"));
    let wrong = client.post("/user/appmobilebind").form(&[("mobile", MOBILE), ("verify", "1")]).send().await;
    wrong.assert_header_is_not_exist("retry-after");
    assert_eq!(envelope(wrong).await.0, -11);
}

#[tokio::test]
async fn codes_are_compared_as_they_were_written() {
    let client = Arc::new(Shop::default()).client();
    for (verify, expected) in [("\"0944\"", 0), ("\" 0944 \"", 0), ("944", -11), ("944.0", -11), ("\"944\"", -11)] {
        let body = format!(r#"{{"mobile":"{MOBILE}","verify":{verify}}}"#);
        let response = client.post("/user/appmobilebind").content_type("application/json").body(body).send().await;
        assert_eq!(envelope(response).await.0, expected, "{verify}");
    }
}

#[tokio::test]
async fn only_what_matters_can_be_invalid() {
    let client = Arc::new(Shop::default()).client();
    let cases = [
        ("mobile[]=1&verify=1", Some("mobile")),
        ("mobile=17602128368&verify[a]=1", Some("verify")),
        ("mobile=17602128368&verify=0944&lang[]=en", Some("lang")),
        ("mobile=17602128368&verify=0944&token[]=x", Some("token")),
        ("mobile=17602128368&verify=0944&application_client_type[]=x", Some("application_client_type")),
        ("mobile=17602128368&verify=0944&application_client_type=weixin&weixin_openid[]=x", Some("weixin_openid")),
        ("mobile=17602128368&verify=0944&referrer[]=7", None),
        ("mobile=17602128368&verify=0944&weixin_openid[]=x&nothing[]=1", None),
        ("mobile=17602128368&verify=0944&application_client_type=toaster", None),
    ];
    for (form, invalid) in cases {
        let request = client.post("/user/appmobilebind").content_type("application/x-www-form-urlencoded");
        let (code, answer) = envelope(request.body(form).send().await).await;
        assert_eq!(code, if invalid.is_some() { -1 } else { 0 }, "{form}: {answer}");
        if let Some(name) = invalid {
            assert!(answer["msg"].as_str().unwrap().contains(name), "{answer}");
        }
    }
    let long = client.post(format!("/user/appmobilebindverifysend?mobile={MOBILE}&uuid={}", "u".repeat(129)));
    let (code, answer) = envelope(long.send().await).await;
    assert_eq!(code, -1);
    assert!(answer["msg"].as_str().unwrap().contains("uuid"));
}

#[tokio::test]
async fn of_the_openids_only_the_client_types_own_counts() {
    let shop = Arc::new(Shop::default());
    let client = shop.client();
    for (client_type, expected) in [("weixin", Some("oW")), ("qq", Some("oQ")), ("h5", None), ("WEIXIN", None)] {
        let form = [
            ("application_client_type", client_type),
            ("mobile", MOBILE),
            ("verify", CODE),
            ("weixin_openid", "oW"),
            ("qq_openid", "oQ"),
        ];
        assert_eq!(envelope(client.post("/user/appmobilebind").form(&form).send().await).await.0, 0);
        let query = shop.queries.lock().unwrap().pop().unwrap();
        let openid = match &query.caller {
            CallerQuery::Identity { identity, .. } => identity.as_ref().map(|identity| identity.openid.as_str()),
            CallerQuery::Session(_) => None,
        };
        assert_eq!(openid, expected, "{client_type}");
    }
}

#[tokio::test]
async fn answers_are_in_the_language_asked_for() {
    let client = Arc::new(Shop::default()).client();
    let cases = [("", "", "手机号码不能为空"), ("en", "zh", "Enter a mobile number"), ("", "es-MX", "Introduce un")];
    for (lang, accept, expected) in cases {
        let request = client.post("/user/appmobilebindverifysend").header("accept-language", accept);
        let (_, answer) = envelope(request.body_json(&json!({ "lang": lang })).send().await).await;
        assert!(answer["msg"].as_str().unwrap().starts_with(expected), "{answer}");
    }
    let missing = client.request(Method::POST, "/nowhere?lang=cht").send().await;
    assert_eq!(envelope(missing).await.1["msg"], "非法訪問(請求位址不存在)");
}

/// A client that hangs up in the middle of a send does not stop it.
#[tokio::test]
async fn a_send_goes_on_without_its_client() {
    let shop = Arc::new(Shop::default());
    let client = shop.client();
    let request = client.post("/user/appmobilebindverifysend").form(&[("mobile", HANGING_MOBILE)]);
    tokio::select! {
        _ = request.send() => panic!("the provider has not answered yet"),
        () = shop.sending.notified() => {}
    }
    assert!(shop.sent.lock().unwrap().is_empty());
    shop.release.notify_one();
    shop.released.notified().await;
    assert_eq!(shop.sent.lock().unwrap().len(), 1);
}

//! The interface document's own request, in every form that clients send it.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

use mobile_bind_tests::harness::{Answer, TestServer};
use reqwest::{Method, multipart};
use serde_json::{Value, json};

const MOBILE: &str = "17602128368";
const OPENID: &str = "oB6US5SNOngn196qzb3lagEBTh6w";
const COMMON: &str = "application=web&application_client_type=weixin";

/// The document's 37 fields, then what today's ShopXO adds.
const FIELDS: &str = "id alipay_openid weixin_openid weixin_unionid weixin_web_openid baidu_openid toutiao_openid \
    qq_openid qq_unionid status token username nickname mobile email gender avatar province city birthday address integral \
    locking_integral referrer plugins_distribution_level plugins_user_level is_delete_time add_time upd_time add_time_text \
    upd_time_text gender_text birthday_text mobile_security email_security user_name_view is_mandatory_bind_mobile \
    number_code county toutiao_unionid kuaishou_openid is_logout_time system_type platform address_info is_setup_pwd";

fn parameters(verify: &str) -> Value {
    json!({
        "mobile": MOBILE,
        "verify": verify,
        "avatar": "https://d1.shopxo.vip/static/index/default/images/default-user-avatar.jpg",
        "city": "",
        "gender": "0",
        "nickname": "qqqqqq",
        "province": "",
        "referrer": 0,
        "weixin_openid": OPENID,
        "weixin_unionid": "o1Ang5xo5tiJD-l7Y1kY7-hT6emk",
    })
}

/// The same parameters as form fields.
fn form(verify: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    parameters(verify).as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn encoded(verify: &str) -> String {
    reqwest::Url::parse_with_params("http://x", form(verify)).unwrap().query().unwrap().to_owned()
}

async fn sent_code(server: &TestServer) -> String {
    let path = format!("/user/appmobilebindverifysend?{COMMON}");
    let sent = server.post(&path, &format!("mobile={MOBILE}")).await.unwrap();
    assert_eq!(sent.body, json!({ "msg": "发送成功", "code": 0, "data": [] }));
    server.last_code(MOBILE).unwrap()
}

/// What must hold of the answer, whatever form the request had.
fn assert_documented(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!((answer.body["msg"].as_str(), answer.code()), (Some("绑定成功"), Some(0)), "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    assert!(!answer.headers["x-request-id"].is_empty());
    let user = answer.body["data"].as_object().unwrap();
    for (name, value) in user {
        let is_integer = ["is_mandatory_bind_mobile", "is_setup_pwd"].contains(&name.as_str());
        assert_eq!((value.is_u64(), value.is_string()), (is_integer, !is_integer), "{name}");
    }
    let position = |name: &str| answer.text.find(&format!("\"{name}\":"));
    let positions: Vec<_> = FIELDS.split_whitespace().map(|name| position(name).expect(name)).collect();
    assert!(positions.is_sorted(), "the fields are in the document's order: {}", answer.text);
    assert_eq!(user.len(), positions.len());
    assert!(
        answer.text.starts_with("{\"msg\":")
            && position("msg") < position("code")
            && position("code") < position("data")
    );
    let expected = [
        ("weixin_openid", OPENID),
        ("weixin_unionid", "o1Ang5xo5tiJD-l7Y1kY7-hT6emk"),
        ("status", "0"),
        ("nickname", "qqqqqq"),
        ("mobile", MOBILE),
        ("gender", "0"),
        ("avatar", "https://d1.shopxo.vip/static/index/default/images/default-user-avatar.jpg"),
        ("gender_text", "保密"),
        ("mobile_security", "176***368"),
        ("user_name_view", "qqqqqq"),
        ("referrer", "0"),
        ("birthday", "0"),
        ("is_delete_time", "0"),
        ("upd_time", "0"),
        ("platform", "weixin"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.field(name), value, "{name}");
    }
    let (id, code) = (answer.field("id"), answer.field("number_code"));
    assert_eq!(code, format!("8888{id:0>10}"));
    assert!(!answer.field("token").is_empty());
}

#[tokio::test]
async fn as_json() {
    let server = TestServer::start().await.unwrap();
    let body = parameters(&sent_code(&server).await).to_string();
    let path = format!("/user/appmobilebind?{COMMON}");
    let answer = server.request(Method::POST, &path, Some("application/json"), body).await.unwrap();
    assert_documented(&answer);
    assert_eq!(answer.field("add_time_text").len(), "2021-07-29 13:14:57".len());
}

#[tokio::test]
async fn as_form_fields() {
    let server = TestServer::start().await.unwrap();
    let body = encoded(&sent_code(&server).await);
    assert_documented(&server.post(&format!("/user/appmobilebind?{COMMON}"), &body).await.unwrap());
}

#[tokio::test]
async fn as_multipart() {
    let server = TestServer::start().await.unwrap();
    let fields = form(&sent_code(&server).await);
    let body = fields.into_iter().fold(multipart::Form::new(), |form, (name, value)| form.text(name, value));
    let request = server.client().post(server.url(&format!("/user/appmobilebind?{COMMON}"))).multipart(body);
    assert_documented(&server.send(request).await.unwrap());
}

#[tokio::test]
async fn all_in_the_query_by_get() {
    let server = TestServer::start().await.unwrap();
    let query = encoded(&sent_code(&server).await);
    let path = format!("/user/appmobilebind?{COMMON}&{query}");
    assert_documented(&server.request(Method::GET, &path, None, "").await.unwrap());
}

#[tokio::test]
async fn by_every_spelling_of_the_url() {
    let spellings = [
        "/api.php?s=user/appmobilebind&",
        "/api.php?s=/user/appmobilebind&",
        "/api.php?s=user%2Fappmobilebind&",
        "/api.php?s=User/AppMobileBind&",
        "/api.php?s=user/appmobilebind.html&",
        "/api.php?system_type=default&s=user/appmobilebind&ajax=ajax&",
        "/user/appmobilebind.html?",
        "/User/AppMobileBind?",
    ];
    for spelling in spellings {
        let server = TestServer::start().await.unwrap();
        let body = encoded(&sent_code(&server).await);
        let answer = server.post(&format!("{spelling}{COMMON}"), &body).await.unwrap();
        assert_documented(&answer);
    }
}

/// What its H5 build sends: JSON, an integer gender, undefined fields left out.
#[tokio::test]
async fn as_shopxos_own_client_sends_it() {
    let server = TestServer::start().await.unwrap();
    let query = "system_type=default&application=app&application_client_type=h5&application_client_brand=&token=&uuid=U1\
                 &lang=zh&theme=red&ajax=ajax";
    let json = |action: &str, body: Value| {
        let path = format!("/api.php?s=user/{action}&{query}");
        let server = &server;
        async move { server.request(Method::POST, &path, Some("application/json"), body.to_string()).await.unwrap() }
    };
    assert_eq!(json("appmobilebindverifysend", json!({ "mobile": MOBILE })).await.code(), Some(0));
    let verify = server.last_code(MOBILE).unwrap();
    let body = json!({ "mobile": MOBILE, "verify": verify, "nickname": "", "avatar": "http://img/a.png", "province": "",
        "city": "", "gender": 0 });
    let bound = json("appmobilebind", body).await;
    assert_eq!((bound.code(), bound.field("avatar")), (Some(0), "http://img/a.png"));
    assert_eq!(bound.field("user_name_view"), "176***368");
}

#[tokio::test]
async fn the_token_is_good_until_log_out() {
    let server = TestServer::start().await.unwrap();
    let body = encoded(&sent_code(&server).await);
    let bound = server.post(&format!("/user/appmobilebind?{COMMON}"), &body).await.unwrap();
    let token = bound.field("token");
    let by_token = format!("token={token}");
    let look_up = || server.post("/user/tokenuserinfo?application_client_type=weixin", &by_token);
    let found = look_up().await.unwrap();
    assert_eq!((found.code(), found.field("mobile")), (Some(0), MOBILE));
    let bearer = server.client().post(server.url("/user/tokenuserinfo")).bearer_auth(token);
    assert_eq!(server.send(bearer).await.unwrap().field("mobile"), MOBILE);
    let ended = server.post("/user/logout", &format!("token={token}")).await.unwrap();
    assert_eq!((ended.code(), &ended.body["data"]), (Some(0), &json!([])));
    assert_eq!(look_up().await.unwrap().code(), Some(-1));
    assert_eq!(server.post("/user/logout", &format!("token={token}")).await.unwrap().code(), Some(-400));
    assert_eq!(server.post("/user/tokenuserinfo", "").await.unwrap().code(), Some(-1));
}

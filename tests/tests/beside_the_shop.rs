//! The files of `deploy/shopxo` in the distribution's nginx: which requests reach mobile-bind, and what of them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;
use mobile_bind::settings::LimitMode;
use mobile_bind_tests::harness::TestServer;
use mobile_bind_tests::shop::nginx::{Choice, Nginx};
use mobile_bind_tests::shop::stand_in::StandIn;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

const MOBILE: &str = "13900000001";

/// A client at a loopback address of its own.
struct Client {
    nginx: SocketAddr,
    http: reqwest::Client,
}

impl Client {
    fn at(nginx: &Nginx, last: u8) -> Result<Self> {
        let own = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        Ok(Self { nginx: nginx.address, http: reqwest::Client::builder().no_proxy().local_address(own).build()? })
    }

    /// Posts JSON, as the shop's client does; the URL's query goes as it is written.
    async fn post(&self, target: &str, body: &Value) -> Result<(u16, Value)> {
        let request = self.http.post(format!("http://{}{target}", self.nginx)).header(CONTENT_TYPE, "application/json");
        // A stranger's claim of an address, which must not count.
        let answer = request.header("x-forwarded-for", "203.0.113.9").body(body.to_string()).send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_str(&answer.text().await?).unwrap_or_default()))
    }

    /// Who answers: `shop`, `mobile-bind`, or the status of nginx's own answer.
    async fn answered(&self, target: &str) -> Result<String> {
        let (status, answer) = self.post(target, &json!({})).await?;
        Ok(match (&answer["by"], &answer["code"]) {
            (Value::String(_), _) => "shop".to_owned(),
            (_, Value::Number(_)) => "mobile-bind".to_owned(),
            _ => status.to_string(),
        })
    }
}

async fn server() -> Result<TestServer> {
    TestServer::start_with(|settings| {
        settings.limits.mode = LimitMode::Off;
        settings.server.trusted_proxies = vec!["127.0.0.1".to_owned()];
    })
    .await
}

#[tokio::test]
async fn the_routes_of_a_bind_reach_mobile_bind_however_the_shop_would_take_them() -> Result<()> {
    let (server, php) = (server().await?, StandIn::start()?);
    let nginx = Nginx::start(php.address(), server.app.address, Choice::Shipped)?;
    let client = Client::at(&nginx, 2)?;
    let switched = [
        "/api.php?s=user/appmobilebind",
        "/api.php?s=user/appmobilebindverifysend&system_type=default&application=app&token=&uuid=U&ajax=ajax",
        "/api.php?s=User/AppMobileBind",
        "/api.php?s=USER/APPMOBILEBINDVERIFYSEND.HTML&uuid=U",
        "/api.php?s=/user/appmobilebind&uuid=U",
        "/api.php?s=user%2Fappmobilebind&uuid=U",
        "/api.php?s=%2fuser%2fAppMobileBind.html",
        "/api.php?uuid=U&s=user/appmobilebind",
        "/api.php?s=goods/detail&s=user/appmobilebind",
    ];
    for target in switched {
        assert_eq!(client.answered(target).await?, "mobile-bind", "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn the_mini_programs_routes_do_so_once_they_are_chosen() -> Result<()> {
    let (server, php) = (server().await?, StandIn::start()?);
    let nginx = Nginx::start(php.address(), server.app.address, Choice::Platforms)?;
    let client = Client::at(&nginx, 2)?;
    let routes = [
        ("/api.php?s=user/appmobilebind", "mobile-bind"),
        ("/api.php?s=user/AppMiniUserAuth&application_client_type=weixin", "mobile-bind"),
        ("/api.php?s=user%2FonekeyUserMobileBind.html", "mobile-bind"),
        ("/api.php?s=user|appminiuserauth", "404"),
        ("/api.php?s=user/login", "shop"),
    ];
    for (target, expected) in routes {
        assert_eq!(client.answered(target).await?, expected, "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn all_other_routes_are_the_shops() -> Result<()> {
    let (server, php) = (server().await?, StandIn::start()?);
    let nginx = Nginx::start(php.address(), server.app.address, Choice::Shipped)?;
    let client = Client::at(&nginx, 2)?;
    let others = [
        "/",
        "/index.php?s=goods/index/id/1",
        "/api.php",
        "/api.php?s=user/login&uuid=U",
        "/api.php?s=user/appemailbind",
        "/api.php?s=user/tokenuserinfo&token=T",
        "/api.php?s=user/appminiuserauth",
        "/api.php?s=user/onekeyusermobilebind",
        "/api.php?s=search/datalist&wd=%E6%89%8B%E6%9C%BA%20%2B1",
    ];
    for target in others {
        let (status, answer) = client.post(target, &json!({ "a": "中" })).await?;
        assert_eq!((status, &answer["by"], &answer["target"]), (200, &json!("the shop"), &json!(target)));
        assert_eq!(answer["body"], json!(r#"{"a":"中"}"#), "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn no_other_spelling_is_a_way_round() -> Result<()> {
    let (server, php) = (server().await?, StandIn::start()?);
    let nginx = Nginx::start(php.address(), server.app.address, Choice::Shipped)?;
    let client = Client::at(&nginx, 2)?;
    let refused = [
        "/api.php/user/appmobilebind",
        "/api.php/user/%61ppmobilebind",
        "/api.php?s=user|appmobilebind",
        "/api.php?s=user/appmobilebind/",
        "/api.php?s=-user/appmobilebind",
        "/api.php?s=user/%61ppmobilebind",
        "/api.php?s=user/appmobile%42ind",
        "/api.php?%73=user/appmobilebind",
        "/api.php?%73=user/%61ppmobilebind",
        "/api.php?s=user/app%3Cb%3Emobilebind",
        "/api.php?+s=user/appmobilebind",
    ];
    for target in refused {
        assert_eq!(client.answered(target).await?, "404", "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn a_bind_keeps_its_query_its_body_and_its_address() -> Result<()> {
    let (server, php) = (server().await?, StandIn::start()?);
    let nginx = Nginx::start(php.address(), server.app.address, Choice::Shipped)?;
    // No uuid: the client is its address, which nginx tells.
    let (here, elsewhere) = (Client::at(&nginx, 2)?, Client::at(&nginx, 3)?);
    let query = "application_client_type=h5&token=&lang=en";
    let send = format!("/api.php?s=user/appmobilebindverifysend&{query}");
    assert_eq!(here.post(&send, &json!({ "mobile": MOBILE })).await?.1["code"], 0);
    let bind = format!("/api.php?s=user/appmobilebind&{query}");
    let body = json!({ "mobile": MOBILE, "verify": server.last_code(MOBILE)?, "nickname": "昵称", "gender": 0 });
    let (_, foreign) = elsewhere.post(&bind, &body).await?;
    assert_eq!(foreign["code"], -10, "another address is another client: {foreign}");
    let (_, bound) = here.post(&bind, &body).await?;
    assert_eq!((&bound["code"], &bound["data"]["nickname"]), (&json!(0), &json!("昵称")), "{bound}");
    assert_eq!(bound["data"]["platform"], "h5");
    Ok(())
}

#[tokio::test]
async fn the_shop_binds_again_only_where_that_is_chosen() -> Result<()> {
    let php = StandIn::start()?;
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let target = "/api.php?s=user/appmobilebind&uuid=U";
    let body = json!({ "mobile": MOBILE });

    let alone = Nginx::start(php.address(), nobody, Choice::Shipped)?;
    let (status, answer) = Client::at(&alone, 2)?.post(target, &body).await?;
    assert_eq!((status, &answer["code"], &answer["data"]), (503, &json!(-100), &json!([])), "{answer}");

    let chosen = Nginx::start(php.address(), nobody, Choice::FallBack)?;
    let (status, answer) = Client::at(&chosen, 2)?.post(target, &body).await?;
    assert_eq!((status, &answer["by"], &answer["target"]), (200, &json!("the shop"), &json!(target)));
    assert_eq!(answer["body"], json!(body.to_string()));
    assert_eq!(answer["forwarded"], "203.0.113.9, 127.0.0.2, 127.0.0.1", "PHP can know the address too");
    Ok(())
}

#[tokio::test]
async fn a_shadow_gets_the_binds_while_php_answers_them() -> Result<()> {
    let php = StandIn::start()?;
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let nginx = Nginx::start(php.address(), nobody, Choice::Shadowed)?;
    let client = Client::at(&nginx, 2)?;
    let bind = "/api.php?s=user/AppMobileBind&uuid=U";
    let body = json!({ "mobile": MOBILE, "verify": "0000", "nickname": "\"昵称\"" });
    let (_, answer) = client.post(bind, &body).await?;
    assert_eq!(answer["by"], "the shop");
    assert_eq!(client.answered("/api.php?s=goods/index").await?, "shop");
    drop(client);
    let logged = nginx.finish()?;
    assert_eq!(logged.lines().count(), 1, "{logged}");
    let line: Value = serde_json::from_str(&logged)?;
    assert_eq!((&line["target"], &line["address"]), (&json!(bind), &json!("127.0.0.2")));
    assert_eq!((&line["body"], &line["type"]), (&json!(body.to_string()), &json!("application/json")));
    assert_eq!(line["length"], answer.to_string().len().to_string());
    assert!(line["at"].is_f64());
    Ok(())
}

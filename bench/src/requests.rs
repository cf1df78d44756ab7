//! The requests, as ShopXO's own client sends them.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};

use crate::people::Person;

/// A verification code of four digits.
pub(crate) type Code = u16;

/// Makes requests to one server.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    host: HeaderValue,
}

impl Requests {
    pub(crate) fn to(address: SocketAddr) -> Result<Self> {
        Ok(Self { host: HeaderValue::from_str(&address.to_string()).context("an address is a host")? })
    }

    /// Any path.
    pub(crate) fn get(&self, path: &str) -> Result<Request<Full<Bytes>>> {
        Ok(Request::get(path).header(HOST, &self.host).body(Full::default())?)
    }

    /// Asks for a code.
    pub(crate) fn send_code(&self, person: Person) -> Result<Request<Full<Bytes>>> {
        self.post("appmobilebindverifysend", person, format!(r#"{{"mobile":"{}"}}"#, person.mobile()))
    }

    /// Binds a number, as a mini-program does: everything that the interface document names.
    pub(crate) fn bind(&self, person: Person, code: Code) -> Result<Request<Full<Bytes>>> {
        let (mobile, openid) = (person.mobile(), person.openid());
        let body = format!(
            concat!(
                r#"{{"mobile":"{}","verify":"{:04}","nickname":"微信用户","#,
                r#""avatar":"https://thirdwx.qlogo.cn/mmopen/vi_32/{}/132","#,
                r#""province":"上海","city":"浦东新区","gender":0,"referrer":0,"#,
                r#""weixin_openid":"{}","weixin_unionid":""}}"#
            ),
            mobile, code, openid, openid
        );
        self.post("appmobilebind", person, body)
    }

    /// Asks whose a token is.
    pub(crate) fn look_up(&self, authorization: &HeaderValue) -> Result<Request<Full<Bytes>>> {
        let path = "/user/tokenuserinfo?application=app&application_client_type=weixin";
        let request = Request::post(path).header(HOST, &self.host).header(AUTHORIZATION, authorization);
        Ok(request.body(Full::default())?)
    }

    /// Tells the fake provider not to answer for messages to somebody.
    pub(crate) fn let_messages_hang(&self, person: Person) -> Result<Request<Full<Bytes>>> {
        let body = format!(r#"{{"mobile":"{}","behaviour":"hang"}}"#, person.mobile());
        Ok(Request::post("/dev/sms/behaviour").header(HOST, &self.host).body(Full::from(body))?)
    }

    fn post(&self, operation: &str, person: Person, body: String) -> Result<Request<Full<Bytes>>> {
        let uuid = person.uuid();
        let path = format!("/user/{operation}?application=app&application_client_type=weixin&uuid={uuid}&lang=zh");
        let json = HeaderValue::from_static("application/json");
        let request = Request::post(path).header(HOST, &self.host).header(CONTENT_TYPE, json);
        Ok(request.body(Full::from(body))?)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::Requests;
    use crate::people::People;

    #[tokio::test(flavor = "current_thread")]
    async fn a_bind_is_json_with_the_code_in_four_digits() {
        let person = People::default().next();
        let requests = Requests::to(([127, 0, 0, 1], 80).into()).unwrap();
        let request = requests.bind(person, 44).unwrap();
        assert!(request.uri().query().unwrap().contains(&person.uuid()));
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["verify"], &body["mobile"]), (&"0044".into(), &person.mobile().into()));
        assert_eq!(body["weixin_openid"], person.openid());
    }
}

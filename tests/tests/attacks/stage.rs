//! What attacks share: a server with the guard on or off, a victim, and what the attacker can send.

use std::time::Duration;

use mobile_bind::settings::{LimitMode, ProofSetting};
use mobile_bind_tests::harness::{Answer, TestServer};

pub(crate) const VICTIMS_NUMBER: &str = "17602128368";
pub(crate) const ATTACKERS_NUMBER: &str = "13900000000";
pub(crate) const VICTIM: &str = "victims-phone";
pub(crate) const ATTACKER: &str = "attackers-phone";

/// A server that has a guard on or off.
pub(crate) struct Stage {
    pub(crate) server: TestServer,
}

impl Stage {
    /// Openids proved, or taken on trust.
    pub(crate) async fn with_openids(proof: ProofSetting) -> Self {
        let server = TestServer::start_with(|settings| {
            settings.limits.mode = LimitMode::Off;
            settings.platform_proof = proof;
        });
        Self { server: server.await.unwrap() }
    }

    pub(crate) async fn post(&self, uuid: &str, path: &str, form: &str) -> Answer {
        let path = format!("/user/{path}?application_client_type=weixin&uuid={uuid}");
        self.server.post(&path, form).await.unwrap()
    }

    /// The platform's log-in.
    pub(crate) async fn log_in(&self, uuid: &str, code: &str) -> Answer {
        self.post(uuid, "appminiuserauth", &format!("authcode={code}")).await
    }

    /// Binds a number that is in the sender's own hands, by what `form` says of the openid.
    pub(crate) async fn bind(&self, uuid: &str, number: &str, form: &str) -> Answer {
        self.server.clock.advance(Duration::from_secs(61));
        let sent = self.server.send_code(uuid, number).await.unwrap();
        assert_eq!(sent.code(), Some(0), "{}", sent.text);
        let code = self.server.last_code(number).unwrap();
        self.post(uuid, "appmobilebind", &format!("mobile={number}&verify={code}&{form}")).await
    }

    /// A victim who has logged in and bound his number; answers his token.
    pub(crate) async fn victim(&self) -> String {
        let logged_in = self.log_in(VICTIM, "victim.1").await;
        assert_eq!(logged_in.code(), Some(0), "{}", logged_in.text);
        let bound = self.bind(VICTIM, VICTIMS_NUMBER, "weixin_openid=o-weixin-victim&weixin_unionid=u-victim").await;
        assert_eq!(bound.code(), Some(0), "{}", bound.text);
        bound.field("token").to_owned()
    }

    /// Whose number the victim's account has by now.
    pub(crate) async fn number_of(&self, token: &str) -> Answer {
        self.server.post("/user/tokenuserinfo", &format!("token={token}")).await.unwrap()
    }
}

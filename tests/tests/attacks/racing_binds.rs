//! The same code from many places at once: one account, one winner.

use std::collections::BTreeSet;
use std::sync::Arc;

use mobile_bind::settings::LimitMode;
use tokio::task::JoinSet;

use crate::support::{VICTIM, send, server};

#[tokio::test]
async fn one_number_is_bound_once() {
    let server = Arc::new(server(|settings| settings.limits.mode = LimitMode::Off).await);
    for round in 0..10_u64 {
        assert_eq!(send(&server, "u", VICTIM).await, Some(0));
        let code = server.last_code(VICTIM).unwrap();
        let mut binds = JoinSet::new();
        for rival in 0..8 {
            let (server, code) = (Arc::clone(&server), code.clone());
            binds.spawn(async move {
                let form = format!("mobile={VICTIM}&verify={code}&weixin_openid=openid-{round}-{rival}");
                let path = "/user/appmobilebind?application_client_type=weixin&uuid=u";
                server.post(path, &form).await.unwrap()
            });
        }
        let answers = binds.join_all().await;
        let winners: Vec<_> = answers.iter().filter(|answer| answer.code() == Some(0)).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        let ids: BTreeSet<&str> = winners.iter().map(|answer| answer.field("id")).collect();
        assert_eq!(ids, BTreeSet::from(["1"]), "always the same account");
        server.clock.advance(std::time::Duration::from_secs(61));
    }
}

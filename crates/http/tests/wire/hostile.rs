//! Whatever arrives is answered with the envelope, and never with a 5xx.

use std::sync::Arc;

use poem::http::Method;
use proptest::prelude::*;

use crate::shop::{Client, Shop, envelope};

const URIS: [&str; 5] = [
    "/user/appmobilebindverifysend",
    "/user/appmobilebind",
    "/user/tokenuserinfo",
    "/api.php?s=user/logout",
    "/api.php?s=user/appmobilebind",
];

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let json =
        "\\{(\"(mobile|verify|token|lang|uuid|x)\":([\\[\\]{}0-9.eE+-]{0,6}|\"[^\"]{0,12}\"|null|true),?){0,5}\\}";
    let form = "((mobile|verify|token|lang|uuid|avatar)(\\[\\])?=[%+a-f0-9é]{0,12}&){0,5}";
    let multipart = "(--X(--)?|\r\n|\r\n\r\n|content-disposition: form-data; name=\"(mobile|verify)\"|176){0,20}";
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        json.prop_map(String::into_bytes),
        form.prop_map(String::into_bytes),
        multipart.prop_map(String::into_bytes),
    ]
}

thread_local! {
    /// The explorer's page is large: one service serves all cases of a test.
    static CLIENT: Client = Arc::new(Shop::default()).client();
}

proptest! {
    #[test]
    fn any_request_is_answered(
        uri in prop::sample::select(URIS.as_slice()),
        query in "[?&][%=&a-zA-Z0-9\\[\\]+.-]{0,40}",
        content_type in prop::sample::select(
            [
                "application/json",
                "application/json; charset=gbk",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=X",
                "multipart/form-data",
                "text/plain",
            ]
            .as_slice(),
        ),
        accept_language in "[a-zA-Z*;=,q0-9. -]{0,30}",
        body in bodies(),
        get in any::<bool>(),
    ) {
        let uri = format!("{uri}{query}");
        prop_assume!(uri.parse::<poem::http::Uri>().is_ok());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (status, code) = CLIENT.with(|client| runtime.block_on(async {
            let request = client.request(if get { Method::GET } else { Method::POST }, uri);
            let request = request.content_type(content_type).header("accept-language", accept_language);
            let response = request.body(body).send().await;
            (response.0.status().as_u16(), envelope(response).await.0)
        }));
        prop_assert!(status < 500, "{} {}", status, code);
    }
}

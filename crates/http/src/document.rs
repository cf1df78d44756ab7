//! The OpenAPI document.

use std::collections::HashMap;

use mobile_bind_domain::IdempotencyKey;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Route, RouteMethod};
use poem_openapi::registry::{
    MetaApi, MetaOperation, MetaOperationParam, MetaParamIn, MetaSchema, MetaSecurityScheme, Registry,
};
use poem_openapi::{LicenseObject, OpenApi, OpenApiService};
use serde_json::Value;

use crate::api::Api;
use crate::asked::IDEMPOTENCY_KEY;
use crate::parameters::Parameter;
use crate::{examples, schemas};

const DESCRIPTION: &str = "Binds a mobile number to an account, as ShopXO's client asks for it.

Every answer is an envelope, `{\"msg\", \"code\", \"data\"}`, with HTTP status 200 where the request could be read at all. \
Clients branch on `code`, 0 being success, and show `msg`.

Parameters may come in the query or in the body; the body wins. `/api.php?s=user/...` reaches the same operations as \
`/user/...`.";

/// The operations that take an idempotency key.
const KEYED: [&str; 2] = ["sendVerificationCode", "bindMobile"];

const BEARER: &str = "SessionToken";

/// What is told of the operations, with what is common to all of them. The operations themselves are not in it; see [`route`].
pub(crate) struct Documented;

impl OpenApi for Documented {
    fn meta() -> Vec<MetaApi> {
        let mut apis = Api::meta();
        let paths = apis.iter_mut().flat_map(|api| &mut api.paths);
        for operation in paths.flat_map(|path| &mut path.operations) {
            add_what_is_common(operation);
        }
        apis
    }

    fn register(registry: &mut Registry) {
        Api::register(registry);
        let bearer = MetaSecurityScheme {
            ty: "http",
            description: Some("The session token. The parameter `token` says the same."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(BEARER, bearer);
    }

    fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

fn add_what_is_common(operation: &mut MetaOperation) {
    operation.params.extend(Parameter::COMMON.map(|parameter| {
        let mut schema = schemas::parameter(parameter);
        let description = schema.description.take().map(ToOwned::to_owned);
        MetaOperationParam {
            name: parameter.name().to_owned(),
            schema: schemas::inline(schema),
            in_type: MetaParamIn::Query,
            description,
            required: false,
            deprecated: false,
            explode: true,
            style: None,
        }
    }));
    if KEYED.contains(&operation.operation_id.unwrap_or_default()) {
        let description = "Names this request among the client's own: the same request with the same key, within ten minutes, is \
            answered as the first was. 1 to 255 visible ASCII characters, such as a UUID made for the request.";
        let schema = MetaSchema { max_length: Some(IdempotencyKey::MAX_CHARS), ..MetaSchema::new("string") };
        operation.params.push(MetaOperationParam {
            name: IDEMPOTENCY_KEY.to_owned(),
            schema: schemas::inline(schema),
            in_type: MetaParamIn::Header,
            description: Some(description.to_owned()),
            required: false,
            deprecated: false,
            explode: true,
            style: None,
        });
    }
    // An empty requirement beside it makes the token optional.
    operation.security = vec![HashMap::from([(BEARER, Vec::new())]), HashMap::new()];
}

/// The document as poem-openapi makes it.
fn service() -> OpenApiService<Documented, ()> {
    OpenApiService::new(Documented, "mobile-bind", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .license(LicenseObject::new(env!("CARGO_PKG_LICENSE")))
        .server("/")
}

/// Adds the operations to the routes, each by itself: a nest of its own would read path and query of every request again.
pub(crate) fn route(api: Api, routes: Route) -> Route {
    let mut operations = HashMap::new();
    api.add_routes(&mut operations);
    operations.into_iter().fold(routes, |routes, (path, methods)| {
        let methods =
            methods.into_iter().fold(RouteMethod::new(), |all, (method, operation)| all.method(method, operation));
        routes.at(path, methods)
    })
}

/// The OpenAPI document, as indented JSON with a final newline; the same bytes on every run.
#[must_use]
pub fn openapi_document() -> String {
    let mut document = with_examples(service().spec());
    document.push('\n');
    document
}

/// The written document with its examples of answers; without them, should it not be JSON.
fn with_examples(written: String) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(&written) else { return written };
    examples::add(&mut document);
    serde_json::to_string_pretty(&document).unwrap_or(written)
}

#[cfg(test)]
mod tests {
    use super::{Value, openapi_document};

    fn document() -> Value {
        serde_json::from_str(&openapi_document()).unwrap()
    }

    /// Every value in the document, with the path that leads to it.
    fn walk(value: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
        visit(path, value);
        match value {
            Value::Object(entries) => {
                entries.iter().for_each(|(key, value)| walk(value, &format!("{path}/{key}"), visit))
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, path, visit)),
            _ => {}
        }
    }

    #[test]
    fn the_document_is_the_same_on_every_run() {
        assert_eq!(openapi_document(), openapi_document());
        assert!(openapi_document().ends_with("}\n"));
        let document = document();
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(document["info"]["license"]["name"], "MIT OR Apache-2.0");
        assert_eq!(document["servers"][0]["url"], "/");
    }

    #[test]
    fn everything_is_described() {
        let document = document();
        let mut undescribed = Vec::new();
        walk(&document, "", &mut |path, value| {
            assert!(!(path.ends_with("/default") && value.is_null()), "{path}");
            if path.contains("/example") {
                return;
            }
            for (name, property) in value.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let described = property["description"].as_str().is_some_and(|text| !text.is_empty());
                if !described {
                    undescribed.push(format!("{path}/{name}"));
                }
            }
            for parameter in value.get("parameters").and_then(Value::as_array).into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{parameter}");
            }
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
        });
        assert!(undescribed.is_empty(), "{undescribed:?}");
        for schema in document["components"]["schemas"].as_object().unwrap().values() {
            assert!(schema["description"].is_string(), "{schema}");
        }
    }

    #[test]
    fn every_operation_is_whole() {
        let document = document();
        let ids = [
            ("/user/appmobilebindverifysend", "sendVerificationCode", "EmptyEnvelope"),
            ("/user/appmobilebindverifystatus", "getVerificationCodeStatus", "CodeStatusEnvelope"),
            ("/user/appmobilebind", "bindMobile", "UserEnvelope"),
            ("/user/appminiuserauth", "logInMiniProgram", "LogInEnvelope"),
            ("/user/onekeyusermobilebind", "bindVouchedMobile", "UserEnvelope"),
            ("/user/tokenuserinfo", "getTokenUser", "UserEnvelope"),
            ("/user/logout", "logOut", "EmptyEnvelope"),
        ];
        let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, crate::rewriting::OPERATIONS);
        for (path, id, success) in ids {
            let item = document["paths"][path].as_object().unwrap();
            assert_eq!(item.keys().collect::<Vec<_>>(), ["post"]);
            let operation = &item["post"];
            assert_eq!(operation["operationId"], id);
            assert!(operation["summary"].is_string() && operation["description"].is_string());
            assert_eq!(operation["tags"].as_array().unwrap().len(), 1);
            let common: Vec<&str> =
                operation["parameters"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
            let keyed = super::KEYED.contains(&id).then_some("Idempotency-Key");
            let named = ["application", "application_client_type", "token", "uuid", "lang"];
            assert_eq!(common, named.into_iter().chain(keyed).collect::<Vec<_>>());
            let encodings = operation["requestBody"]["content"].as_object().unwrap();
            let expected = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];
            assert_eq!(encodings.keys().collect::<Vec<_>>(), expected);
            let schemas: Vec<&Value> = encodings.values().map(|media| &media["schema"]["$ref"]).collect();
            assert!(schemas.iter().all(|&schema| schema == schemas[0]));
            let name = schemas[0].as_str().unwrap().rsplit('/').next().unwrap();
            assert!(document["components"]["schemas"][name]["example"].is_object());
            let either = &operation["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"];
            assert_eq!(either[0]["$ref"], format!("#/components/schemas/{success}"));
            assert_eq!(either[1]["$ref"], "#/components/schemas/ErrorEnvelope");
            for header in ["X-Request-Id", "Retry-After"] {
                assert!(operation["responses"]["200"]["headers"][header].is_object());
            }
        }
    }

    #[test]
    fn success_and_error_can_be_told_apart() {
        let schemas = &document()["components"]["schemas"];
        for name in ["UserEnvelope", "EmptyEnvelope", "LogInEnvelope", "CodeStatusEnvelope"] {
            assert_eq!(schemas[name]["properties"]["code"]["enum"], serde_json::json!([0]));
        }
        let error = &schemas["ErrorEnvelope"]["properties"];
        assert!(error["code"]["enum"].as_array().unwrap().iter().all(|code| code.as_i64().unwrap() < 0));
        assert_eq!(error["data"]["maxItems"], 0);
        let user = &schemas["UserEnvelope"];
        assert_eq!(user["example"]["msg"], "绑定成功");
        let properties: Vec<&String> = schemas["User"]["properties"].as_object().unwrap().keys().collect();
        let example: Vec<&String> = user["example"]["data"].as_object().unwrap().keys().collect();
        assert_eq!(properties, example);
    }
}

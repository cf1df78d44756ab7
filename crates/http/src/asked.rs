//! What a request asks for: one extractor for all operations, which also documents their bodies.

use std::marker::PhantomData;

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::ports::CaptchaResponse;
use mobile_bind_domain::service::VouchParameters;
use mobile_bind_domain::{ClientType, IdempotencyKey, Installation, Language, Refusal, Requester, SendParameters};
use poem::http::{HeaderMap, header};
use poem::{Error, Request, RequestBody, Result};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::{Value as Json, json};

use crate::admission::Place;
use crate::client_address::ClientAddress;
use crate::envelope::EnvelopeCode;
use crate::fault::WireFault;
use crate::parameters::{Parameter, Parameters, Value, read_body};
use crate::{answer, language, refusal_table, schemas};

/// What an operation takes besides the common parameters.
pub(crate) trait Input: Send + Sync + 'static {
    /// The name of its body's schema.
    const SCHEMA: &'static str;
    /// What the document says of its body.
    const DESCRIPTION: &'static str;
    /// What it takes.
    const PARAMETERS: &'static [Parameter];
    /// What must not be left out.
    const REQUIRED: &'static [Parameter];

    /// The body's example.
    fn example() -> Json;
}

/// What [`Api::send_verification_code`](crate::api::Api) takes.
pub(crate) struct SendCode;

impl Input for SendCode {
    const SCHEMA: &'static str = "SendVerificationCodeRequest";
    const DESCRIPTION: &'static str = "Where to send a code.";
    const PARAMETERS: &'static [Parameter] = &[Parameter::Mobile, Parameter::Captcha];
    const REQUIRED: &'static [Parameter] = &[Parameter::Mobile];

    fn example() -> Json {
        json!({ "mobile": "17602128368" })
    }
}

/// What [`Api::verification_code_status`](crate::api::Api) takes.
pub(crate) struct CodeStatus;

impl Input for CodeStatus {
    const SCHEMA: &'static str = "VerificationCodeStatusRequest";
    const DESCRIPTION: &'static str = "The number that the code was asked for.";
    const PARAMETERS: &'static [Parameter] = &[Parameter::Mobile];
    const REQUIRED: &'static [Parameter] = &[Parameter::Mobile];

    fn example() -> Json {
        json!({ "mobile": "17602128368" })
    }
}

/// What [`Api::bind_mobile`](crate::api::Api) takes. Of the openids and unionids only the client type's own count.
pub(crate) struct BindMobile;

impl Input for BindMobile {
    const SCHEMA: &'static str = "BindMobileRequest";
    const DESCRIPTION: &'static str = "The number, its code, and what the client knows of the person. Of the openids and \
        unionids only the ones of the request's own client type are read.";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::Mobile,
        Parameter::Verify,
        Parameter::OldVerify,
        Parameter::Avatar,
        Parameter::Province,
        Parameter::City,
        Parameter::County,
        Parameter::Gender,
        Parameter::Nickname,
        Parameter::Referrer,
        Parameter::AuthTicket,
        Parameter::WeixinOpenid,
        Parameter::WeixinUnionid,
        Parameter::AlipayOpenid,
        Parameter::BaiduOpenid,
        Parameter::ToutiaoOpenid,
        Parameter::ToutiaoUnionid,
        Parameter::QqOpenid,
        Parameter::QqUnionid,
        Parameter::KuaishouOpenid,
    ];
    const REQUIRED: &'static [Parameter] = &[Parameter::Mobile, Parameter::Verify];

    fn example() -> Json {
        json!({
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
        })
    }
}

/// What [`Api::log_in`](crate::api::Api) takes.
pub(crate) struct LogInMiniProgram;

impl Input for LogInMiniProgram {
    const SCHEMA: &'static str = "LogInMiniProgramRequest";
    const DESCRIPTION: &'static str = "The log-in code of the client type's platform.";
    const PARAMETERS: &'static [Parameter] = &[Parameter::AuthCode];
    const REQUIRED: &'static [Parameter] = &[Parameter::AuthCode];

    fn example() -> Json {
        json!({ "authcode": "0a3Xy8Ga1vFbSG0kqHGa1cCgTf0Xy8Gr" })
    }
}

/// What [`Api::bind_vouched_mobile`](crate::api::Api) takes.
pub(crate) struct BindVouchedMobile;

impl Input for BindVouchedMobile {
    const SCHEMA: &'static str = "BindVouchedMobileRequest";
    const DESCRIPTION: &'static str = "What the platform vouches for a number by: `code` (WeChat), or `encrypted_data` and \
        `iv`; the openid, which must be proved; and what the client knows of the person.";
    const PARAMETERS: &'static [Parameter] = &[
        Parameter::Code,
        Parameter::EncryptedData,
        Parameter::Iv,
        Parameter::OpenId,
        Parameter::AuthTicket,
        Parameter::Avatar,
        Parameter::Province,
        Parameter::City,
        Parameter::County,
        Parameter::Gender,
        Parameter::Nickname,
        Parameter::Referrer,
        Parameter::WeixinOpenid,
        Parameter::WeixinUnionid,
        Parameter::AlipayOpenid,
        Parameter::BaiduOpenid,
        Parameter::ToutiaoOpenid,
        Parameter::ToutiaoUnionid,
        Parameter::QqOpenid,
        Parameter::QqUnionid,
        Parameter::KuaishouOpenid,
    ];
    const REQUIRED: &'static [Parameter] = &[Parameter::OpenId];

    fn example() -> Json {
        json!({
            "code": "e31968a7f94cc5ee25fafc2aef2773f0bb8c3937b22520eb8ee345274d00c144",
            "openid": "oB6US5SNOngn196qzb3lagEBTh6w",
            "nickname": "qqqqqq"
        })
    }
}

/// What the operations on a session take.
pub(crate) struct SessionToken;

impl Input for SessionToken {
    const SCHEMA: &'static str = "SessionTokenRequest";
    const DESCRIPTION: &'static str = "The session, where neither the query nor `Authorization` names it.";
    const PARAMETERS: &'static [Parameter] = &[Parameter::Token];
    const REQUIRED: &'static [Parameter] = &[];

    fn example() -> Json {
        json!({ "token": "1fa48232d7a0392ca22269a3d35b540f" })
    }
}

/// A request, read: who asks, and with what parameters.
pub(crate) struct Asked<I> {
    pub(crate) requester: Requester,
    parameters: Parameters,
    idempotency_key: Option<IdempotencyKey>,
    captcha: Option<CaptchaResponse>,
    /// Goes where the work goes, also without its client.
    _place: Option<Place>,
    input: PhantomData<I>,
}

impl<I: Input> Asked<I> {
    async fn read(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let mut parameters = Parameters::of_query(request.uri().query().unwrap_or_default());
        let accept_language = request.header(header::ACCEPT_LANGUAGE);
        match sent(request.headers(), body).await {
            Ok(sent) => parameters.overlay(sent),
            Err(fault) => {
                return Err(fault.into_error(language::negotiate(parameters.text(Parameter::Lang), accept_language)));
            }
        }
        let language = language::negotiate(parameters.text(Parameter::Lang), accept_language);
        let client_type = ClientType::from_name(parameters.text(Parameter::ClientType)).unwrap_or(ClientType::Pc);
        let taken = Parameter::COMMON.into_iter().chain(taken_from(client_type, I::PARAMETERS));
        parameters.check(taken).map_err(|fault| fault.into_error(language))?;
        if parameters.text(Parameter::Token).is_empty() {
            parameters
                .set(Parameter::Token, bearer(request).map_or(Value::Absent, |token| Value::Text(token.to_owned())));
        }
        let installation =
            installation(parameters.text(Parameter::Uuid)).map_err(|refusal| refuse(&refusal, language))?;
        let idempotency_key = idempotency_key(request.headers()).map_err(|fault| fault.into_error(language))?;
        let captcha = captcha(parameters.text(Parameter::Captcha)).map_err(|refusal| refuse(&refusal, language))?;
        let address = ClientAddress::of(request).into();
        let requester =
            Requester { client_type, installation, address, language, request: crate::observation::id_of(request) };
        let place = request.data::<Place>().cloned();
        Ok(Self { requester, parameters, idempotency_key, captcha, _place: place, input: PhantomData })
    }

    /// The session token; empty where there is none.
    pub(crate) fn token(&self) -> &str {
        self.parameters.text(Parameter::Token)
    }
}

impl Asked<SendCode> {
    pub(crate) fn send_parameters(&self) -> SendParameters<'_> {
        SendParameters {
            mobile: self.parameters.text(Parameter::Mobile),
            token: self.token(),
            captcha: self.captcha.as_ref(),
            idempotency_key: self.idempotency_key.as_ref(),
        }
    }
}

impl Asked<CodeStatus> {
    pub(crate) fn mobile(&self) -> &str {
        self.parameters.text(Parameter::Mobile)
    }
}

impl Asked<LogInMiniProgram> {
    pub(crate) fn auth_code(&self) -> &str {
        self.parameters.text(Parameter::AuthCode)
    }
}

impl Asked<BindVouchedMobile> {
    /// The client type's own openid; `openid` says the same.
    pub(crate) fn bind_parameters(&self) -> BindParameters<'_> {
        let parameters = self.profile_and_identity();
        let openid = self.parameters.text(Parameter::OpenId);
        BindParameters { openid: if openid.is_empty() { parameters.openid } else { openid }, ..parameters }
    }

    pub(crate) fn vouch_parameters(&self) -> VouchParameters<'_> {
        let text = |parameter| self.parameters.text(parameter);
        let (code, encrypted_data, iv) = (text(Parameter::Code), text(Parameter::EncryptedData), text(Parameter::Iv));
        VouchParameters { code, encrypted_data, iv }
    }
}

impl Asked<BindMobile> {
    pub(crate) fn bind_parameters(&self) -> BindParameters<'_> {
        self.profile_and_identity()
    }
}

impl<I: Input> Asked<I> {
    fn profile_and_identity(&self) -> BindParameters<'_> {
        let text = |parameter| self.parameters.text(parameter);
        let client_type = self.requester.client_type;
        BindParameters {
            mobile: text(Parameter::Mobile),
            verify: text(Parameter::Verify),
            old_verify: text(Parameter::OldVerify),
            avatar: text(Parameter::Avatar),
            province: text(Parameter::Province),
            city: text(Parameter::City),
            county: text(Parameter::County),
            gender: text(Parameter::Gender),
            nickname: text(Parameter::Nickname),
            referrer: text(Parameter::Referrer),
            openid: Parameter::openid_of(client_type).map(text).unwrap_or_default(),
            unionid: Parameter::unionid_of(client_type).map(text).unwrap_or_default(),
            token: self.token(),
            auth_ticket: text(Parameter::AuthTicket),
            idempotency_key: self.idempotency_key.as_ref(),
        }
    }
}

/// The body's parameters.
async fn sent(headers: &HeaderMap, body: &mut RequestBody) -> Result<Parameters, WireFault> {
    let body = body.take().map_err(|_| WireFault::UnreadableBody)?;
    Parameters::of_body(headers, read_body(headers, body).await?).await
}

/// The parameters that matter for a client type: of the identities only its own.
fn taken_from(client_type: ClientType, parameters: &[Parameter]) -> impl Iterator<Item = Parameter> {
    let own = [Parameter::openid_of(client_type), Parameter::unionid_of(client_type)];
    let matters = move |parameter: &Parameter| !parameter.is_identity() || own.contains(&Some(*parameter));
    parameters.iter().copied().filter(matters)
}

fn installation(uuid: &str) -> Result<Option<Installation>, Refusal> {
    if uuid.is_empty() {
        return Ok(None);
    }
    let too_long = Refusal::TextTooLong { parameter: Parameter::Uuid.name(), limit: Installation::MAX_CHARS };
    Installation::new(uuid).map(Some).ok_or(too_long)
}

/// The header's name.
pub(crate) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// One key, where there is one; several are none of ours.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, WireFault> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().and_then(IdempotencyKey::new).filter(|_| values.next().is_none());
    key.map(Some).ok_or(WireFault::InvalidParameter(IDEMPOTENCY_KEY))
}

fn captcha(response: &str) -> Result<Option<CaptchaResponse>, Refusal> {
    if response.is_empty() {
        return Ok(None);
    }
    let too_long = Refusal::TextTooLong { parameter: Parameter::Captcha.name(), limit: CaptchaResponse::MAX_CHARS };
    CaptchaResponse::new(response).map(Some).ok_or(too_long)
}

fn refuse(refusal: &Refusal, language: Language) -> Error {
    let told = refusal_table::refusal(refusal, language);
    let code = told.code;
    let mut error = Error::from_response(answer::refused(&told));
    error.set_data(EnvelopeCode(code));
    error
}

/// The token of `Authorization: Bearer` (RFC 6750).
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header(header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl<'a, I: Input> ApiExtractor<'a> for Asked<I> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_schema::<I, _>(I::SCHEMA.to_owned(), |_| {
            schemas::request(I::DESCRIPTION, I::PARAMETERS, I::REQUIRED, I::example())
        });
    }

    fn request_meta() -> Option<MetaRequest> {
        let encodings = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];
        let media_type =
            |content_type| MetaMediaType { content_type, schema: MetaSchemaRef::Reference(I::SCHEMA.to_owned()) };
        Some(MetaRequest {
            description: Some(I::DESCRIPTION),
            content: encodings.map(media_type).into(),
            required: !I::REQUIRED.is_empty(),
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        Self::read(request, body).await
    }
}

//! Every message that a client can be shown, in every language.
//!
//! `{parameter}`, `{limit}`, `{mobile}` and `{wait}` are filled in by the table that uses a phrase. Messages of sends and binds that
//! fail for a while read "what failed\[why, and when to try again\]", as ShopXO's do.

use std::time::Duration;

use mobile_bind_domain::Language;

/// One message in the four languages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phrase {
    zh: &'static str,
    en: &'static str,
    cht: &'static str,
    spa: &'static str,
}

impl Phrase {
    pub(crate) const fn text(self, language: Language) -> &'static str {
        match language {
            Language::Zh => self.zh,
            Language::En => self.en,
            Language::Cht => self.cht,
            Language::Spa => self.spa,
        }
    }
}

macro_rules! phrases {
    ($($name:ident { $zh:literal, $en:literal, $cht:literal, $spa:literal $(,)? })*) => {
        $(pub(crate) const $name: Phrase = Phrase { zh: $zh, en: $en, cht: $cht, spa: $spa };)*

        /// Every phrase, by name.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, Phrase)] = &[$((stringify!($name), $name)),*];
    };
}

phrases! {
    SENT { "发送成功", "Code sent", "發送成功", "Código enviado" }
    BOUND { "绑定成功", "Mobile number bound", "綁定成功", "Número vinculado" }
    LOGGED_IN { "授权登录成功", "Signed in", "授權登入成功", "Acceso autorizado" }
    LOOKED_UP { "操作成功", "Done", "操作成功", "Operación realizada" }
    LOGGED_OUT { "退出成功", "Logged out", "登出成功", "Sesión cerrada" }

    MOBILE_MISSING {
        "手机号码不能为空", "Enter a mobile number", "手機號碼不能為空", "Introduce un número de móvil",
    }
    VERIFY_MISSING {
        "验证码不能为空", "Enter the verification code", "驗證碼不能為空", "Introduce el código de verificación",
    }
    MOBILE_MALFORMED {
        "手机号码格式错误", "This is not a valid mobile number", "手機號碼格式錯誤", "El número de móvil no es válido",
    }
    TEXT_TOO_LONG {
        "参数 {parameter} 过长，最多 {limit} 个字符", "{parameter} is too long: at most {limit} characters",
        "參數 {parameter} 過長，最多 {limit} 個字元", "{parameter} es demasiado largo: {limit} caracteres como máximo",
    }
    CODE_EXPIRED {
        "验证码已过期", "The verification code has expired", "驗證碼已過期", "El código de verificación ha caducado",
    }
    CODE_WRONG {
        "验证码错误", "The verification code is wrong", "驗證碼錯誤", "El código de verificación es incorrecto",
    }
    OLD_CODE_WANTED {
        "绑定失败[更换手机需同时验证原手机 {mobile}，请获取并填写原手机的验证码]",
        "Number not bound [enter a code sent to your current number {mobile} as well]",
        "綁定失敗[更換手機需同時驗證原手機 {mobile}，請取得並填寫原手機的驗證碼]",
        "Número no vinculado [introduce también un código enviado a tu número actual {mobile}]",
    }
    OLD_CODE_EXPIRED {
        "原手机验证码已过期", "The code for your current number has expired", "原手機驗證碼已過期",
        "El código de tu número actual ha caducado",
    }
    OLD_CODE_WRONG {
        "原手机验证码错误", "The code for your current number is wrong", "原手機驗證碼錯誤",
        "El código de tu número actual es incorrecto",
    }
    NUMBER_CHANGE_DENIED {
        "帐号已绑定手机，不支持自行更换，请联系客服", "This account has a number already. Please contact us to change it",
        "帳號已綁定手機，不支援自行更換，請聯絡客服",
        "Esta cuenta ya tiene un número. Contacta con nosotros para cambiarlo",
    }
    NUMBER_CHANGED_LATELY {
        "绑定失败[近期已更换过手机，请 {wait}后再试]",
        "Number not bound [the number was changed a short while ago, try again in {wait}]",
        "綁定失敗[近期已更換過手機，請 {wait}後再試]",
        "Número no vinculado [el número se cambió hace poco, prueba dentro de {wait}]",
    }
    NUMBER_RECYCLED {
        "该手机绑定的帐号长期未登录，为保障帐号安全请联系客服",
        "The account of this number has not been used for long. Please contact us",
        "該手機綁定的帳號長期未登入，為保障帳號安全請聯絡客服",
        "La cuenta de este número no se usa desde hace mucho. Contacta con nosotros",
    }
    TEST_NUMBER_EXPIRED {
        "该测试手机号已过期", "This test number is past its date", "該測試手機號已過期",
        "Este número de prueba ha caducado",
    }
    OPENID_MISSING {
        "用户openid不能为空", "The user's openid is missing", "用戶openid不能為空", "Falta el openid del usuario",
    }
    IDENTITY_UNPROVED {
        "登录状态已失效，请重新打开小程序后再试", "Your sign-in could not be confirmed. Open the app again and retry",
        "登入狀態已失效，請重新開啟小程式後再試",
        "No se ha podido confirmar tu identidad. Vuelve a abrir la aplicación e inténtalo de nuevo",
    }
    NO_MINI_PROGRAM {
        "当前客户端不是小程序，无法授权登录", "This client is no mini-program and cannot sign in this way",
        "目前客戶端不是小程式，無法授權登入", "Este cliente no es un miniprograma y no puede acceder así",
    }
    AUTH_CODE_MISSING {
        "授权码不能为空", "The sign-in code is missing", "授權碼不能為空", "Falta el código de acceso",
    }
    VOUCHER_MISSING {
        "手机号授权信息不能为空", "The platform's phone number authorisation is missing", "手機號授權資訊不能為空",
        "Falta la autorización del número por la plataforma",
    }
    PLATFORM_NOT_CONFIGURED {
        "该平台的小程序尚未配置，请联系客服", "Sign-in on this platform is not set up. Please contact us",
        "該平台的小程式尚未設定，請聯絡客服", "El acceso desde esta plataforma no está configurado. Contacta con nosotros",
    }
    PLATFORM_NOT_OFFERED {
        "该平台不支持手机号一键绑定，请使用短信验证码", "This platform cannot provide the number. Use a code by SMS",
        "該平台不支援手機號一鍵綁定，請使用簡訊驗證碼", "Esta plataforma no facilita el número. Usa un código por SMS",
    }
    PLATFORM_STALE {
        "授权信息已失效，请重新打开小程序后再试", "The platform's authorisation has expired. Open the app again and retry",
        "授權資訊已失效，請重新開啟小程式後再試",
        "La autorización de la plataforma ha caducado. Vuelve a abrir la aplicación e inténtalo de nuevo",
    }
    PLATFORM_BLOCKED {
        "授权失败[该平台帐号存在风险，请联系平台客服]", "Not signed in [the platform has restricted this user]",
        "授權失敗[該平台帳號存在風險，請聯絡平台客服]", "Acceso denegado [la plataforma ha restringido a este usuario]",
    }
    PLATFORM_BUSY {
        "授权失败[平台繁忙，请稍后再试]", "Not signed in [the platform is busy, try again later]",
        "授權失敗[平台忙碌，請稍後再試]", "Acceso fallido [la plataforma está ocupada, prueba más tarde]",
    }
    PLATFORM_APP_REFUSED {
        "授权失败[小程序配置有误，请联系客服]", "Not signed in [the app is not set up correctly, please contact us]",
        "授權失敗[小程式設定有誤，請聯絡客服]", "Acceso fallido [la aplicación está mal configurada, contacta con nosotros]",
    }
    PLATFORM_UNAVAILABLE {
        "授权失败[平台暂时无法连接，请稍后再试]", "Not signed in [the platform cannot be reached, try again later]",
        "授權失敗[平台暫時無法連線，請稍後再試]", "Acceso fallido [no se puede conectar con la plataforma, prueba más tarde]",
    }
    LOG_IN_NOT_STORED {
        "授权失败[系统繁忙，请稍后再试]", "Not signed in [the service is busy, try again later]",
        "授權失敗[系統忙碌，請稍後再試]", "Acceso fallido [el servicio está ocupado, prueba más tarde]",
    }
    HELD_BY_OTHER {
        "手机已绑定其他帐号", "This number is bound to another account", "手機已綁定其他帳號",
        "Este número ya está vinculado a otra cuenta",
    }
    HELD_BY_SEVERAL {
        "该手机或授权登录对应多个帐号，请联系客服处理",
        "Several accounts have this number or mini-program log-in. Please contact us",
        "該手機或授權登入對應多個帳號，請聯絡客服處理",
        "Varias cuentas tienen este número o este acceso del miniprograma. Contacta con nosotros",
    }
    HELD_BY_CALLER {
        "请使用新的手机号", "This is already your number. Use a new one", "請使用新的手機號",
        "Este ya es tu número. Usa otro",
    }
    NUMBER_FORBIDDEN {
        "该手机禁止注册(请更换手机号或联系客服)", "This number cannot be registered (use another one or contact us)",
        "該手機禁止註冊(請更換手機號或聯絡客服)", "Este número no se puede registrar (usa otro o contacta con nosotros)",
    }
    ACCOUNT_DISABLED {
        "帐号已被禁用，请联系客服", "This account is disabled. Please contact us", "帳號已被停用，請聯絡客服",
        "Esta cuenta está desactivada. Contacta con nosotros",
    }
    ACCOUNT_AWAITING_APPROVAL {
        "帐号正在审核中，请等待审核通过", "This account is waiting for approval", "帳號正在審核中，請等待審核通過",
        "Esta cuenta está pendiente de aprobación",
    }
    TOKEN_MISSING { "token不能为空", "The token is missing", "token不能為空", "Falta el token" }
    TOKEN_UNKNOWN {
        "用户信息不存在", "There is no user for this token", "用戶資訊不存在", "No hay ningún usuario con este token",
    }
    LOGIN_REQUIRED {
        "登录失效，请重新登录", "You are logged out. Please log in again", "登入失效，請重新登入",
        "La sesión ha caducado. Inicia sesión de nuevo",
    }
    SEND_TOO_SOON {
        "发送失败[发送过于频繁，请 {wait}后再试]", "Code not sent [one was sent a moment ago, try again in {wait}]",
        "發送失敗[發送過於頻繁，請 {wait}後再試]", "Código no enviado [se acaba de enviar otro, prueba dentro de {wait}]",
    }
    SEND_LIMIT {
        "发送失败[发送次数已达上限，请 {wait}后再试]", "Code not sent [too many were requested, try again in {wait}]",
        "發送失敗[發送次數已達上限，請 {wait}後再試]",
        "Código no enviado [se han pedido demasiados, prueba dentro de {wait}]",
    }
    INSTALLATION_SEND_LIMIT {
        "发送失败[此设备发送次数过多，请 {wait}后再试]",
        "Code not sent [too many were requested from this device, try again in {wait}]",
        "發送失敗[此裝置發送次數過多，請 {wait}後再試]",
        "Código no enviado [se han pedido demasiados desde este dispositivo, prueba dentro de {wait}]",
    }
    ADDRESS_SEND_LIMIT {
        "发送失败[当前网络发送次数过多，请更换网络或 {wait}后再试]",
        "Code not sent [too many were requested from this network, use another or try again in {wait}]",
        "發送失敗[目前網路發送次數過多，請更換網路或 {wait}後再試]",
        "Código no enviado [se han pedido demasiados desde esta red, usa otra o prueba dentro de {wait}]",
    }
    ACCOUNT_SEND_LIMIT {
        "发送失败[此账号发送次数过多，请 {wait}后再试]",
        "Code not sent [too many were requested for this account, try again in {wait}]",
        "發送失敗[此帳號發送次數過多，請 {wait}後再試]",
        "Código no enviado [se han pedido demasiados para esta cuenta, prueba dentro de {wait}]",
    }
    RANGE_SEND_LIMIT {
        "发送失败[该号段发送次数过多，请 {wait}后再试]",
        "Code not sent [too many were requested for numbers like this, try again in {wait}]",
        "發送失敗[該號段發送次數過多，請 {wait}後再試]",
        "Código no enviado [se han pedido demasiados para números como este, prueba dentro de {wait}]",
    }
    BUDGET_SEND_LIMIT {
        "发送失败[短信发送繁忙，请 {wait}后再试]",
        "Code not sent [too many codes are being requested, try again in {wait}]",
        "發送失敗[簡訊發送繁忙，請 {wait}後再試]",
        "Código no enviado [se están pidiendo demasiados códigos, prueba dentro de {wait}]",
    }
    CAPTCHA_WANTED {
        "发送失败[请完成人机验证，或 {wait}后再试]",
        "Code not sent [solve the captcha, or try again in {wait}]",
        "發送失敗[請完成人機驗證，或 {wait}後再試]",
        "Código no enviado [resuelve el captcha o prueba dentro de {wait}]",
    }
    CLIENT_TRY_LIMIT {
        "绑定失败[此设备尝试次数过多，请 {wait}后再试]",
        "Number not bound [too many tries from this device, try again in {wait}]",
        "綁定失敗[此裝置嘗試次數過多，請 {wait}後再試]",
        "Número no vinculado [demasiados intentos desde este dispositivo, prueba dentro de {wait}]",
    }
    IDEMPOTENCY_KEY_REUSED {
        "请求重复标识已用于其他请求，请重试", "the idempotency key was used for another request",
        "請求重複標識已用於其他請求，請重試", "la clave de idempotencia ya se usó para otra solicitud",
    }
    TRY_LIMIT {
        "绑定失败[验证码错误次数过多，请 {wait}后再试]", "Number not bound [too many wrong codes, try again in {wait}]",
        "綁定失敗[驗證碼錯誤次數過多，請 {wait}後再試]",
        "Número no vinculado [demasiados códigos incorrectos, prueba dentro de {wait}]",
    }
    SMS_REFUSED {
        "发送失败[短信无法发送到该号码，请检查号码]",
        "Code not sent [the SMS provider refuses this number, please check it]",
        "發送失敗[簡訊無法發送到該號碼，請檢查號碼]",
        "Código no enviado [el proveedor de SMS rechaza este número, compruébalo]",
    }
    SMS_LIMITED {
        "发送失败[短信发送过于频繁，请过一段时间再试]",
        "Code not sent [too many messages for now, try again in a while]",
        "發送失敗[簡訊發送過於頻繁，請過一段時間再試]",
        "Código no enviado [demasiados mensajes por ahora, prueba dentro de un rato]",
    }
    SMS_UNAVAILABLE {
        "发送失败[短信服务暂时不可用，请稍后再试]", "Code not sent [the SMS service is unavailable, try again later]",
        "發送失敗[簡訊服務暫時無法使用，請稍後再試]",
        "Código no enviado [el servicio de SMS no está disponible, prueba más tarde]",
    }
    SMS_UNKNOWN {
        "发送失败[短信服务响应超时，若未收到短信请稍后再试]",
        "Code not sent [the SMS service did not answer; if no message arrives, try again later]",
        "發送失敗[簡訊服務回應逾時，若未收到簡訊請稍後再試]",
        "Código no enviado [el servicio de SMS no responde; si no llega el mensaje, prueba más tarde]",
    }
    SEND_NOT_STORED {
        "发送失败[系统繁忙，请稍后再试]", "Code not sent [the service is busy, try again later]",
        "發送失敗[系統忙碌，請稍後再試]", "Código no enviado [el servicio está ocupado, prueba más tarde]",
    }
    BIND_NOT_STORED {
        "绑定失败[系统繁忙，请稍后再试]", "Number not bound [the service is busy, try again later]",
        "綁定失敗[系統忙碌，請稍後再試]", "Número no vinculado [el servicio está ocupado, prueba más tarde]",
    }
    REQUEST_NOT_STORED {
        "操作失败[系统繁忙，请稍后再试]", "Request failed [the service is busy, try again later]",
        "操作失敗[系統忙碌，請稍後再試]", "Operación fallida [el servicio está ocupado, prueba más tarde]",
    }

    INVALID_PARAMETER {
        "参数 {parameter} 无效", "The parameter {parameter} is invalid", "參數 {parameter} 無效",
        "El parámetro {parameter} no es válido",
    }
    UNREADABLE_BODY {
        "请求内容无法解析", "The request body cannot be read", "請求內容無法解析",
        "No se puede leer el contenido de la petición",
    }
    TOO_LARGE {
        "请求内容过大", "The request is too large", "請求內容過大", "La petición es demasiado grande",
    }
    NOT_FOUND {
        "非法访问(请求地址不存在)", "Illegal access (there is no such address)", "非法訪問(請求位址不存在)",
        "Acceso no válido (la dirección no existe)",
    }
    METHOD_NOT_ALLOWED {
        "非法访问(请求方式不支持)", "Illegal access (the method is not supported)", "非法訪問(請求方式不支援)",
        "Acceso no válido (el método no se admite)",
    }
    FORBIDDEN {
        "非法访问(来源不被允许)", "Illegal access (the origin is not allowed)", "非法訪問(來源不被允許)",
        "Acceso no válido (el origen no está permitido)",
    }
    NOT_READY {
        "服务未就绪[存储不可用]", "Not ready [the store is unavailable]", "服務未就緒[儲存不可用]",
        "No está listo [el almacén no está disponible]",
    }
    OVERLOADED {
        "系统繁忙，请 {wait}后再试", "Too busy right now. Try again in {wait}", "系統繁忙，請 {wait}後再試",
        "Demasiado ocupado. Prueba dentro de {wait}",
    }
    FAILED {
        "系统错误，请稍后再试", "Something went wrong. Try again later", "系統錯誤，請稍後再試",
        "Se ha producido un error. Prueba más tarde",
    }

    GENDER_UNDISCLOSED { "保密", "Undisclosed", "保密", "No indicado" }
    GENDER_FEMALE { "女", "Female", "女", "Mujer" }
    GENDER_MALE { "男", "Male", "男", "Hombre" }
}

/// A wait in words, rounded up to a unit that a person would use.
pub(crate) fn wait_text(wait: Duration, language: Language) -> String {
    let seconds = whole_seconds(wait);
    // Only seconds can be one: minutes start at two, and so do hours and days.
    let (count, [zh, en, cht, spa]) = match seconds {
        1 => (1, ["秒", "second", "秒", "segundo"]),
        2..120 => (seconds, ["秒", "seconds", "秒", "segundos"]),
        120..7200 => (seconds.div_ceil(60), ["分钟", "minutes", "分鐘", "minutos"]),
        7200..172_800 => (seconds.div_ceil(3600), ["小时", "hours", "小時", "horas"]),
        _ => (seconds.div_ceil(86_400), ["天", "days", "天", "días"]),
    };
    let unit = match language {
        Language::Zh => zh,
        Language::En => en,
        Language::Cht => cht,
        Language::Spa => spa,
    };
    format!("{count} {unit}")
}

/// A wait in whole seconds, rounded up, at least 1: what `Retry-After` says (RFC 9110, section 10.2.3).
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    let rest = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(rest).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mobile_bind_domain::Language;

    use super::{ALL, wait_text, whole_seconds};

    #[test]
    fn every_phrase_is_there_in_every_language() {
        for (name, phrase) in ALL {
            for language in Language::ALL {
                assert!(!phrase.text(language).trim().is_empty(), "{name} in {language:?}");
            }
            let [zh, en, spa] = [Language::Zh, Language::En, Language::Spa].map(|language| phrase.text(language));
            assert!(zh != en && zh != spa && en != spa, "{name} is not translated");
            assert!(en.is_ascii(), "{name}: {en}");
        }
    }

    #[test]
    fn every_language_fills_in_the_same_blanks() {
        for (name, phrase) in ALL {
            for blank in ["{parameter}", "{limit}", "{mobile}", "{wait}"] {
                let present = Language::ALL.map(|language| phrase.text(language).contains(blank));
                assert!(present.iter().all(|&there| there == present[0]), "{name}: {blank}");
            }
        }
    }

    #[test]
    fn no_two_phrases_read_alike_in_the_default_language() {
        let mut texts: Vec<&str> = ALL.iter().map(|(_, phrase)| phrase.text(Language::Zh)).collect();
        texts.sort_unstable();
        let count = texts.len();
        texts.dedup();
        assert_eq!(texts.len(), count);
    }

    #[test]
    fn waits_round_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(59_001)), 60);
        assert_eq!(whole_seconds(Duration::from_secs(60)), 60);
        let text = |seconds| wait_text(Duration::from_secs(seconds), Language::En);
        assert_eq!([1, 60, 121, 7200, 7201].map(text), ["1 second", "60 seconds", "3 minutes", "2 hours", "3 hours"]);
        assert_eq!(wait_text(Duration::from_secs(3600), Language::Zh), "60 分钟");
    }
}

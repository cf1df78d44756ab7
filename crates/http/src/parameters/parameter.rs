//! The parameters that the operations take.

use mobile_bind_domain::{ClientType, Platform};

/// A parameter, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    Application,
    ClientType,
    Token,
    Uuid,
    Lang,
    Mobile,
    Verify,
    OldVerify,
    Avatar,
    Province,
    City,
    County,
    Gender,
    Nickname,
    Referrer,
    Captcha,
    AuthTicket,
    AuthCode,
    Code,
    EncryptedData,
    Iv,
    OpenId,
    WeixinOpenid,
    WeixinUnionid,
    AlipayOpenid,
    BaiduOpenid,
    ToutiaoOpenid,
    ToutiaoUnionid,
    QqOpenid,
    QqUnionid,
    KuaishouOpenid,
}

impl Parameter {
    /// Every parameter, in the order of the variants.
    pub(crate) const ALL: [Self; 31] = [
        Self::Application,
        Self::ClientType,
        Self::Token,
        Self::Uuid,
        Self::Lang,
        Self::Mobile,
        Self::Verify,
        Self::OldVerify,
        Self::Avatar,
        Self::Province,
        Self::City,
        Self::County,
        Self::Gender,
        Self::Nickname,
        Self::Referrer,
        Self::Captcha,
        Self::AuthTicket,
        Self::AuthCode,
        Self::Code,
        Self::EncryptedData,
        Self::Iv,
        Self::OpenId,
        Self::WeixinOpenid,
        Self::WeixinUnionid,
        Self::AlipayOpenid,
        Self::BaiduOpenid,
        Self::ToutiaoOpenid,
        Self::ToutiaoUnionid,
        Self::QqOpenid,
        Self::QqUnionid,
        Self::KuaishouOpenid,
    ];

    /// What every operation takes.
    pub(crate) const COMMON: [Self; 5] = [Self::Application, Self::ClientType, Self::Token, Self::Uuid, Self::Lang];

    /// The name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::ClientType => "application_client_type",
            Self::Token => "token",
            Self::Uuid => "uuid",
            Self::Lang => "lang",
            Self::Mobile => "mobile",
            Self::Verify => "verify",
            Self::OldVerify => "old_verify",
            Self::Avatar => "avatar",
            Self::Province => "province",
            Self::City => "city",
            Self::County => "county",
            Self::Gender => "gender",
            Self::Nickname => "nickname",
            Self::Referrer => "referrer",
            Self::Captcha => "captcha",
            Self::AuthTicket => "auth_ticket",
            Self::AuthCode => "authcode",
            Self::Code => "code",
            Self::EncryptedData => "encrypted_data",
            Self::Iv => "iv",
            Self::OpenId => "openid",
            Self::WeixinOpenid => "weixin_openid",
            Self::WeixinUnionid => "weixin_unionid",
            Self::AlipayOpenid => "alipay_openid",
            Self::BaiduOpenid => "baidu_openid",
            Self::ToutiaoOpenid => "toutiao_openid",
            Self::ToutiaoUnionid => "toutiao_unionid",
            Self::QqOpenid => "qq_openid",
            Self::QqUnionid => "qq_unionid",
            Self::KuaishouOpenid => "kuaishou_openid",
        }
    }

    /// The parameter of that very name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| parameter.name() == name)
    }

    /// The parameter that carries a client type's openid, where it has one.
    pub(crate) const fn openid_of(client_type: ClientType) -> Option<Self> {
        match client_type.platform() {
            Some(Platform::Weixin) => Some(Self::WeixinOpenid),
            Some(Platform::Alipay) => Some(Self::AlipayOpenid),
            Some(Platform::Baidu) => Some(Self::BaiduOpenid),
            Some(Platform::Toutiao) => Some(Self::ToutiaoOpenid),
            Some(Platform::Qq) => Some(Self::QqOpenid),
            Some(Platform::Kuaishou) => Some(Self::KuaishouOpenid),
            None => None,
        }
    }

    /// The parameter that carries a client type's unionid, where it has one.
    pub(crate) const fn unionid_of(client_type: ClientType) -> Option<Self> {
        match client_type.platform() {
            Some(Platform::Weixin) => Some(Self::WeixinUnionid),
            Some(Platform::Toutiao) => Some(Self::ToutiaoUnionid),
            Some(Platform::Qq) => Some(Self::QqUnionid),
            Some(Platform::Alipay | Platform::Baidu | Platform::Kuaishou) | None => None,
        }
    }

    /// Whether it is an openid or unionid.
    pub(crate) const fn is_identity(self) -> bool {
        self as usize >= Self::WeixinOpenid as usize
    }

    /// Whether an array or object in its place counts as nothing: a referrer that cannot be read is none.
    pub(crate) const fn forgives_containers(self) -> bool {
        matches!(self, Self::Referrer)
    }
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::ClientType;

    use super::Parameter;

    #[test]
    fn parameters_are_found_by_name_and_place() {
        for (place, parameter) in Parameter::ALL.into_iter().enumerate() {
            assert_eq!(parameter as usize, place);
            assert_eq!(Parameter::named(parameter.name()), Some(parameter));
        }
        assert_eq!(Parameter::named("Mobile"), None);
    }

    #[test]
    fn identities_are_told_by_name() {
        for parameter in Parameter::ALL {
            let identity = parameter.name().ends_with("_openid") || parameter.name().ends_with("_unionid");
            assert_eq!(parameter.is_identity(), identity, "{}", parameter.name());
        }
    }

    #[test]
    fn identity_parameters_are_the_domains() {
        for client_type in ClientType::ALL {
            let platform = client_type.platform();
            let openid = platform.map(mobile_bind_domain::Platform::openid_parameter);
            assert_eq!(Parameter::openid_of(client_type).map(Parameter::name), openid);
            let unionid = platform.and_then(mobile_bind_domain::Platform::unionid_parameter);
            assert_eq!(Parameter::unionid_of(client_type).map(Parameter::name), unionid);
        }
    }
}

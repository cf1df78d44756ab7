//! The operations: each reads what was asked, calls one use case, and answers.

use std::sync::Arc;

use mobile_bind_domain::service::LoggedIn;
use mobile_bind_domain::{Refusal, Requester, Service};
use poem_openapi::{OpenApi, Tags};

use crate::Presentation;
use crate::answer::{Answer, CodeWay, Nothing, WhoLoggedIn};
use crate::asked::{Asked, BindMobile, BindVouchedMobile, CodeStatus, LogInMiniProgram, SendCode, SessionToken};
use crate::catalogue::{self, Phrase};
use crate::completion::Completion;
use crate::envelope::Wanted;
use crate::metrics;
use crate::spans::{operation, within};
use crate::user::{User, Viewing};

#[derive(Tags)]
enum Tag {
    /// Binding a mobile number to an account.
    Binding,
    /// The session that a bind opens.
    Session,
}

/// The operations, over the use cases.
pub(crate) struct Api {
    pub(crate) service: Arc<Service>,
    pub(crate) presentation: Presentation,
}

#[OpenApi]
impl Api {
    /// Send a verification code
    ///
    /// Sends a code by SMS to the number. Every send draws a new code and ends the one before; a number rests a
    /// while between two, 60 seconds unless the shop says otherwise. The code belongs to the client that asked: its `uuid` or, without one, its address.
    ///
    /// With an `Idempotency-Key`, the same request sent again within ten minutes is answered as the first was, and costs no
    /// second message; another request under the same key is refused.
    ///
    /// Refuses with -1 (number empty or malformed, or the key was used for another request) and -100 (not sent: the message
    /// says why and when to try again, and so does `Retry-After`). An answer with `captcha` wants one to be solved: ask again
    /// with what its widget gave.
    #[oai(
        path = "/user/appmobilebindverifysend",
        method = "post",
        operation_id = "sendVerificationCode",
        tag = "Tag::Binding"
    )]
    async fn send_verification_code(&self, asked: Asked<SendCode>) -> Answer<Nothing> {
        let Requester { language, client_type, .. } = asked.requester;
        let service = Arc::clone(&self.service);
        let sending = async move { service.send_code(asked.requester.clone(), &asked.send_parameters()).await };
        let outcome = Completion::of(within(operation("send_code", client_type), sending)).await;
        metrics::sent(client_type, &outcome);
        if let Err(refusal @ Refusal::CaptchaWanted { .. }) = &outcome {
            return Answer::wanting(refusal, Wanted::Captcha(self.presentation.captcha.as_ref()), language);
        }
        Answer::new(outcome.map(|()| Nothing::HERE), catalogue::SENT, language)
    }

    /// What became of a verification code
    ///
    /// Tells the client that asked for a code whether it is on its way: `accepted` where an SMS provider has taken it, `failed` where none
    /// did, else `pending`. Whether it reached the phone is not told. Nobody but that client learns anything of the number.
    ///
    /// Refuses with -1 (number empty or malformed, or a parameter is invalid), -10 (this client has no live code for the number) and
    /// -100 (the service is busy).
    #[oai(
        path = "/user/appmobilebindverifystatus",
        method = "post",
        operation_id = "getVerificationCodeStatus",
        tag = "Tag::Binding"
    )]
    async fn verification_code_status(&self, asked: Asked<CodeStatus>) -> Answer<CodeWay> {
        let Requester { language, client_type, .. } = asked.requester;
        let asking = self.service.send_status(&asked.requester, asked.mobile());
        let outcome = within(operation("send_status", client_type), asking).await;
        Answer::new(outcome.map(CodeWay::from), catalogue::LOOKED_UP, language)
    }

    /// Bind a mobile number
    ///
    /// Proves by the code that the number is in the caller's hands, and binds it to the caller's account: the one of the
    /// openid for a mini-program, the token's for the others. Where the caller is unknown, the account that holds the
    /// number is entered, or a new one is made. Every bind answers a new session token; the token that the account had on
    /// this client type stops working.
    ///
    /// The same bind, sent again by the same client within 10 seconds, or within ten minutes with the same
    /// `Idempotency-Key`, is answered as the first time.
    ///
    /// An answer with `old_mobile` wants a code for the number that the account has now: have one sent there, and ask again
    /// with it as `old_verify`.
    ///
    /// Refuses with -1 (a parameter is missing, invalid or too long, the idempotency key was used for another request, no
    /// account may be made for the number, or the account may not change its number), -2 (number malformed), -10 (no live
    /// code), -11 (wrong code), -20 (mini-program without its openid), -50 (the number is another account's, or an account's
    /// that was silent for long, or it or the openid belongs to several), -51 (the number is the caller's already), -100 (not bound now), -110 (the account is
    /// disabled or waits for approval) and -400 (the openid could not be confirmed: open the app again).
    #[oai(path = "/user/appmobilebind", method = "post", operation_id = "bindMobile", tag = "Tag::Binding")]
    async fn bind_mobile(&self, asked: Asked<BindMobile>) -> Answer<User> {
        let requester = asked.requester.clone();
        let service = Arc::clone(&self.service);
        let binding = async move { service.bind(asked.requester.clone(), &asked.bind_parameters()).await };
        let outcome = Completion::of(within(operation("bind", requester.client_type), binding)).await;
        metrics::bound(requester.client_type, &outcome);
        if let Err(refusal @ Refusal::OldCodeWanted { mobile }) = &outcome {
            return Answer::wanting(refusal, Wanted::OldCode(&mobile.masked()), requester.language);
        }
        self.user_answer(outcome, catalogue::BOUND, &requester)
    }

    /// Log a mini-program in
    ///
    /// Asks the client type's platform whose the log-in code is. Answers the user and a token where the openid (or its
    /// unionid) has an account, with `is_user_exist` 1; else the openid and unionid, with `is_user_exist` 0. From then on the
    /// openid is proved for this `uuid`, for 30 days after its last use; `auth_ticket` proves it once more, for ten minutes.
    ///
    /// Refuses with -1 (no log-in code, a client type that is no mini-program or has no app configured, or an invalid
    /// parameter), -50 (the openid or the unionid belongs to several accounts), -100 (the platform did not answer, or refused), -110 (the account is disabled or waits for approval) and
    /// -400 (the platform does not take the code: open the app again).
    #[oai(path = "/user/appminiuserauth", method = "post", operation_id = "logInMiniProgram", tag = "Tag::Session")]
    async fn log_in(&self, asked: Asked<LogInMiniProgram>) -> Answer<WhoLoggedIn> {
        let requester = asked.requester.clone();
        let service = Arc::clone(&self.service);
        let logging_in = async move { service.log_in(asked.requester.clone(), asked.auth_code()).await };
        let outcome = Completion::of(within(operation("log_in", requester.client_type), logging_in)).await;
        metrics::logged_in(requester.client_type, &outcome);
        let answer = outcome.map(|log_in| {
            let user = log_in.account.as_ref().map(|known| self.user(known, &requester));
            WhoLoggedIn::new(user, &log_in)
        });
        Answer::new(answer, catalogue::LOGGED_IN, requester.language)
    }

    /// Bind the number that the platform vouches for
    ///
    /// Takes the number from the platform instead of a code: WeChat by `code`; WeChat, QQ, Toutiao and Baidu by
    /// `encrypted_data` and `iv`, with the session key of the last log-in from this `uuid`. The openid must be proved. An
    /// account that has a number is entered and keeps it; else as a bind.
    ///
    /// Refuses with -1 (a parameter is missing, invalid or too long, the platform does not offer this, or no account may be
    /// made for the number), -2 (the number is not of this shop's kind), -20 (no openid), -50 (the number is another
    /// account's, or it or the openid belongs to several), -100 (not bound now), -110 (the account is disabled or waits for approval) and -400 (the openid could not
    /// be confirmed, or the platform does not take what was sent: open the app again).
    #[oai(
        path = "/user/onekeyusermobilebind",
        method = "post",
        operation_id = "bindVouchedMobile",
        tag = "Tag::Binding"
    )]
    async fn bind_vouched_mobile(&self, asked: Asked<BindVouchedMobile>) -> Answer<User> {
        let requester = asked.requester.clone();
        let service = Arc::clone(&self.service);
        let binding = async move {
            service.bind_vouched(asked.requester.clone(), &asked.bind_parameters(), asked.vouch_parameters()).await
        };
        let outcome = Completion::of(within(operation("bind_vouched", requester.client_type), binding)).await;
        metrics::bound(requester.client_type, &outcome);
        self.user_answer(outcome, catalogue::BOUND, &requester)
    }

    /// Look a token up
    ///
    /// Answers the account that the session token belongs to, and the token.
    ///
    /// Refuses with -1 (no token, or one that is unknown or has ended) and -100 (the service is busy).
    #[oai(path = "/user/tokenuserinfo", method = "post", operation_id = "getTokenUser", tag = "Tag::Session")]
    async fn get_token_user(&self, asked: Asked<SessionToken>) -> Answer<User> {
        let span = operation("look_up", asked.requester.client_type);
        let outcome = within(span, self.service.look_up(asked.token())).await;
        self.user_answer(outcome, catalogue::LOOKED_UP, &asked.requester)
    }

    /// Log out
    ///
    /// Ends the token's session; the token stops working at once.
    ///
    /// Refuses with -1 (a parameter is invalid), -400 (there is no live session to end) and -100 (the service is busy).
    #[oai(path = "/user/logout", method = "post", operation_id = "logOut", tag = "Tag::Session")]
    async fn log_out(&self, asked: Asked<SessionToken>) -> Answer<Nothing> {
        let Requester { language, client_type, .. } = asked.requester;
        let service = Arc::clone(&self.service);
        let ending = async move { service.log_out(asked.token()).await };
        let outcome = Completion::of(within(operation("log_out", client_type), ending)).await;
        Answer::new(outcome.map(|()| Nothing::HERE), catalogue::LOGGED_OUT, language)
    }
}

impl Api {
    fn user_answer(&self, outcome: Result<LoggedIn, Refusal>, success: Phrase, requester: &Requester) -> Answer<User> {
        Answer::new(outcome.map(|known| self.user(&known, requester)), success, requester.language)
    }

    fn user(&self, LoggedIn { account, token }: &LoggedIn, requester: &Requester) -> User {
        let Requester { language, client_type, .. } = *requester;
        let presentation = &self.presentation;
        User::new(account, &Viewing { token: token.expose(), client_type, language, presentation })
    }
}

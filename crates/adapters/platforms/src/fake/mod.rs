//! A fake of all six platforms, over real HTTP: it verifies app ids, secrets and signatures as they do, lets every code count
//! once, and can be told to misbehave. For development, for tests, and for trying a configuration with no account.
//!
//! A log-in code is `USER.ANYTHING`: it is of the user `USER`, whose openid is `o-PLATFORM-USER` and whose unionid, where the
//! platform has them, `u-USER`. `GET /fake/number?platform=weixin&user=USER&mobile=17602128368` answers what a mini-program gets
//! for a number: `code`, `encrypted_data` and `iv`.

mod answers;
mod server;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use mobile_bind_domain::Platform;
use mobile_bind_domain::ports::{Clock, PlatformFailure, Randomness};
use tokio::task::JoinHandle;

use crate::config::{PlatformConfig, Secret};
use crate::rsa;

/// The keys of a fake app and of a fake Alipay: they are secret to nobody.
const APP_KEY: &str = include_str!("app.pem");
const ALIPAY_KEY: &str = include_str!("alipay.pem");

/// What the fake does with good requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Play {
    /// Answers them.
    Answer,
    /// Says that it is busy.
    Busy,
    /// Says that the user is not to be trusted (weixin, qq); busy elsewhere.
    Block,
    /// Answers bytes that mean nothing.
    Garbage,
    /// Answers HTTP status 500.
    Crash,
    /// Never answers.
    Hang,
    /// Signs with another key than it says (alipay).
    Forge,
}

impl Play {
    /// What is told of it in a platform's own words, where it is a refusal.
    fn failure(self) -> Option<PlatformFailure> {
        match self {
            Self::Busy => Some(PlatformFailure::Busy),
            Self::Block => Some(PlatformFailure::Blocked),
            _ => None,
        }
    }
}

struct Stage {
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    configs: Vec<PlatformConfig>,
    /// Signs as Alipay.
    signing: KeyPair,
    /// Alipay's idea of the app's public key.
    app_key: Vec<u8>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    play: Option<Play>,
    used: BTreeSet<String>,
    /// The session key of each user's last log-in.
    session_keys: HashMap<(Platform, String), String>,
    /// WeChat's access token in force.
    access_token: String,
    tokens: u64,
}

impl Stage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self, platform: Platform) -> Option<&PlatformConfig> {
        self.configs.iter().find(|config| config.platform == platform)
    }
}

/// A fake that listens until it is dropped.
pub struct FakePlatforms {
    /// Where it listens.
    pub address: SocketAddr,
    stage: Arc<Stage>,
    server: JoinHandle<()>,
}

impl FakePlatforms {
    /// Listens at the address; port 0 takes any that is free. `app_id` says each platform's app id.
    ///
    /// # Errors
    /// Where the address is taken.
    pub async fn start(
        listen: SocketAddr,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
        app_id: impl Fn(Platform) -> String,
    ) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let pair = |text| rsa::private_key(text).ok_or_else(|| io::Error::other("the fake's keys are damaged"));
        let (signing, app) = (pair(ALIPAY_KEY)?, pair(APP_KEY)?);
        let public_key = data_encoding::BASE64.encode(signing.public_key().as_ref());
        let config = |platform: Platform| {
            let secret = if platform == Platform::Alipay {
                APP_KEY.to_owned()
            } else {
                format!("fake-secret-{}", platform.name())
            };
            let app_id = app_id(platform);
            PlatformConfig {
                platform,
                app_id: if app_id.is_empty() { format!("fake-{}", platform.name()) } else { app_id },
                app_key: "fake-app-key".to_owned(),
                secret: Secret::new(secret),
                public_key: public_key.clone(),
                url: format!("http://{address}"),
                timeout: Duration::from_secs(3),
                plain_http: false,
            }
        };
        let configs = Platform::ALL.map(config).to_vec();
        let app_key = app.public_key().as_ref().to_vec();
        let stage = Arc::new(Stage { clock, randomness, configs, signing, app_key, state: Mutex::default() });
        let server = tokio::spawn(server::serve(listener, Arc::clone(&stage)));
        Ok(Self { address, stage, server })
    }

    /// How each platform is configured to be asked here.
    #[must_use]
    pub fn configs(&self) -> Vec<PlatformConfig> {
        self.stage.configs.clone()
    }

    /// Plays this from now on.
    pub fn play(&self, play: Play) {
        self.stage.state().play = Some(play);
    }

    /// Ends WeChat's access token before its time, as another who fetches one does.
    pub fn end_access_token(&self) {
        self.stage.state().access_token.clear();
    }

    /// How many access tokens were fetched.
    #[must_use]
    pub fn access_tokens(&self) -> u64 {
        self.stage.state().tokens
    }

    /// The session key of a user's last log-in: what a leak is looked for by.
    #[must_use]
    pub fn session_key(&self, platform: Platform, user: &str) -> Option<String> {
        self.stage.state().session_keys.get(&(platform, user.to_owned())).cloned()
    }

    /// What a mini-program gets for a number.
    #[must_use]
    pub fn number(&self, platform: Platform, user: &str, mobile: &str) -> Option<ShownNumber> {
        answers::number(&self.stage, platform, user, mobile)
    }
}

impl Drop for FakePlatforms {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What a mini-program gets for a number.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownNumber {
    /// WeChat's code.
    pub code: String,
    /// The number, encrypted with the session key of the user's last log-in.
    pub encrypted_data: String,
    /// What goes with it.
    pub iv: String,
}

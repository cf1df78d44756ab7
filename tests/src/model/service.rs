//! The service, as a story has it set.

#![expect(clippy::expect_used, reason = "a service that cannot be made is a failed case, which proptest reports")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::policy::{self, NumberPolicy, Recycled, SessionPolicy};
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{
    ClientType, CodeKey, CodeKeys, Guards, Installation, KeyId, Language, LimitMode, Outbox, Platform, PlatformProof,
    Policy, Requester, Service,
};
use mobile_bind_sealing::AeadSealer;

use super::ambience::Ambience;
use super::interleaved::Interleaved;
use super::reference::{
    CODE_LIFETIME, COOLING_OFF, INACTIVITY, Kind, LIFETIME, PROOF, PROOF_REFRESH, REFRESH, REPEAT, REST, Rebind, Rules,
    SILENCE, TICKET, TRIES,
};

pub(super) fn requester(client: &str, kind: Kind) -> Requester {
    let client_type = match kind {
        Kind::Pc => ClientType::Pc,
        Kind::H5 => ClientType::H5,
        Kind::Weixin => ClientType::MiniProgram(Platform::Weixin),
        Kind::Alipay => ClientType::MiniProgram(Platform::Alipay),
    };
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)).into();
    Requester {
        client_type,
        installation: Installation::new(client),
        address,
        language: Language::Zh,
        request: Default::default(),
    }
}

/// With the quotas off: the interval, the tries and whose code it is always stand.
pub(super) fn service_over(
    ambience: &Arc<Ambience>,
    store: Arc<dyn Store>,
    rules: Rules,
) -> (Arc<Interleaved>, Arc<Service>) {
    let seconds = Duration::from_secs;
    let platform_proof = if rules.required { PlatformProof::Required } else { PlatformProof::Trust };
    let mut policy = Policy { platform_proof, ..Policy::default() };
    policy.limits.mode = LimitMode::Off;
    policy.send_interval = seconds(REST);
    policy.code_lifetime = seconds(CODE_LIFETIME);
    policy.tries_per_code = TRIES;
    policy.repeat_window = seconds(REPEAT);
    policy.session =
        SessionPolicy { inactivity: seconds(INACTIVITY), absolute: seconds(LIFETIME), refresh_after: seconds(REFRESH) };
    policy.proof_lifetime = seconds(PROOF);
    policy.proof_refresh_after = seconds(PROOF_REFRESH);
    policy.ticket_lifetime = seconds(TICKET);
    // Longer than any story: what a code that is forgotten is good for is the platform's to say.
    policy.log_in_code_lifetime = seconds(365 * 24 * 3600);
    policy.numbers = NumberPolicy {
        rebind: match rules.rebind {
            Rebind::Allow => policy::Rebind::Allow,
            Rebind::OldCode => policy::Rebind::OldCode,
            Rebind::Deny => policy::Rebind::Deny,
        },
        cooling_off: seconds(COOLING_OFF),
        revoke_on_change: true,
        recycled: Recycled::Detach,
        recycled_after: Some(seconds(SILENCE)),
        ..NumberPolicy::default()
    };
    let key = CodeKey::new(KeyId::new("model").expect("a key id"), [7; 32]);
    let store = Arc::new(Interleaved::new(store));
    let keys = CodeKeys::new(key, Vec::new());
    let sealer = Arc::new(AeadSealer::new(keys.derived(b"outbox"), ambience.clone()).expect("a key"));
    let outbox = Outbox {
        store: store.clone(),
        sms: ambience.clone(),
        sealer: sealer.clone(),
        clock: ambience.clone(),
        policy: policy.outbox,
        attempts: policy.attempts,
    };
    let service = Service {
        platforms: ambience.clone(),
        audit: Default::default(),
        store: store.clone(),
        relay: Arc::new(outbox),
        sealer,
        clock: ambience.clone(),
        randomness: ambience.clone(),
        codes: ambience.clone(),
        tokens: ambience.clone(),
        keys,
        policy: policy.into(),
        guards: Guards::default(),
    };
    (store, Arc::new(service))
}

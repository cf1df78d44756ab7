//! What the development routes reach: the fake provider and the clock.

use std::sync::Arc;
use std::time::Duration;

use mobile_bind_http::{Behaviour, Development, DevelopmentMessage};
use mobile_bind_sms::FakeSms;

use tokio::sync::watch;

use crate::ambient::SystemClock;

/// The fake provider and the adjustable clock.
pub struct DevelopmentDesk {
    /// Keeps what was sent.
    pub sms: Arc<FakeSms>,
    /// Tells the service's time; `None` where it is not ours to move.
    pub clock: Option<Arc<SystemClock>>,
    /// Whether the service stops.
    pub stopped: watch::Receiver<bool>,
}

impl Development for DevelopmentDesk {
    fn messages(&self, mobile: Option<&str>) -> Vec<DevelopmentMessage> {
        let told = |sent: mobile_bind_sms::SentMessage| DevelopmentMessage {
            mobile: sent.message.mobile.as_str().to_owned(),
            code: sent.code().map(|code| code.digits().to_owned()).unwrap_or_default(),
            text: sent.text(),
            sent_at: sent.sent_at,
        };
        self.sms.messages(mobile).into_iter().map(told).collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        let (mut sent, mut stopped) = (self.sms.changes(), self.stopped.clone());
        let (tell, changes) = watch::channel(0);
        // Whoever listens must not keep the service from stopping: what it listens to ends with the service.
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    changed = sent.changed() => if changed.is_err() { return },
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                    () = tell.closed() => return,
                }
                tell.send_modify(|count| *count += 1);
            }
        });
        changes
    }

    fn behaviours(&self) -> Vec<(String, Behaviour)> {
        let told = |behaviour| match behaviour {
            mobile_bind_sms::Behaviour::Deliver => Behaviour::Deliver,
            mobile_bind_sms::Behaviour::Refuse => Behaviour::Refuse,
            mobile_bind_sms::Behaviour::Hang => Behaviour::Hang,
        };
        self.sms.behaviours().into_iter().map(|(mobile, behaviour)| (mobile, told(behaviour))).collect()
    }

    fn set_behaviour(&self, mobile: &str, behaviour: Behaviour) {
        let behaviour = match behaviour {
            Behaviour::Deliver => mobile_bind_sms::Behaviour::Deliver,
            Behaviour::Refuse => mobile_bind_sms::Behaviour::Refuse,
            Behaviour::Hang => mobile_bind_sms::Behaviour::Hang,
        };
        self.sms.set_behaviour(mobile, behaviour);
    }

    fn advance_clock(&self, by: Duration) {
        if let Some(clock) = &self.clock {
            clock.advance(by);
        }
    }
}

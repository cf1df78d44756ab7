//! What the console shows of the service: the funnel over time, refusals, providers, the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use mobile_bind_domain::Service;
use poem::http::StatusCode;
use poem::{Endpoint, Request, Response, Result};
use serde::Serialize;

use super::access::Operator;
use super::exposition::{Sample, samples};
use super::history::{Frame, Funnel, History, Span};
use super::json;
use crate::metrics::{IN_FLIGHT, REQUEST_DURATION, SHED, Scrape};
use crate::rewriting::OPERATIONS;

const PROVIDER_SENDS: &str = "mobile_bind_sms_provider_sends_total";
const PROVIDER_SECONDS: &str = "mobile_bind_sms_provider_duration_seconds";
/// Messages by the state they came into, counted by the outbox.
const PROVIDER_MESSAGES: &str = "mobile_bind_sms_messages_total";
const PROVIDER_RECEIPTS: &str = "mobile_bind_sms_provider_receipts_total";
/// Millionths of whatever the settings' prices are in.
const PROVIDER_COST: &str = "mobile_bind_sms_cost_micros_total";
/// From a provider's acceptance to the phone.
const DELIVERY: &str = "mobile_bind_sms_delivery_duration_seconds";
const PROVIDER_HEALTH: &str = "mobile_bind_sms_provider_health";
const DISK: &str = "mobile_bind_store_disk_bytes";
const MEMORY: &str = "process_resident_memory_bytes";
const TRUST: &str = "mobile_bind_platform_proof_trust";

/// All of it.
#[derive(Serialize)]
struct Overview<'a> {
    operator: &'a str,
    /// Milliseconds since the Unix epoch, by the service's clock.
    now: u64,
    /// Since the process started.
    totals: Funnel,
    /// Whether any provider sends receipts: without, nothing is known of deliveries.
    has_receipts: bool,
    /// How many seconds a frame stands for.
    step: u64,
    frames: Vec<Frame>,
    providers: BTreeMap<String, Provider>,
    service: State,
}

/// An SMS provider, since the process started.
#[derive(Default, Serialize)]
struct Provider {
    /// 1 in use, 0.5 being tried again, 0 left alone; nothing where no message was offered to it yet.
    health: Option<f64>,
    outcomes: BTreeMap<String, u64>,
    /// By the state they came into; `verified` where their code was used.
    messages: BTreeMap<String, u64>,
    seconds: Mean,
    delivery_seconds: Mean,
    /// In whatever the settings' prices are.
    cost: f64,
}

/// How the process does.
#[derive(Default, Serialize)]
struct State {
    store_ready: bool,
    trusts_openids: bool,
    memory_bytes: u64,
    disk_bytes: Option<u64>,
    in_flight: u64,
    turned_away: u64,
    /// By operation.
    seconds: BTreeMap<String, Mean>,
}

#[derive(Default, Serialize)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// Takes a histogram's sum or its count in.
    fn add(&mut self, suffix: &str, sample: &Sample) {
        match suffix {
            "_sum" => self.sum += sample.value,
            "_count" => self.count += sample.count(),
            _ => {}
        }
    }
}

pub(super) struct OverviewRoute {
    pub(super) service: Arc<Service>,
    pub(super) scrape: Arc<dyn Scrape>,
    pub(super) history: Arc<History>,
}

impl Endpoint for OverviewRoute {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let span = if request.uri().query() == Some("span=day") { Span::Day } else { Span::Hour };
        let operator = request.data::<Operator>().map_or("", |operator| operator.0.as_str());
        let samples = samples(&self.scrape.render());
        let store_ready = self.service.store.check().await.is_ok();
        let (now, totals) = (self.service.clock.now(), Funnel::of(&samples));
        let (step, frames) = self.history.frames(span, now, &totals);
        let overview = Overview {
            operator,
            now: now.as_millis(),
            has_receipts: totals.delivered > 0 || samples.iter().any(|sample| sample.name == PROVIDER_RECEIPTS),
            totals,
            step,
            frames,
            providers: providers(&samples),
            service: State { store_ready, ..state(&samples) },
        };
        Ok(json(&overview, StatusCode::OK))
    }
}

fn providers(samples: &[Sample]) -> BTreeMap<String, Provider> {
    let mut providers: BTreeMap<String, Provider> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| !sample.label("provider").is_empty()) {
        let provider = providers.entry(sample.label("provider").to_owned()).or_default();
        match sample.name.as_str() {
            PROVIDER_HEALTH => provider.health = Some(sample.value),
            PROVIDER_SENDS => {
                *provider.outcomes.entry(sample.label("outcome").to_owned()).or_default() += sample.count()
            }
            PROVIDER_MESSAGES => {
                *provider.messages.entry(sample.label("state").to_owned()).or_default() += sample.count()
            }
            PROVIDER_COST => provider.cost += sample.value / 1e6,
            name if name.starts_with(DELIVERY) => {
                provider.delivery_seconds.add(name.strip_prefix(DELIVERY).unwrap_or_default(), sample);
            }
            name => provider.seconds.add(name.strip_prefix(PROVIDER_SECONDS).unwrap_or_default(), sample),
        }
    }
    providers
}

fn state(samples: &[Sample]) -> State {
    let mut state = State::default();
    for sample in samples {
        match sample.name.as_str() {
            MEMORY => state.memory_bytes = sample.count(),
            DISK => state.disk_bytes = Some(sample.count()),
            TRUST => state.trusts_openids = sample.count() > 0,
            IN_FLIGHT => state.in_flight += sample.count(),
            SHED => state.turned_away += sample.count(),
            name => {
                let route = sample.label("route");
                if let Some(suffix) = name.strip_prefix(REQUEST_DURATION).filter(|_| OPERATIONS.contains(&route)) {
                    state.seconds.entry(route.to_owned()).or_default().add(suffix, sample);
                }
            }
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_and_the_service_are_read_from_what_was_measured() {
        let samples = samples(
            "mobile_bind_sms_provider_sends_total{provider=\"main\",outcome=\"accepted\"} 7\n\
             mobile_bind_sms_messages_total{state=\"delivered\",provider=\"main\",country=\"86\"} 4\n\
             mobile_bind_sms_messages_total{state=\"delivered\",provider=\"main\",country=\"1\"} 1\n\
             mobile_bind_sms_provider_health{provider=\"main\"} 0.5\n\
             mobile_bind_sms_provider_duration_seconds_bucket{provider=\"main\",le=\"1\"} 7\n\
             mobile_bind_sms_provider_duration_seconds_sum{provider=\"main\"} 1.5\n\
             mobile_bind_sms_provider_duration_seconds_count{provider=\"main\"} 7\n\
             mobile_bind_sms_cost_micros_total{provider=\"main\",country=\"86\"} 1500000\n\
             mobile_bind_sms_delivery_duration_seconds_sum{provider=\"main\",country=\"86\"} 8\n\
             mobile_bind_sms_delivery_duration_seconds_count{provider=\"main\",country=\"86\"} 4\n\
             mobile_bind_http_request_duration_seconds_sum{route=\"/user/appmobilebind\"} 0.25\n\
             mobile_bind_http_request_duration_seconds_count{route=\"/user/appmobilebind\"} 5\n\
             mobile_bind_http_request_duration_seconds_sum{route=\"/metrics\"} 9\n\
             mobile_bind_http_requests_in_flight{bulkhead=\"sends\"} 1\n\
             mobile_bind_http_requests_in_flight{bulkhead=\"requests\"} 2\n\
             mobile_bind_platform_proof_trust 1\nprocess_resident_memory_bytes 4096\n",
        );
        let main = &providers(&samples)["main"];
        assert_eq!((main.health, main.outcomes["accepted"], main.seconds.count), (Some(0.5), 7, 7));
        assert_eq!(main.messages["delivered"], 5);
        assert_eq!((main.cost, main.delivery_seconds.sum, main.delivery_seconds.count), (1.5, 8.0, 4));
        let state = state(&samples);
        assert_eq!(
            (state.in_flight, state.trusts_openids, state.memory_bytes, state.disk_bytes),
            (3, true, 4096, None)
        );
        let routes: Vec<_> = state.seconds.iter().map(|(route, mean)| (route.as_str(), mean.count)).collect();
        assert_eq!(routes, [("/user/appmobilebind", 5)]);
    }
}

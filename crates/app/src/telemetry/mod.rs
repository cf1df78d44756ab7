//! Spans for operators: sent by OTLP over HTTP where a collector is named, and disabled call sites where none is.

mod exporter;
mod requests;

use std::time::Duration;

use anyhow::{Context, Result};
use mobile_bind_domain::SPANS;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanExporter, SpanProcessor,
};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

pub(crate) use self::requests::TracedRequests;
use crate::settings::{Settings, Tracing};

/// Spans that wait for the collector; one more is lost. About a kilobyte each.
const QUEUE: usize = 4_096;
/// Spans that are sent at once, as soon as there are so many.
const BATCH: usize = 512;
/// How long fewer wait.
const DELAY: Duration = Duration::from_secs(2);
/// How long the collector may take to answer.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the collector may keep the service from stopping.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The spans of this process on their way to a collector.
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// Starts to send spans, where a collector is named. Not to be called from within an async runtime: the HTTP client is
    /// one that blocks, in a thread of its own.
    ///
    /// # Errors
    /// Where a setting cannot be used.
    pub fn start(settings: &Settings) -> Result<Option<Self>> {
        let Some(tracing) = settings.tracing()? else { return Ok(None) };
        let client = reqwest::blocking::Client::builder()
            // The collector is where the operator says it is.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(EXPORT_TIMEOUT);
        let sender = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client.build().context("no HTTP client for spans")?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&tracing.endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            // To wait and try again would only keep others waiting.
            .with_retry_policy(RetryPolicy::disabled());
        let sender = sender.build().context("telemetry.otlp_endpoint cannot be used")?;
        Ok(Some(Self { provider: provider(&tracing, sender) }))
    }

    /// What turns the spans of [`SPANS`], and no others, into OpenTelemetry's. Events are left to the log: what stands in
    /// them was not written for a collector.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("mobile-bind"))
            .with_context_activation(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(SPANS, LevelFilter::TRACE))
    }

    /// Sends what still waits, for a few seconds at most. Not to be called from within an async runtime.
    pub fn stop(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(STOP_TIMEOUT) {
            tracing::warn!(%error, "the last spans may not have reached the collector");
        }
    }
}

fn provider(tracing: &Tracing, sender: impl SpanExporter + 'static) -> SdkTracerProvider {
    let (exporter, ended) = exporter::Exporter::new(sender, QUEUE);
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    let mut processor = exporter::Counting::new(BatchSpanProcessor::new(exporter, batches), ended);
    // Nothing from the environment: the settings alone say what is sent.
    let resource = Resource::builder_empty()
        .with_service_name(tracing.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", tracing.node.clone()))
        .build();
    processor.set_resource(&resource);
    SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(tracing.sampling_ratio))))
        .with_span_processor(processor)
        .build()
}

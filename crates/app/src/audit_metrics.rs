//! What the audit writes, measured.

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};
use mobile_bind_domain::audit::AuditAction;
use mobile_bind_domain::{Change, Timestamp, Write};

const EVENTS: &str = "mobile_bind_audit_events_total";
const SEALED: &str = "mobile_bind_audit_segments_sealed_total";
const LAST_SEALED: &str = "mobile_bind_audit_last_sealed_timestamp_seconds";

/// Tells the recorder in force what the metrics of the audit mean.
pub(crate) fn describe_metrics() {
    describe_counter!(EVENTS, "Decisions that were written to the audit, by action; sums of refusals count whole.");
    describe_counter!(SEALED, "Segments of the audit that this node has sealed.");
    describe_gauge!(LAST_SEALED, Unit::Seconds, "When this node last sealed a segment, in Unix seconds; 0 before.");
}

/// The series, held on to: to find one by its labels costs more than to count.
pub(crate) struct AuditSeries {
    events: [Counter; AuditAction::ALL.len()],
    sealed: Counter,
    last_sealed: Gauge,
}

/// What a change says to the audit.
pub(crate) struct Audited {
    events: Vec<(AuditAction, u32)>,
    sealed_at: Option<Timestamp>,
}

impl Audited {
    pub(crate) fn of(change: &Change) -> Self {
        let mut audited = Self { events: Vec::new(), sealed_at: None };
        for write in &change.writes {
            match write {
                Write::Audit(event) => audited.events.push((event.action, event.times)),
                Write::Checkpoint(checkpoint) => audited.sealed_at = Some(checkpoint.at),
                _ => {}
            }
        }
        audited
    }
}

impl AuditSeries {
    pub(crate) fn new() -> Self {
        let series = Self {
            events: AuditAction::ALL.map(|action| counter!(EVENTS, "action" => action.name())),
            sealed: counter!(SEALED),
            last_sealed: gauge!(LAST_SEALED),
        };
        // Seen from the start on, so that the first event is a rise.
        series.events.iter().for_each(|events| events.increment(0));
        series.sealed.increment(0);
        series.last_sealed.increment(0.0);
        series
    }

    /// Counts what was committed.
    pub(crate) fn note(&self, audited: &Audited) {
        for (action, times) in &audited.events {
            if let Some(events) = self.events.get(*action as usize) {
                events.increment(u64::from(*times));
            }
        }
        if let Some(at) = audited.sealed_at {
            self.sealed.increment(1);
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 53 bits")]
            self.last_sealed.set(at.as_seconds() as f64);
        }
    }
}

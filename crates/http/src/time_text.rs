//! Points in time as text.

use jiff::tz::TimeZone;

/// `YYYY-MM-DD HH:MM:SS` in a time zone; empty where the seconds since the epoch are beyond the calendar.
pub(crate) fn date_time(seconds: i64, time_zone: &TimeZone) -> String {
    format(seconds, time_zone, "%Y-%m-%d %H:%M:%S")
}

/// `YYYY-MM-DD` in a time zone; empty where the seconds since the epoch are beyond the calendar.
pub(crate) fn date(seconds: i64, time_zone: &TimeZone) -> String {
    format(seconds, time_zone, "%Y-%m-%d")
}

fn format(seconds: i64, time_zone: &TimeZone, format: &str) -> String {
    let timestamp = jiff::Timestamp::from_second(seconds);
    let zoned = timestamp.map(|timestamp| timestamp.to_zoned_datetime(time_zone.clone()));
    zoned.map(|zoned| zoned.strftime(format).to_string()).unwrap_or_default()
}

/// RFC 3339 in UTC, with `Z`.
#[must_use]
pub fn rfc3339(at: mobile_bind_domain::Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use mobile_bind_domain::Timestamp;

    use super::{date, date_time, rfc3339};

    #[test]
    fn the_interface_documents_own_times() {
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        assert_eq!(date_time(1_627_535_697, &shanghai), "2021-07-29 13:14:57");
        assert_eq!(date_time(1_634_727_340, &shanghai), "2021-10-20 18:55:40");
        assert_eq!(date(1_634_727_340, &TimeZone::UTC), "2021-10-20");
        assert_eq!(date_time(i64::MAX, &shanghai), "");
        assert_eq!(rfc3339(Timestamp::from_seconds(1_634_727_340)), "2021-10-20T10:55:40Z");
        assert!(rfc3339(Timestamp::from_millis(u64::MAX)).starts_with("9999-12-"));
    }
}

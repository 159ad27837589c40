//! Times as people say them, in the zone of the one who reads.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use zajil_proto::time::Minute;

use super::{Message, msg};

/// Minutes by which another clock may be ahead before its time is called later than ours: two clocks never agree.
const CLOCK_SLACK_MINUTES: u32 = 5;

/// Days back for which a weekday alone names a day.
const WEEKDAY_DAYS: i32 = 6;

/// The day that is counted as 0.
const FIRST_DAY: Date = Date::constant(1970, 1, 1);

/// Returns the date of a day that is counted from 1970-01-01 on.
#[must_use]
pub fn date_of_day(day: u16) -> Date {
    // INVARIANT: the last one is in 2149, which is a year like any other.
    FIRST_DAY.checked_add(Span::new().days(i64::from(day))).unwrap_or(Date::MAX)
}

/// Words for times, seen from a moment in a zone.
#[derive(Clone)]
pub struct Calendar {
    zone: TimeZone,
    now: Minute,
}

impl std::fmt::Debug for Calendar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calendar(..)")
    }
}

impl Calendar {
    /// Words for times as they stand at `now` in `zone`.
    #[must_use]
    pub fn new(zone: TimeZone, now: Minute) -> Self {
        Self { zone, now }
    }

    /// "today", "yesterday", "Tuesday", "12 November", "12 November 2025".
    #[must_use]
    pub fn day(&self, minute: Minute) -> Message {
        let (date, today) = (self.date(minute), self.date(self.now));
        match days_between(date, today) {
            0 => msg("day-today"),
            1 => msg("day-yesterday"),
            2..=WEEKDAY_DAYS => weekday(date.weekday()),
            _ => self.date_in_words(date),
        }
    }

    /// "12 November", "12 November 2025", of a day that is counted from 1970-01-01 on.
    #[must_use]
    pub fn date_of(&self, day: u16) -> Message {
        self.date_in_words(date_of_day(day))
    }

    /// Today, as a day that is counted from 1970-01-01 on.
    #[must_use]
    pub fn today(&self) -> u16 {
        u16::try_from(days_between(FIRST_DAY, self.date(self.now))).unwrap_or(u16::MAX)
    }

    fn date_in_words(&self, date: Date) -> Message {
        let (day, month) = (date.day(), month(date.month()));
        if date.year() == self.date(self.now).year() {
            msg("day-date").figures("day", day).say("month", month)
        } else {
            msg("day-date-year").figures("day", day).say("month", month).figures("year", date.year())
        }
    }

    /// A day and a time: "Tuesday 14:05".
    #[must_use]
    pub fn moment(&self, minute: Minute) -> Message {
        msg("moment").say("day", self.day(minute)).figures("time", self.time(minute))
    }

    /// Hour and minute, `14:05`.
    #[must_use]
    pub fn time(&self, minute: Minute) -> String {
        let time = self.zoned(minute).time();
        format!("{:02}:{:02}", time.hour(), time.minute())
    }

    /// A span of hours: "Tuesday between 12:00 and 18:00", or with both days if it passes midnight.
    #[must_use]
    pub fn range(&self, from: Minute, hours: u8) -> Message {
        let to = Minute(from.0.saturating_add(u32::from(hours) * 60));
        let (first, last) = (self.date(from), self.date(to));
        let ends_at_midnight = self.time(to) == "00:00" && days_between(first, last) == 1;
        if first == last || ends_at_midnight {
            let end = if ends_at_midnight { "24:00".to_owned() } else { self.time(to) };
            msg("range-one-day").say("day", self.day(from)).figures("from", self.time(from)).figures("to", end)
        } else {
            msg("range-two-days").say("from", self.moment(from)).say("to", self.moment(to))
        }
    }

    /// "just now", "6 h ago", "3 days ago"; `None` if the time is later than the clock here.
    #[must_use]
    pub fn ago(&self, minute: Minute) -> Option<Message> {
        if self.is_later_than_now(minute) {
            return None;
        }
        let minutes = u64::from(self.now.0.saturating_sub(minute.0));
        Some(match minutes {
            0..=1 => msg("ago-now"),
            2..=89 => msg("ago-minutes").count("n", minutes),
            90..=2_879 => msg("ago-hours").count("n", (minutes + 30) / 60),
            _ => msg("ago-days").count("n", minutes / 1_440),
        })
    }

    /// As [`Calendar::ago`], or the moment itself if it lies ahead.
    #[must_use]
    pub fn ago_or_moment(&self, minute: Minute) -> Message {
        self.ago(minute).unwrap_or_else(|| self.moment(minute))
    }

    /// Whether a time lies so far ahead that one of the clocks must be wrong.
    #[must_use]
    pub fn is_later_than_now(&self, minute: Minute) -> bool {
        minute.0 > self.now.0.saturating_add(CLOCK_SLACK_MINUTES)
    }

    /// Whether a time lies on the day of now.
    #[must_use]
    pub fn is_today(&self, minute: Minute) -> bool {
        self.date(minute) == self.date(self.now)
    }

    fn date(&self, minute: Minute) -> Date {
        self.zoned(minute).date()
    }

    fn zoned(&self, minute: Minute) -> jiff::Zoned {
        let seconds = i64::try_from(minute.unix_seconds()).unwrap_or(i64::MAX);
        // A minute of u32 ends in the year 10136; jiff ends in 9999. Nobody writes there, and MAX is as good a day.
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_zoned(self.zone.clone())
    }
}

/// Days from `date` to `today`, negative if it lies ahead.
fn days_between(date: Date, today: Date) -> i32 {
    // INVARIANT: a difference in days of two valid dates always exists; the largest stands for "long ago" all the same.
    date.until(today).map_or(i32::MAX, |span| span.get_days())
}

fn weekday(weekday: Weekday) -> Message {
    match weekday {
        Weekday::Monday => msg("weekday-monday"),
        Weekday::Tuesday => msg("weekday-tuesday"),
        Weekday::Wednesday => msg("weekday-wednesday"),
        Weekday::Thursday => msg("weekday-thursday"),
        Weekday::Friday => msg("weekday-friday"),
        Weekday::Saturday => msg("weekday-saturday"),
        Weekday::Sunday => msg("weekday-sunday"),
    }
}

fn month(month: i8) -> Message {
    match month {
        1 => msg("month-january"),
        2 => msg("month-february"),
        3 => msg("month-march"),
        4 => msg("month-april"),
        5 => msg("month-may"),
        6 => msg("month-june"),
        7 => msg("month-july"),
        8 => msg("month-august"),
        9 => msg("month-september"),
        10 => msg("month-october"),
        11 => msg("month-november"),
        _ => msg("month-december"),
    }
}

/// The length of a recording as `minutes:seconds`; a started second counts whole, for no recording lasts nothing.
#[must_use]
pub fn length(millis: u32) -> String {
    let seconds = millis.div_ceil(1_000);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// A number of bytes: "900 bytes", "48 kB", "1.4 MB", "1.0 GB" (decimal, as links are sold).
#[must_use]
pub fn size(bytes: u64) -> Message {
    match bytes {
        0..=999 => msg("size-bytes").count("n", bytes),
        1_000..=999_499 => msg("size-kilobytes").figures("n", (bytes + 500) / 1_000),
        999_500..=999_949_999 => msg("size-megabytes").figures("n", tenths(bytes, 1_000_000)),
        _ => msg("size-gigabytes").figures("n", tenths(bytes, 1_000_000_000)),
    }
}

/// How many units, to one decimal.
fn tenths(bytes: u64, unit: u64) -> String {
    let tenths = bytes.saturating_add(unit / 20) / (unit / 10);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::i18n::{Catalogue, Locale};

    /// Minutes of 2026-11-20, a Friday, in UTC.
    pub(crate) fn at(day: i64, hour: i64, minute: i64) -> Minute {
        let midnight = 1_795_132_800_i64; // 2026-11-20T00:00:00Z
        Minute(u32::try_from((midnight + day * 86_400 + hour * 3_600 + minute * 60) / 60).unwrap())
    }

    fn utc() -> Calendar {
        Calendar::new(TimeZone::UTC, at(0, 14, 30))
    }

    #[test]
    fn days_are_counted_from_1970_in_the_readers_zone_and_said_as_dates() {
        let calendar = utc();
        assert_eq!((calendar.today(), date_of_day(20_777).to_string()), (20_777, "2026-11-20".to_owned()));
        assert_eq!(say(&calendar.date_of(20_777)), "20 November");
        assert_eq!(say(&calendar.date_of(20_400)), "8 November 2025");
        let late = Calendar::new(TimeZone::fixed(jiff::tz::offset(3)), at(0, 22, 0));
        assert_eq!(late.today(), 20_778);
        assert_eq!(date_of_day(u16::MAX).to_string(), "2149-06-06");
    }

    fn say(message: &Message) -> String {
        Catalogue::new(Locale::ENGLISH).say(message)
    }

    #[test]
    fn days_are_named_as_people_name_them() {
        let days = [0, -1, -2, -6, -7, -300, -400, 1];
        let said: Vec<String> = days.into_iter().map(|day| say(&utc().day(at(day, 23, 0)))).collect();
        assert_eq!(
            said,
            [
                "today",
                "yesterday",
                "Wednesday",
                "Saturday",
                "13 November",
                "24 January",
                "16 October 2025",
                "21 November"
            ]
        );
    }

    #[test]
    fn the_zone_of_the_reader_decides_which_day_it_was() {
        let kabul = Calendar::new(TimeZone::fixed(jiff::tz::Offset::from_seconds(16_200).unwrap()), at(0, 14, 30));
        assert_eq!(say(&kabul.moment(at(-1, 20, 0))), "today 00:30");
        assert_eq!(say(&utc().moment(at(-1, 20, 0))), "yesterday 20:00");
    }

    #[test]
    fn a_bucket_is_told_as_a_range() {
        assert_eq!(say(&utc().range(at(-3, 12, 0), 6)), "Tuesday between 12:00 and 18:00");
        assert_eq!(say(&utc().range(at(-3, 18, 0), 6)), "Tuesday between 18:00 and 24:00");
        assert_eq!(say(&utc().range(at(-3, 0, 0), 24)), "Tuesday between 00:00 and 24:00");
        let east = Calendar::new(TimeZone::fixed(jiff::tz::offset(3)), at(0, 14, 30));
        assert_eq!(say(&east.range(at(-3, 18, 0), 6)), "between Tuesday 21:00 and Wednesday 03:00");
    }

    #[test]
    fn the_past_is_told_in_minutes_hours_and_days_and_the_future_not_at_all() {
        let ago = |minutes: u32| utc().ago(Minute(at(0, 14, 30).0 - minutes)).map(|message| say(&message));
        assert_eq!(ago(0).as_deref(), Some("just now"));
        assert_eq!(ago(2).as_deref(), Some("2 min ago"));
        assert_eq!(ago(89).as_deref(), Some("89 min ago"));
        assert_eq!(ago(360).as_deref(), Some("6 h ago"));
        assert_eq!(ago(2_879).as_deref(), Some("48 h ago"));
        assert_eq!(ago(2_880).as_deref(), Some("2 days ago"));
        assert_eq!(utc().ago(at(0, 14, 36)), None);
        assert_eq!(utc().ago(at(0, 14, 35)).map(|message| say(&message)).as_deref(), Some("just now"));
    }

    #[test]
    fn lengths_and_sizes_read_naturally() {
        assert_eq!(
            ["0:01", "0:34", "10:00"],
            [length(1), length(33_001), length(600_000)].each_ref().map(String::as_str)
        );
        let sizes = [1, 999, 1_000, 48_499, 999_499, 999_500, 1_449_999, 999_949_999, 999_950_000]
            .map(|bytes| say(&size(bytes)));
        assert_eq!(sizes, ["1 byte", "999 bytes", "1 kB", "48 kB", "999 kB", "1.0 MB", "1.4 MB", "999.9 MB", "1.0 GB"]);
    }

    #[test]
    fn times_far_ahead_do_not_break_the_calendar() {
        assert!(say(&utc().moment(Minute(u32::MAX))).contains("9999"));
    }
}

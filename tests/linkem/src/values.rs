//! What a value on the command line means. Exact: no figure passes through a float.

use std::time::Duration;

/// A million: chances are parts of it.
const MILLION: u64 = 1_000_000;
/// Digits after a point that are looked at.
const FRACTION_DIGITS_MAX: usize = 18;

/// Reads bits a second: `inf`, or a number with k, M or G; `None` = no limit.
pub(crate) fn rate(text: &str) -> Result<Option<u64>, String> {
    if text == "inf" {
        return Ok(None);
    }
    scaled(text, &[("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("", 1)])
        .map(Some)
        .ok_or_else(|| "bits a second wanted, like 128k, 1.5M or inf".to_owned())
}

/// Reads a time, which must have its unit: us, ms or s.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let nanos = scaled(text, &[("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)]);
    nanos.map(Duration::from_nanos).ok_or_else(|| "a time with its unit wanted, like 500us, 20ms or 1.5s".to_owned())
}

/// Reads a time that is in seconds unless it has a unit.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let nanos = scaled(text, &[("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("", 1_000_000_000)]);
    nanos.map(Duration::from_nanos).ok_or_else(|| "a time wanted, like 8, 0.5 (seconds) or 500ms".to_owned())
}

/// Reads a chance, as 5% or 0.05, into parts of a million.
pub(crate) fn chance(text: &str) -> Result<u32, String> {
    let parts = scaled(text, &[("%", MILLION / 100), ("", MILLION)]).filter(|parts| *parts <= MILLION);
    let parts = parts.and_then(|parts| u32::try_from(parts).ok());
    parts.ok_or_else(|| "a chance wanted, like 5% or 0.05".to_owned())
}

/// Reads how many, with k or M for thousands and millions.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    let count = scaled(text, &[("k", 1_000), ("M", 1_000_000), ("", 1)]);
    count.and_then(|count| usize::try_from(count).ok()).ok_or_else(|| "a number wanted, like 100 or 32k".to_owned())
}

/// Reads yes or no.
pub(crate) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no wanted".to_owned()),
    }
}

/// Reads values with commas between, as many as `least` to `most`.
pub(crate) fn list(text: &str, least: usize, most: usize) -> Result<Vec<&str>, String> {
    let values: Vec<&str> = text.split(',').map(str::trim).collect();
    if (least..=most).contains(&values.len()) {
        Ok(values)
    } else {
        Err(format!("{least} to {most} values wanted, with commas between"))
    }
}

/// Reads a number with the first of these endings that it has, times what that stands for.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, scale) =
        units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)).filter(ends_in_digit))?;
    decimal(number, scale)
}

fn ends_in_digit((number, _): &(&str, u64)) -> bool {
    number.ends_with(|last: char| last.is_ascii_digit())
}

/// Returns a decimal number times `scale`, rounded.
fn decimal(text: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.is_empty() || fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    let parts = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let scaled = u128::from(fraction.parse::<u64>().ok()?) * u128::from(scale);
    let fraction = u64::try_from((scaled + parts / 2) / parts).ok()?;
    whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_letters_for_thousands() {
        let read = ["128k", "1.5M", "1G", "9600", "inf"].map(|text| rate(text).unwrap());
        assert_eq!(read, [Some(128_000), Some(1_500_000), Some(1_000_000_000), Some(9_600), None]);
        assert!(["", "k", "-1", "1e3", "1.", "128kb", "infinite"].iter().all(|text| rate(text).is_err()));
    }

    #[test]
    fn a_time_needs_its_unit_unless_only_seconds_make_sense() {
        assert_eq!(time("0.5ms").unwrap(), Duration::from_micros(500));
        assert_eq!(time("250us").unwrap(), Duration::from_micros(250));
        assert!(time("200").is_err());
        assert_eq!(seconds("2.62").unwrap(), Duration::from_millis(2_620));
        assert_eq!(seconds("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(seconds("2s").unwrap(), Duration::from_secs(2));
        assert!(seconds("99999999999").is_err());
    }

    #[test]
    fn a_chance_is_a_share_or_a_percentage_and_never_more_than_all() {
        let read = ["5%", "0.05", "0.0625", "100%", "1", "0.0020202"].map(|text| chance(text).unwrap());
        assert_eq!(read, [50_000, 50_000, 62_500, 1_000_000, 1_000_000, 2_020]);
        assert!(chance("5").is_err() && chance("101%").is_err() && chance("-1%").is_err());
    }

    #[test]
    fn a_number_is_rounded_and_not_cut_off() {
        assert_eq!(decimal("0.9999999", 1_000), Some(1_000));
        assert_eq!(decimal("1.0005", 1_000), Some(1_001));
        assert_eq!(decimal("1.0000000000000000001", 1), None);
    }
}

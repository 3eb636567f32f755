//! Readers of single values. Their errors complete "NAME=value: ".

use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use collector::Sampler;
use storage_journal::SyncPolicy;

use super::AllowedOrigins;

type Parsed<T> = Result<T, String>;

/// Which store; what it is told is read besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StorageType {
    Memory,
    Segment,
    #[cfg(feature = "mysql")]
    MySql,
    #[cfg(feature = "elasticsearch")]
    Elasticsearch,
    #[cfg(feature = "cassandra")]
    Cassandra,
}

/// What there is.
const STORAGE_TYPES: &str = "use segment (on disk), mysql, elasticsearch, cassandra3 or mem";

pub(super) fn text(value: &str) -> Parsed<String> {
    Ok(value.to_owned())
}

pub(super) fn path(value: &str) -> Parsed<PathBuf> {
    Ok(PathBuf::from(value))
}

/// What Spring takes for true and false.
pub(super) fn boolean(value: &str) -> Parsed<bool> {
    match value.to_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

pub(super) fn number<T: FromStr<Err: Display>>(value: &str) -> Parsed<T> {
    value
        .parse()
        .map_err(|error| format!("must be a number: {error}"))
}

pub(super) fn positive(value: &str) -> Parsed<u64> {
    number(value).and_then(|number| {
        if number == 0 {
            Err("must be greater than 0".to_owned())
        } else {
            Ok(number)
        }
    })
}

pub(super) fn count(value: &str) -> Parsed<usize> {
    positive(value).map(|number| number as usize)
}

pub(super) fn small_count(value: &str) -> Parsed<u32> {
    positive(value)
        .and_then(|number| u32::try_from(number).map_err(|_| "must be less than 4294967296".to_owned()))
}

pub(super) fn port(value: &str) -> Parsed<u16> {
    value.parse().map_err(|_| "must be a port, 0 to 65535".to_owned())
}

pub(super) fn address(value: &str) -> Parsed<IpAddr> {
    value
        .parse()
        .map_err(|_| "must be an IP address, such as 127.0.0.1 or ::1".to_owned())
}

/// A comma list; blanks around items and empty items do not count.
pub(super) fn list(value: &str) -> Parsed<Vec<String>> {
    Ok(value
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect())
}

pub(super) fn origins(value: &str) -> Parsed<AllowedOrigins> {
    let origins = list(value)?;
    if origins.iter().any(|origin| origin == "*") {
        return Ok(AllowedOrigins::Any);
    }
    Ok(AllowedOrigins::Listed(origins))
}

/// `500ms`, `11s`, `5m`, `2h`, `7d`; a bare number is milliseconds, as in Spring.
pub(super) fn duration(value: &str) -> Parsed<Duration> {
    let (digits, unit) = split_unit(value);
    let scale_ms = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("must be a duration, such as 500ms, 11s, 5m, 2h or 7d".to_owned()),
    };
    let ms = digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(scale_ms));
    match ms {
        None => Err("must be a duration, such as 500ms, 11s, 5m, 2h or 7d".to_owned()),
        Some(0) => Err("must be longer than nothing".to_owned()),
        Some(ms) => Ok(Duration::from_millis(ms)),
    }
}

/// `64MiB`, `100GB`; a bare number is bytes. `K`, `M`, `G`, `T` alone are the binary units.
pub(super) fn bytes(value: &str) -> Parsed<u64> {
    const WRONG: &str = "must be a size, such as 500000, 64MiB or 100GB";
    let (digits, unit) = split_unit(value);
    let scale: u64 = match unit.to_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(WRONG.to_owned()),
    };
    match digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(scale))
    {
        None => Err(WRONG.to_owned()),
        Some(0) => Err("must be greater than 0".to_owned()),
        Some(bytes) => Ok(bytes),
    }
}

/// As [`bytes()`], of what is held in memory at one time.
pub(super) fn bytes_in_memory(value: &str) -> Parsed<usize> {
    /// Offsets into a batch are 32 bits wide.
    const BYTES_MAX: u64 = 2 << 30;
    match bytes(value)? {
        bytes if bytes > BYTES_MAX => Err("must not be more than 2GiB".to_owned()),
        bytes => Ok(bytes as usize),
    }
}

fn split_unit(value: &str) -> (&str, &str) {
    let end = value
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(value.len());
    let (digits, unit) = value.split_at(end);
    (digits, unit.trim())
}

pub(super) fn sampler(value: &str) -> Parsed<Sampler> {
    let rate = number(value)?;
    Sampler::new(rate).map_err(|error| error.to_string())
}

pub(super) fn storage_type(value: &str) -> Parsed<StorageType> {
    match value {
        "mem" => Ok(StorageType::Memory),
        "segment" => Ok(StorageType::Segment),
        #[cfg(feature = "mysql")]
        "mysql" => Ok(StorageType::MySql),
        #[cfg(not(feature = "mysql"))]
        "mysql" => Err("is not in this server, which was built without MySQL".to_owned()),
        #[cfg(feature = "elasticsearch")]
        "elasticsearch" => Ok(StorageType::Elasticsearch),
        #[cfg(not(feature = "elasticsearch"))]
        "elasticsearch" => Err("is not in this server, which was built without Elasticsearch".to_owned()),
        #[cfg(feature = "cassandra")]
        "cassandra3" => Ok(StorageType::Cassandra),
        #[cfg(not(feature = "cassandra"))]
        "cassandra3" => Err("is not in this server, which was built without Cassandra".to_owned()),
        "cassandra" => Err(format!(
            "is no storage: Cassandra is cassandra3, as with Zipkin; {STORAGE_TYPES}"
        )),
        _ => Err(format!("is no storage: {STORAGE_TYPES}")),
    }
}

pub(super) fn journal_sync(value: &str) -> Parsed<SyncPolicy> {
    value
        .parse()
        .map_err(|_| "must be always, interval:<milliseconds> or os".to_owned())
}

/// True for JSON.
pub(super) fn log_format(value: &str) -> Parsed<bool> {
    match value {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err("must be text or json".to_owned()),
    }
}

pub(super) fn log_filter(value: &str) -> Parsed<String> {
    match tracing_subscriber::EnvFilter::try_new(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(error) => Err(format!("is no filter: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bare_numbers_are_milliseconds() {
        let ms = |value| duration(value).map(|duration| duration.as_millis());
        assert_eq!(ms("11s"), Ok(11_000));
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(
            (ms("500"), ms("2h"), ms("7d"), ms("5 m")),
            (Ok(500), Ok(7_200_000), Ok(604_800_000), Ok(300_000))
        );
        for wrong in [
            "",
            "s",
            "-1s",
            "1.5s",
            "11 parsecs",
            "0s",
            "99999999999999999999d",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        assert_eq!(
            (bytes("64MiB"), bytes("1k"), bytes("100GB")),
            (Ok(64 << 20), Ok(1024), Ok(100_000_000_000))
        );
        assert_eq!(bytes("500000"), Ok(500_000));
        for wrong in ["", "x", "0", "1XB", "-5", "99999999999TiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert!(bytes_in_memory("3GiB").unwrap_err().contains("2GiB"));
    }

    #[test]
    fn lists_and_origins_are_trimmed() {
        assert_eq!(
            list(" a, b,,c "),
            Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()])
        );
        assert_eq!(origins("https://a.example, *"), Ok(AllowedOrigins::Any));
        let listed = AllowedOrigins::Listed(vec!["https://a.example".to_owned()]);
        assert_eq!(origins("https://a.example"), Ok(listed));
    }

    #[test]
    fn a_storage_by_another_name_is_told_by_its_own() {
        let refused = storage_type("cassandra").unwrap_err();
        assert!(
            refused.contains("is no storage") && refused.contains("cassandra3"),
            "{refused}"
        );
        assert!(storage_type("paper").unwrap_err().contains("is no storage"));
    }

    #[test]
    fn journal_sync_is_one_of_three() {
        assert_eq!(journal_sync("always"), Ok(SyncPolicy::Always));
        assert_eq!(
            journal_sync("interval:200"),
            Ok(SyncPolicy::Interval(Duration::from_millis(200)))
        );
        assert_eq!(journal_sync("os"), Ok(SyncPolicy::Os));
        for wrong in ["never", "interval", "interval:0", "interval:x"] {
            assert!(journal_sync(wrong).is_err(), "{wrong}");
        }
    }
}

//! Whether rollouts are watched, and who is told what happens to them.

use std::path::PathBuf;

use regression::Share;

use super::parse;
use super::values::Reader;
use crate::peer::PeerAddress;

/// Addresses of webhooks: each has six metrics.
const WEBHOOKS_MAX: usize = 8;

/// How rollouts are watched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WatchConfig {
    pub(crate) enabled: bool,
    /// Watched at one time.
    pub(crate) deployments_max: usize,
    /// What its reports may take; those that are made of finished deployments may take as much again.
    pub(crate) share: Share,
    /// Listeners to events at one time.
    pub(crate) listeners_max: usize,
    /// Who is told.
    pub(crate) webhooks: Vec<PeerAddress>,
    /// What signatures are made with.
    pub(crate) webhook_secret_file: Option<PathBuf>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> WatchConfig {
    WatchConfig {
        enabled: reader.read("WATCH_ENABLED", parse::boolean),
        deployments_max: reader.read("WATCH_DEPLOYMENTS_MAX", parse::count),
        share: reader.read("WATCH_CPU_SHARE", share),
        listeners_max: reader.read("EVENT_LISTENERS_MAX", parse::count),
        webhooks: reader.secret("WEBHOOK_URLS", webhooks).unwrap_or_default(),
        webhook_secret_file: reader.optional("WEBHOOK_SECRET_FILE", parse::path),
    }
}

/// More than nothing: at 0 nothing would ever be watched, which `WATCH_ENABLED` says.
fn share(value: &str) -> Result<Share, String> {
    match parse::number::<f64>(value)? {
        share if (0.001..=1.0).contains(&share) => Ok(Share::new(share)),
        _ => Err("must be from 0.001 to 1".to_owned()),
    }
}

fn webhooks(value: &str) -> Result<Vec<PeerAddress>, String> {
    let addresses = parse::list(value)?;
    if addresses.len() > WEBHOOKS_MAX {
        let count = addresses.len();
        return Err(format!("has {count} addresses, more than {WEBHOOKS_MAX}"));
    }
    let numbered = addresses.iter().zip(1..);
    numbered
        .map(|(address, number)| {
            PeerAddress::parse(address).map_err(|what| format!("address {number}: {what}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::values::read_from;
    use super::*;

    #[test]
    fn rollouts_are_watched_unless_told_otherwise() {
        let (config, mistakes) = read_from(&[], read);
        assert!(config.enabled);
        assert_eq!((config.deployments_max, config.share), (32, Share::default()));
        assert_eq!((config.listeners_max, config.webhooks.len()), (100, 0));
        assert_eq!(mistakes, [""; 0]);
        let (config, _) = read_from(&[("WATCH_ENABLED", "false"), ("WATCH_CPU_SHARE", "0.2")], read);
        // Reports of finished deployments are made all the same.
        assert_eq!((config.enabled, config.share), (false, Share::new(0.2)));
    }

    #[test]
    fn several_addresses_stand_in_one_setting() {
        let urls = "https://hooks.example/T0/secret?x=1, http://[::1]:8080";
        let (config, mistakes) = read_from(&[("WEBHOOK_URLS", urls)], read);
        assert_eq!(mistakes, [""; 0]);
        let webhooks = config.webhooks;
        assert_eq!(
            format!("{webhooks:?}"),
            "[https://hooks.example, http://[::1]:8080]"
        );
    }

    #[test]
    fn mistakes_do_not_repeat_what_may_be_secret() {
        let many = ["http://a.example"; 9].join(",");
        for (urls, told) in [
            (
                "http://a.example,ftp://b/secret",
                "WEBHOOK_URLS: address 2: must begin with http:// or https://",
            ),
            (
                "http://me:secret@a.example",
                "WEBHOOK_URLS: address 1: must not have a user or a password",
            ),
            (many.as_str(), "WEBHOOK_URLS: has 9 addresses, more than 8"),
        ] {
            let (_, mistakes) = read_from(&[("WEBHOOK_URLS", urls)], read);
            assert_eq!(mistakes, [told]);
        }
        for share in ["0", "1.5", "NaN", "x"] {
            let (_, mistakes) = read_from(&[("WATCH_CPU_SHARE", share)], read);
            assert_eq!(mistakes.len(), 1, "{share}");
        }
    }
}

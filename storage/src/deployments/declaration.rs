//! What a declaration is called, and whether it says the same as another.

use model::Deployment;

/// A record of an inferred deployment: what spans tell of it is still taken from them.
pub(super) fn of_inferred(shown: &Deployment) -> Deployment {
    Deployment {
        instances: Vec::new(),
        previous_version: None,
        superseded_by: None,
        is_rollback: false,
        ..shown.clone()
    }
}

/// In the order in which equal ones are equal.
pub(super) fn normalise(deployment: &mut Deployment) {
    deployment.instances.sort_unstable();
    deployment.instances.dedup();
}

/// What a declaration says otherwise than the deployment that is there: `shown`, and as it was declared itself.
pub(super) fn contradiction(
    shown: &Deployment,
    declared: Option<&Deployment>,
    told: &Deployment,
) -> Option<String> {
    let quoted = |text: &str| format!("\"{text}\"");
    let environment = |of: &Deployment| of.environment.as_deref().map_or("none".to_owned(), quoted);
    let says = |field: &str, told: &str, there: &str| {
        Some(format!(
            "{field}: {told} contradicts {there} of deployment \"{}\"",
            shown.id
        ))
    };
    for (field, told, there) in [
        (
            "serviceName",
            quoted(&told.service_name),
            quoted(&shown.service_name),
        ),
        ("version", quoted(&told.version), quoted(&shown.version)),
        ("environment", environment(told), environment(shown)),
        ("startTs", told.start_ts.to_string(), shown.start_ts.to_string()),
    ] {
        if told != there {
            return says(field, &told, &there);
        }
    }
    let there = declared?;
    let strategy = |of: &Deployment| of.strategy.map(|strategy| quoted(strategy.name()));
    let previous = |of: &Deployment| of.previous_version.as_deref().map(quoted);
    let end = |of: &Deployment| of.end_ts.map(|end| end.to_string());
    for (field, told, there) in [
        ("previousVersion", previous(told), previous(there)),
        ("strategy", strategy(told), strategy(there)),
        ("endTs", end(told), end(there)),
    ] {
        if let (Some(told), Some(there)) = (told, there)
            && told != there
        {
            return says(field, &told, &there);
        }
    }
    None
}

/// An identifier made of texts, the same for the same: FNV-1a of 64 bits, in hexadecimal digits.
pub(super) fn identifier(texts: &[&str]) -> String {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = BASIS;
    for text in texts {
        // A byte that is in no text ends each.
        for byte in text.bytes().chain(std::iter::once(0xff)) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_of_their_texts_alone() {
        assert_eq!(identifier(&["a", "b"]), identifier(&["a", "b"]));
        for other in [&["ab", ""][..], &["b", "a"], &["a", "b", ""], &["a"]] {
            assert_ne!(identifier(&["a", "b"]), identifier(other), "{other:?}");
        }
    }
}

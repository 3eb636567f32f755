//! Who logs in: told once, or by a file that is read again and again, since passwords change.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use storage::{Result, StorageError};

use crate::config::Login;

/// What lines of the file begin with (`zipkin.md` 3).
const PREFIX: &str = "zipkin.storage.elasticsearch.";
/// Longer files are none of these.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What is said with every request.
#[derive(Debug)]
pub(crate) struct Authorization {
    login: Login,
    /// Of a file: what it said when it was read last.
    last: Mutex<Option<(Instant, HeaderValue)>>,
}

impl Authorization {
    /// # Errors
    /// [`StorageError::Invalid`] where the login cannot be sent.
    pub(crate) fn new(login: &Login) -> Result<Self> {
        let authorization = Self {
            login: login.clone(),
            last: Mutex::default(),
        };
        match login {
            Login::Nobody | Login::File(..) => {}
            Login::Known(user, password) => {
                header(user, password)?;
            }
        }
        Ok(authorization)
    }

    /// What to say now; `None` where nobody logs in.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where the file has never been readable.
    pub(crate) fn now(&self) -> Result<Option<HeaderValue>> {
        match &self.login {
            Login::Nobody => Ok(None),
            Login::Known(user, password) => header(user, password).map(Some),
            Login::File(path, every) => self.of_file(path, *every).map(Some),
        }
    }

    fn of_file(&self, path: &Path, every: Duration) -> Result<HeaderValue> {
        let mut last = self.last.lock();
        if let Some((read, header)) = last.as_ref()
            && read.elapsed() < every
        {
            return Ok(header.clone());
        }
        let read = read(path);
        let header = match (read, last.as_ref()) {
            (Ok(header), _) => header,
            (Err(error), Some((_, before))) => {
                tracing::warn!(%error, "the login before is used");
                before.clone()
            }
            (Err(error), None) => return Err(error),
        };
        *last = Some((Instant::now(), header.clone()));
        Ok(header)
    }
}

fn header(user: &str, password: &str) -> Result<HeaderValue> {
    let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {login}"))
        .map_err(|_| StorageError::Invalid("the login cannot be sent".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(path: &Path) -> Result<HeaderValue> {
    let wrong =
        |why: &str| StorageError::Unavailable(format!("ES_CREDENTIALS_FILE {}: {why}", path.display()));
    let length = std::fs::metadata(path)
        .map_err(|error| wrong(&error.to_string()))?
        .len();
    if length > FILE_BYTES_MAX {
        return Err(wrong("is too long"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
    let property = |name: &str| {
        property(&text, &format!("{PREFIX}{name}")).ok_or_else(|| wrong(&format!("has no {PREFIX}{name}")))
    };
    header(&property("username")?, &property("password")?)
}

/// The value of a name in a file of properties, as Java reads them; the last one counts.
fn property(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().map(str::trim_start);
    let mut values = lines.filter_map(|line| {
        let value = line.strip_prefix(name)?;
        let after = value.trim_start();
        match after.strip_prefix(['=', ':']) {
            Some(value) => Some(value.trim_start()),
            None if after.len() < value.len() => Some(after),
            None => None,
        }
    });
    values.next_back().map(unescaped)
}

fn unescaped(value: &str) -> String {
    let mut characters = value.chars();
    let mut text = String::with_capacity(value.len());
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('t') => text.push('\t'),
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                text.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
            }
            Some(other) => text.push(other),
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_as_java_reads_them() {
        let text = "# a comment\n\n  name = a\\=b\\u00e9 c\nname.more=no\nother:x\nbare y\nname=last\\\\\n";
        assert_eq!(property(text, "name").as_deref(), Some("last\\"));
        assert_eq!(property(text, "other").as_deref(), Some("x"));
        assert_eq!(property(text, "bare").as_deref(), Some("y"));
        assert_eq!(
            property("name = a\\=b\\u00e9 c", "name").as_deref(),
            Some("a=bé c")
        );
        assert_eq!(property(text, "nam"), None);
        assert_eq!(property("#name=1", "name"), None);
    }

    #[test]
    fn a_file_is_read_again_and_what_it_said_before_is_kept_while_it_cannot_be() {
        let path = std::env::temp_dir().join(format!("tracehound-login-{}", std::process::id()));
        let write = |password: &str| {
            let text = format!("{PREFIX}username=u\n{PREFIX}password={password}\n");
            std::fs::write(&path, text).unwrap_or_else(|error| panic!("{error}"));
        };
        let says = |authorization: &Authorization| {
            authorization
                .now()
                .map(|header| header.map(|h| h.as_bytes().to_vec()))
        };
        let of = |password: &str| header("u", password).map(|header| Some(header.as_bytes().to_vec()));
        let authorization = Authorization::new(&Login::File(path.clone(), Duration::ZERO));
        let authorization = authorization.unwrap_or_else(|error| panic!("{error}"));
        assert!(matches!(says(&authorization), Err(StorageError::Unavailable(_))));
        write("1");
        assert_eq!(says(&authorization), of("1"));
        write("2");
        assert_eq!(says(&authorization), of("2"));
        std::fs::remove_file(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(says(&authorization), of("2"));
    }
}

//! What every measurement of the real server is told.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use serde::Serialize;

use crate::server::Product;

/// Which server, on which data.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Common {
    /// Seed of the workload.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The server's binary; the one beside this program without it.
    #[arg(long)]
    pub tracehound: Option<PathBuf>,
    /// A variable for the server, beyond those that the measurement sets itself; as often as needed.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub settings: Vec<Setting>,
    /// Where servers keep their data; it must be on the disk that is to be measured.
    #[arg(long)]
    pub data: Option<PathBuf>,
}

/// Where what was measured is written down.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Reports {
    /// Where the reports go.
    #[arg(long, default_value = "benches/results")]
    pub results: PathBuf,
    /// Name of the reports, without `.md` and `.json`; that of the measurement without it.
    #[arg(long)]
    pub name: Option<String>,
}

/// A variable and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// As in the server's documentation.
    pub name: String,
    /// Of any kind.
    pub value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("a setting is NAME=VALUE".to_owned()),
        }
    }
}

impl Common {
    /// Our server, as it is to be measured.
    ///
    /// # Errors
    /// Where its binary is not there.
    pub fn product(&self) -> anyhow::Result<Product> {
        Product::tracehound(self.tracehound.clone(), self.settings.clone())
    }

    /// Where servers are started, below the system's directory for temporary files without it.
    pub fn data(&self) -> Option<&Path> {
        self.data.as_deref()
    }
}

impl Reports {
    /// Writes a report as Markdown and as JSON; answers where the Markdown is.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn write(&self, usual: &str, markdown: &str, report: &impl Serialize) -> anyhow::Result<PathBuf> {
        let path = self.path(usual, "md")?;
        std::fs::write(&path, markdown)?;
        let json = serde_json::to_string_pretty(report)?;
        std::fs::write(self.path(usual, "json")?, json + "\n")?;
        Ok(path)
    }

    /// Where the report with this ending goes; the folder is there.
    ///
    /// # Errors
    /// Where there can be no such folder.
    pub fn path(&self, usual: &str, ending: &str) -> anyhow::Result<PathBuf> {
        let folder = &self.results;
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let name = self.name.as_deref().unwrap_or(usual);
        Ok(folder.join(format!("{name}.{ending}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_split_at_its_first_equals_sign() {
        let setting: Setting = "A=b=c".parse().unwrap();
        assert_eq!((setting.name.as_str(), setting.value.as_str()), ("A", "b=c"));
        assert!("=b".parse::<Setting>().is_err());
        assert!("A".parse::<Setting>().is_err());
    }
}

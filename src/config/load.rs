//! Merges the settings file and the environment into one table.

use std::path::Path;

use toml::Table;

use super::environment::Environment;
use super::error::Problems;

const PREFIX: &str = "LEASEHOLD_";
/// Separates a section from its key in the name of a variable.
const SEPARATOR: &str = "__";
/// The file that is read if none is named and it exists.
const SYSTEM_FILE: &str = "/etc/leasehold/leasehold.toml";

/// The settings of file and environment, merged.
pub(super) struct LoadedTable {
    pub(super) table: Table,
    /// Whether the file could be read and parsed. If not, only the environment is in the table.
    pub(super) complete: bool,
    pub(super) warnings: Vec<String>,
}

/// Reads the file and lays the variables `LEASEHOLD_SECTION__KEY` over it.
pub(super) fn load(
    file: Option<&Path>,
    environment: &dyn Environment,
    problems: &mut Problems,
) -> LoadedTable {
    let mut variables = config::Map::new();
    let mut warnings = Vec::new();
    for (name, value) in environment.variables() {
        let Some(setting) = name.strip_prefix(PREFIX) else { continue };
        if setting.contains(SEPARATOR) {
            problems.set_variable(setting.to_lowercase().replace(SEPARATOR, "."), name.clone());
            variables.insert(name, value);
        } else if let Some(meant) = misspelt(setting) {
            warnings.push(format!("{name} is not a setting and is ignored; is {PREFIX}{meant} meant?"));
        }
    }
    let from_environment = config::Environment::with_prefix(PREFIX.trim_end_matches('_'))
        .prefix_separator("_")
        .separator(SEPARATOR)
        .source(Some(variables));
    let system_file = Path::new(SYSTEM_FILE);
    let file = file.or_else(|| system_file.exists().then_some(system_file));
    if let Some(path) = file {
        let from_file = config::File::from(path).format(config::FileFormat::Toml).required(true);
        match merge(config::Config::builder().add_source(from_file).add_source(from_environment.clone())) {
            Ok(table) => return LoadedTable { table, complete: true, warnings },
            Err(error) => problems.add(path.display().to_string(), error),
        }
    }
    // The environment is still checked if the file cannot be read, so that its problems are reported as well.
    match merge(config::Config::builder().add_source(from_environment)) {
        Ok(table) => LoadedTable { table, complete: file.is_none(), warnings },
        Err(error) => {
            problems.add(format!("{PREFIX}…"), error);
            LoadedTable { table: Table::new(), complete: false, warnings }
        }
    }
}

fn merge(
    builder: config::ConfigBuilder<config::builder::DefaultState>,
) -> Result<Table, config::ConfigError> {
    builder.build()?.try_deserialize()
}

/// The right name for `NETBOX_URL`, which needs a second underscore.
///
/// This is a guess, so it leads to a warning and not to an error: Kubernetes sets LEASEHOLD_SERVICE_HOST and the like in every
/// pod beside a service that is called leasehold.
fn misspelt(setting: &str) -> Option<String> {
    let (section, key) = setting.split_once('_')?;
    let kubernetes = key.starts_with("SERVICE_") || key.starts_with("PORT");
    let known = super::sections::NAMES.contains(&section.to_lowercase().as_str());
    (known && !kubernetes).then(|| format!("{section}{SEPARATOR}{key}"))
}

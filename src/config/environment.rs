//! Access to environment variables, as a parameter.

/// A source of environment variables. Tests supply their own and never change the variables of the process.
pub trait Environment {
    /// Every variable with its value.
    fn variables(&self) -> Vec<(String, String)>;

    /// The value of one variable.
    fn variable(&self, name: &str) -> Option<String> {
        self.variables().into_iter().find_map(|(known, value)| (known == name).then_some(value))
    }
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    /// Variables whose name or value is not UTF-8 are left out; none of them can be a setting.
    fn variables(&self) -> Vec<(String, String)> {
        // The one place that reads the process's environment; clippy rejects every other.
        #[allow(clippy::disallowed_methods)]
        let variables = std::env::vars_os();
        variables
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }
}

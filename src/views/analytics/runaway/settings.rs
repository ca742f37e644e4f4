//! From where on a session runs away.

/// The settings of the detector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunawaySettings {
    /// Whether anything is looked for.
    pub enabled: bool,
    /// US dollars in a minute that are a runaway whatever was before; above 0.
    pub usd_per_minute: f64,
    /// Tool calls in a minute that are; above 0.
    pub calls_per_minute: f64,
    /// Failed tool calls in a minute that are, those of the same call again counted twice, three times and so on up to six times; above
    /// 0.
    pub failures_per_minute: f64,
    /// How many times its usual minute a session must do to run away before it reaches those; at least 1.
    pub times: f64,
}

impl Default for RunawaySettings {
    fn default() -> Self {
        Self { enabled: true, usd_per_minute: 6.0, calls_per_minute: 240.0, failures_per_minute: 30.0, times: 6.0 }
    }
}

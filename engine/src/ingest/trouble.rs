//! Why an input gives no records at the moment, as `/readyz` and the log say it.

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing has failed yet.
    Waits(String),
    /// What failed is tried again.
    Fails(String),
    /// Nothing is tried again: somebody has to do something.
    Ends(String),
    /// Records come, and something beside them fails.
    Beside(String),
}

impl Trouble {
    /// The sentence on an input: `kind` is what it is in the definitions.
    pub fn sentence(&self, kind: &str, name: &str) -> String {
        match self {
            Trouble::Waits(what) => format!("{kind} `{name}` waits for {what}"),
            Trouble::Fails(why) | Trouble::Beside(why) => format!("{kind} `{name}`: {why}; trying again"),
            Trouble::Ends(why) => format!("{kind} `{name}`: {why}"),
        }
    }
}

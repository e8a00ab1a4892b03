//! `freshet check`: everything wrong with a directory of definitions, or what it declares.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use freshet_config::diagnostic::{Diagnostic, Diagnostics};
use serde_json::{Value, json};

use crate::exit::{Failure, Status};
use crate::output;

/// Check definitions: every error at once, with file, line and what to do.
#[derive(Debug, Args)]
pub struct Check {
    /// The directory of definition files.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Print the outcome as JSON, errors too.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn run(self) -> Result<(), Failure> {
        let plan = match super::diagnose(&self.directory) {
            Ok(plan) => plan,
            Err(errors) if self.json => {
                output::json(&found(&errors))?;
                // They are said; the status says that there are some.
                return Err(Failure::new(Status::Data, ""));
            }
            Err(errors) => return Err(Failure::definitions(&errors)),
        };
        let definitions = &plan.definitions;
        // A view with categories is several inside; its user wrote one.
        let views = definitions.views.iter().map(|view| &view.served_as).collect::<BTreeSet<_>>().len();
        let features: usize = definitions.views.iter().map(|view| view.features.len()).sum();
        if self.json {
            return output::json(&json!({
                "plan": plan.plan_id.to_string(),
                "sources": definitions.sources.len(),
                "dimensions": definitions.dimensions.len(),
                "entities": definitions.entities.len(),
                "views": views,
                "features": features,
                "services": definitions.services.len(),
            }));
        }
        output::line(&format!(
            "{}: {}, {}, {}, {}, {}; plan {}",
            self.directory.display(),
            many(definitions.sources.len(), "source"),
            many(definitions.entities.len(), "entity"),
            many(views, "view"),
            many(features, "feature"),
            many(definitions.services.len(), "service"),
            plan.plan_id
        ))
    }
}

/// Every error with its place; line and column are null where a file as a whole is meant.
fn found(errors: &Diagnostics) -> Value {
    let one = |error: &Diagnostic| {
        let place = |number: usize| (number > 0).then_some(number);
        json!({
            "file": error.place.file.as_ref(),
            "line": place(error.place.line),
            "column": place(error.place.column),
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
        })
    };
    json!({ "errors": errors.iter().map(one).collect::<Vec<_>>() })
}

/// `1 view`, `2 views`, `2 entities`.
fn many(number: usize, thing: &str) -> String {
    match (number, thing.strip_suffix('y')) {
        (1, _) => format!("1 {thing}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted_in_words() {
        assert_eq!(many(1, "entity"), "1 entity");
        assert_eq!(many(0, "entity"), "0 entities");
        assert_eq!(many(2, "view"), "2 views");
    }
}

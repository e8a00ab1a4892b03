//! Plans as text: what `freshet dataflow` prints for an example is the golden file of its name in `tests/plans`.
//!
//! `FRESHET_UPDATE_GOLDEN=1 cargo test --test plans` writes the files anew; the difference belongs in the review.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const UPDATE: &str = "FRESHET_UPDATE_GOLDEN";

/// The names in a folder of the repository, without endings.
fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder of the repository");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut names: Vec<String> =
        paths.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort_unstable();
    names
}

fn dataflow(example: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet"));
    command.args(["dataflow", &format!("examples/{example}")]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.env_remove("FRESHET_LOG").stdin(Stdio::null()).output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a plan is UTF-8")
}

#[test]
fn the_plan_of_every_example_is_its_golden_file() {
    let update = std::env::var_os(UPDATE).is_some_and(|value| value == "1");
    for example in names("examples") {
        let found = dataflow(&example);
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(format!("{example}.txt"));
        if update {
            fs::write(&golden, found).expect("the golden file is written");
            continue;
        }
        let expected = fs::read_to_string(&golden)
            .unwrap_or_else(|error| panic!("{}: {error}; {UPDATE}=1 writes it", golden.display()));
        if found != expected {
            let (mut now, mut before) = (found.lines(), expected.lines());
            let differs = (1..).map(|line| (line, now.next(), before.next())).find(|(_, now, before)| now != before);
            panic!(
                "the plan of examples/{example} is another one (line, found, expected): {differs:?}; {UPDATE}=1 accepts it"
            );
        }
    }
    // A golden file of no example would say nothing.
    assert_eq!(names("tests/plans"), names("examples"));
}

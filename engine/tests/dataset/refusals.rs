//! Each refusal word for word.

use crate::fixture::{DEFINITIONS, Fixture, visit};

fn refused(spine: &str) -> String {
    let fixture = Fixture::new(&visit(1, 7, "home", 1.0, 0, 1));
    let spine = fixture.file("spine.csv", spine);
    fixture.refusal(fixture.build("visits_v1", &spine))
}

#[test]
fn the_service_is_known() {
    let fixture = Fixture::new("");
    let spine = fixture.file("spine.csv", "user,time\n7,1970-01-01T00:00:22Z\n");
    assert_eq!(
        fixture.refusal(fixture.build("visits_v2", &spine)),
        "there is no service `visits_v2`: did you mean `visits_v1`?"
    );
}

#[test]
fn the_source_has_a_history() {
    let fixture = Fixture::new("");
    let stream = DEFINITIONS.replace("history: {ndjson: {path: visits.ndjson}}", "stream: {log: {}}");
    fixture.file("features.yaml", stream);
    let spine = fixture.file("spine.csv", "user,time\n7,1970-01-01T00:00:22Z\n");
    assert_eq!(
        fixture.refusal(fixture.build("visits_v1", &spine)),
        "source `visits` has no history, and view `clicks` of service `visits_v1` reads it"
    );
}

#[test]
fn the_spine_has_the_keys() {
    assert_eq!(
        refused("usr,time\n7,1970-01-01T00:00:22Z\n"),
        "the spine DIR/spine.csv has no column `user` for the join key of that name; its columns are usr, time"
    );
    assert_eq!(
        refused("user,user,time\n7,7,1970-01-01T00:00:22Z\n"),
        "the spine DIR/spine.csv has more than one column `user`: rename all but one"
    );
    assert!(refused("user,time\nseven,1970-01-01T00:00:22Z\n").contains("`user` must be an int64 number"));
}

#[test]
fn a_value_that_cannot_be_computed_is_named_with_its_event() {
    use freshet_engine::dataset::{DatasetOptions, run};

    let fixture = Fixture::new(&visit(1, 7, "home", 1.0, 0, 1));
    let spine = fixture.file("spine.csv", "user,time\n7,1970-01-01T00:00:22Z\n");
    for (from, to, said) in [
        (
            "sql: \"cost * weight\"",
            "sql: \"cost / 0 * weight\"",
            "column `charge` of source `visits` for the event at 1970-01-01T00:00:01Z: the result is not a finite number",
        ),
        (
            "fn: last, of: page",
            "fn: sum, of: cast(page as bigint)",
            "`cast(page as bigint)` of view `clicks` for the event at 1970-01-01T00:00:01Z: 'home' is no int64",
        ),
        (
            "page <> 'bot'",
            "cast(page as bigint) > 1",
            "`where` of view `tiles` for the event at 1970-01-01T00:00:01Z: 'home' is no int64",
        ),
    ] {
        assert!(DEFINITIONS.contains(from));
        fixture.file("features.yaml", DEFINITIONS.replace(from, to));
        let options = DatasetOptions {
            definitions: fixture.path(""),
            service: "visits_v1".to_string(),
            spine: spine.clone(),
            out: fixture.path("out.csv"),
            time_column: None,
        };
        let report = run(&options).unwrap();
        assert_eq!((report.failed_expressions, report.first_failure.as_deref()), (1, Some(said)));
    }
}

#[test]
fn the_spine_has_instants() {
    assert_eq!(
        refused("user,when\n7,now\n"),
        "the spine DIR/spine.csv has no column of timestamps; its columns are user, when; name the one with \
         instants with --time-column"
    );
    assert_eq!(
        refused("user,a,b\n7,1970-01-01T00:00:22Z,1970-01-01T00:00:22Z\n"),
        "the spine DIR/spine.csv has several columns of timestamps (a, b): name the one to use with --time-column"
    );
    assert_eq!(
        refused("user,time\n7,1970-01-01T00:00:22Z\n8,\n"),
        "the spine DIR/spine.csv has no instant in row 2 (counted from 1): `time` is null"
    );
}

#[test]
fn names_of_features_are_not_taken() {
    assert_eq!(
        refused("user,time,tiles__n_10s\n7,1970-01-01T00:00:22Z,1\n"),
        "the spine DIR/spine.csv has a column `tiles__n_10s`, which is the name of a feature: rename it"
    );
}

#[test]
fn files_have_known_endings() {
    let fixture = Fixture::new("");
    let spine = fixture.file("spine.xlsx", "");
    assert_eq!(
        fixture.refusal(fixture.build("counts", &spine)),
        "DIR/spine.xlsx ends in no format that is known: use .parquet, .csv or .ndjson"
    );
    // The output's name is looked at before anything is read.
    assert_eq!(
        fixture.refusal(fixture.run("counts", "nowhere.csv", "out.txt")),
        "DIR/out.txt ends in no format that is known: use .parquet, .csv or .ndjson"
    );
    assert_eq!(
        fixture.refusal(fixture.run("counts", "nowhere.parquet", "out.csv")),
        "there is no file or folder DIR/nowhere.parquet"
    );
}
